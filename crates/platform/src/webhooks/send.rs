//! One event on its way to one receiver, and what the answer means.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use coffer_domain::id::OrganizationId;
use coffer_store::webhooks::WebhookRow;

use super::queue::{Message, Outcome, Turn};
use crate::events::{Event, EventFilter};
use crate::outbound::signature::{SigningKey, sign};
use crate::outbound::{Answer, SendError, Target};
use crate::watch::passed;
use crate::{Error, Platform};

/// Structured mode of CloudEvents over HTTP.
pub(super) const EVENT_CONTENT_TYPE: &str = "application/cloudevents+json";
/// The rest of an answer is not read.
pub(super) const ANSWER_BYTES_MAX: usize = 4096;
const EXCERPT_CHARS_MAX: usize = 200;
const GONE: u16 = 410;
/// Bounds of a pause that a receiver may ask for.
const ASKED_MS: std::ops::RangeInclusive<i64> = 1_000..=3_600_000;

/// What sending needs, shared by all sends of a webhook.
pub(super) struct Sender {
    pub(super) platform: Platform,
    pub(super) organization: OrganizationId,
    pub(super) target: Target,
    /// The latest first.
    pub(super) keys: Vec<SigningKey>,
    /// Behind it only the latest key signs.
    pub(super) previous_until_ms: Option<i64>,
}

/// A turn that came back.
pub(super) struct Sent {
    pub(super) seq: u64,
    pub(super) attempt: u32,
    pub(super) at_ms: i64,
    pub(super) latency: Duration,
    /// An error of ours: the event was not sent.
    pub(super) outcome: Result<(Arc<Message>, Received), Error>,
}

/// What a receiver answered, or why it did not.
pub(super) enum Received {
    Success {
        status: u16,
    },
    Gone,
    Failure {
        status: Option<u16>,
        error: &'static str,
        excerpt: Option<String>,
        pause_ms: Option<i64>,
    },
}

impl Received {
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Success { .. } => Some(Outcome::Delivered),
            Self::Failure { pause_ms, .. } => Some(Outcome::Failed {
                pause_ms: *pause_ms,
            }),
            Self::Gone => None,
        }
    }
}

impl From<&Event> for Message {
    fn from(event: &Event) -> Self {
        Self {
            seq: event.seq,
            id: event.id.to_string(),
            kind: event.kind.name().to_owned(),
            subject: event.subject.clone(),
            body: event.to_cloud_event().into(),
        }
    }
}

impl Sender {
    pub(super) fn new(platform: &Platform, row: &WebhookRow, now_ms: i64) -> Result<Self, Error> {
        Ok(Self {
            platform: platform.clone(),
            organization: row.webhook.organization,
            target: platform.webhook_target(&row.webhook.url)?,
            keys: platform.signing_keys(row, now_ms)?,
            previous_until_ms: row.previous.as_ref().map(|previous| previous.until_ms),
        })
    }

    fn keys(&self, now_ms: i64) -> &[SigningKey] {
        let overlaps = self.previous_until_ms.is_some_and(|until| now_ms < until);
        if overlaps {
            &self.keys
        } else {
            &self.keys[..1]
        }
    }

    pub(super) async fn send(self: Arc<Self>, turn: Turn) -> Sent {
        let at_ms = self.platform.now_ms();
        let began = tokio::time::Instant::now();
        let outcome = self.try_send(&turn, at_ms).await;
        Sent {
            seq: turn.seq,
            attempt: turn.attempt,
            at_ms,
            latency: began.elapsed(),
            outcome,
        }
    }

    async fn try_send(&self, turn: &Turn, at_ms: i64) -> Result<(Arc<Message>, Received), Error> {
        let message = match &turn.message {
            Some(message) => Arc::clone(message),
            None => Arc::new(self.read_again(turn.seq).await?),
        };
        passed("webhook.before_send")?;
        let headers = sign(self.keys(at_ms), &message.id, at_ms, &message.body);
        let body = (EVENT_CONTENT_TYPE, message.body.clone());
        let client = &self.platform.0.webhook_client;
        let answer = client
            .post(&self.target, headers, body, ANSWER_BYTES_MAX)
            .await;
        passed("webhook.answered")?;
        let received = match answer {
            Ok(answer) => judge(&answer, self.platform.now_ms()),
            Err(error) => unanswered(error),
        };
        Ok((message, received))
    }

