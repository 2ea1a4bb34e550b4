//! A customer's program that hands in commands: it sends until the broker has confirmed.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bytes::Bytes;
use coffer_brokers::{BrokerError, OutgoingMessage, Sink, SinkBroker};

use super::WITHIN;

pub(super) struct Sender {
    broker: SinkBroker,
    sink: Option<Box<dyn Sink>>,
    sent: usize,
}

impl Sender {
    pub(super) fn new(broker: SinkBroker) -> Self {
        Self {
            broker,
            sink: None,
            sent: 0,
        }
    }

    /// Each letter under an id of its own, so that no broker takes two copies for one.
    pub(super) async fn send(&mut self, about: &str, letters: &[String]) -> Result<()> {
        let mut messages = Vec::new();
        for letter in letters {
            self.sent += 1;
            messages.push(OutgoingMessage {
                id: format!("letter-{}", self.sent),
                organization: "erp".into(),
                object: about.into(),
                kind: "batch.submitted".into(),
                body: Bytes::from(letter.clone()),
            });
        }
        let deadline = Instant::now() + WITHIN;
        loop {
            let Err(error) = self.attempt(&messages).await else {
                return Ok(());
            };
            self.sink = None;
            if Instant::now() > deadline || matches!(error, BrokerError::Settings(_)) {
                bail!("letters cannot be sent: {error}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn attempt(&mut self, messages: &[OutgoingMessage]) -> Result<(), BrokerError> {
        let sink = match self.sink.take() {
            Some(sink) => sink,
            None => self.broker.connector()?.connect().await?,
        };
        self.sink.insert(sink).publish(messages).await
    }
}
