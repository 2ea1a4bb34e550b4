use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::IncomingMessage;

/// Messages to be handed out again later by the connection that received them, for brokers that cannot delay a
/// delivery. It is in memory alone: the broker still counts them as not settled, and delivers them again if we go.
#[derive(Default)]
pub(crate) struct PutBack {
    /// By when they are due, and the order in which they came.
    waiting: BTreeMap<(Instant, u64), IncomingMessage>,
    added: u64,
}

impl PutBack {
    pub(crate) fn add(&mut self, message: &IncomingMessage, delay: Duration) {
        let mut message = message.clone();
        message.deliveries += 1;
        self.added += 1;
        let due = Instant::now() + delay;
        self.waiting.insert((due, self.added), message);
    }

    /// Those whose time has come.
    pub(crate) fn due(&mut self, limit: usize) -> Vec<IncomingMessage> {
        let now = Instant::now();
        let mut due = Vec::new();
        while due.len() < limit {
            match self.waiting.first_entry() {
                Some(entry) if entry.key().0 <= now => due.push(entry.remove()),
                _ => break,
            }
        }
        due
    }

    /// Waits for the next one, for ever if there is none; may be cancelled.
    pub(crate) async fn next(&mut self) -> IncomingMessage {
        loop {
            let Some((&(due, _), _)) = self.waiting.first_key_value() else {
                std::future::pending::<()>().await;
                continue;
            };
            tokio::time::sleep_until(due).await;
            if let Some((_, message)) = self.waiting.pop_first() {
                return message;
            }
        }
    }

    #[cfg(feature = "kafka")]
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Forgets those that are no longer ours to hand out.
    #[cfg(feature = "kafka")]
    pub(crate) fn retain(&mut self, keep: impl Fn(&IncomingMessage) -> bool) {
        self.waiting.retain(|_, message| keep(message));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt;

    use super::*;
    use crate::Token;

    fn message(number: u64) -> IncomingMessage {
        IncomingMessage {
            subject: String::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            reply_to: None,
            deliveries: 1,
            token: Token::Number(number),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_comes_again_when_its_time_has_come_and_not_before() {
        let mut put_back = PutBack::default();
        put_back.add(&message(1), Duration::from_secs(60));
        put_back.add(&message(2), Duration::from_secs(5));
        assert_eq!(put_back.due(9), []);
        assert!(put_back.next().now_or_never().is_none());

        let start = Instant::now();
        let first = put_back.next().await;
        assert_eq!((first.token, first.deliveries), (Token::Number(2), 2));
        assert_eq!(start.elapsed().as_secs(), 5);

        tokio::time::advance(Duration::from_secs(60)).await;
        let rest = put_back.due(9);
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].token, Token::Number(1));
        assert_eq!(put_back.due(9), []);
    }
}