    /// The text of an event that waited.
    async fn read_again(&self, seq: u64) -> Result<Message, Error> {
        let all = EventFilter::default();
        let page = self
            .platform
            .events_of(self.organization, &all, seq.saturating_sub(1), 1)
            .await?;
        let found = page.items.first().filter(|event| event.seq == seq);
        let missing = || Error::Internal(format!("event {seq} cannot be read"));
        found.map(Message::from).ok_or_else(missing)
    }
}

fn unanswered(error: SendError) -> Received {
    Received::Failure {
        status: None,
        error: error.kind(),
        excerpt: None,
        pause_ms: None,
    }
}

fn judge(answer: &Answer, now_ms: i64) -> Received {
    let error = match answer.status {
        200..300 => {
            return Received::Success {
                status: answer.status,
            };
        }
        GONE => return Received::Gone,
        300..400 => "redirect",
        _ => "status",
    };
    let may_ask = matches!(answer.status, 429 | 503);
    let asked = answer.retry_after.as_deref().filter(|_| may_ask);
    Received::Failure {
        status: Some(answer.status),
        error,
        excerpt: excerpt(&answer.body),
        pause_ms: asked.and_then(|text| retry_after_ms(text, now_ms)),
    }
}

/// Seconds or an HTTP date (RFC 9110, 10.2.3), within bounds.
fn retry_after_ms(text: &str, now_ms: i64) -> Option<i64> {
    let asked = match text.trim().parse::<u32>() {
        Ok(seconds) => i64::from(seconds) * 1000,
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            let since = date.duration_since(UNIX_EPOCH).ok()?;
            i64::try_from(since.as_millis()).ok()? - now_ms
        }
    };
    Some(asked.clamp(*ASKED_MS.start(), *ASKED_MS.end()))
}

/// The beginning of an answer as harmless text: what steers a terminal or turns its direction is taken out.
pub(super) fn excerpt(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let shown: String = text
        .chars()
        .map(|c| if steers(c) { ' ' } else { c })
        .take(EXCERPT_CHARS_MAX)
        .collect();
    Some(shown.trim().to_owned()).filter(|shown| !shown.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>) -> Answer {
        Answer {
            status,
            retry_after: retry_after.map(str::to_owned),
            body: b"no".to_vec(),
            cut: false,
        }
    }

    #[test]
    fn answers_mean_what_they_say() {
        let outcome = |status| judge(&answer(status, None), 0).outcome();
        let again = Some(Outcome::Failed { pause_ms: None });
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(outcome(status), Some(Outcome::Delivered), "{status}");
        }
        for status in [301, 307, 400, 401, 404, 409, 429, 500, 503] {
            assert_eq!(outcome(status), again, "{status}");
        }
        assert_eq!(outcome(410), None);
    }

    #[test]
    fn a_receiver_may_ask_for_a_pause_within_bounds() {
        let pause = |status, text| match judge(&answer(status, Some(text)), 784_111_777_000) {
            Received::Failure { pause_ms, .. } => pause_ms,
            _ => panic!("a failure"),
        };
        assert_eq!(pause(429, "30"), Some(30_000));
        assert_eq!(pause(503, "0"), Some(1_000));
        assert_eq!(pause(503, "999999"), Some(3_600_000));
        assert_eq!(pause(503, "Sun, 06 Nov 1994 08:51:37 GMT"), Some(120_000));
        assert_eq!(pause(503, "Sat, 06 Nov 1993 08:51:37 GMT"), Some(1_000));
        assert_eq!(pause(503, "soon"), None);
        assert_eq!(pause(503, "-5"), None);
        assert_eq!(pause(500, "30"), None);
    }

    #[test]
    fn an_excerpt_is_short_and_steers_nothing() {
        let check = |body: &[u8], expected: Option<&str>| {
            assert_eq!(excerpt(body).as_deref(), expected);
        };
        check(b"", None);
        check(b"\r\n\t", None);
        check(b"plain", Some("plain"));
        check(b"a\x1b[31mred\x07", Some("a [31mred"));
        check("a\u{202e}b\u{feff}".as_bytes(), Some("a b"));
        check(b"\xff\xfe", Some("\u{fffd}\u{fffd}"));
        assert_eq!(
            excerpt(&[b'x'; 4096]).expect("text").len(),
            EXCERPT_CHARS_MAX
        );
    }
}
