//! A customer's program that follows events at the broker, and knows the ids that it has seen.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coffer_brokers::{BrokerError, Source, SourceBroker};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Silence after which nothing more is expected for now.
const SILENCE: Duration = Duration::from_secs(2);
const LONG_SILENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) items: Vec<Box<RawValue>>,
    pub(super) next_cursor: String,
    pub(super) more: bool,
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    subject: String,
    sequence: String,
}

pub(super) fn id_of(text: &str) -> Result<String> {
    let envelope: Envelope = serde_json::from_str(text)?;
    Ok(envelope.id)
}

pub(super) struct Consumer {
    broker: SourceBroker,
    source: Option<Box<dyn Source>>,
    /// Since it last began anew, in the order of arrival.
    arrived: Vec<String>,
    /// Before that.
    earlier: Vec<String>,
}

impl Consumer {
    pub(super) fn new(broker: SourceBroker) -> Self {
        Self {
            broker,
            source: None,
            arrived: Vec::new(),
            earlier: Vec::new(),
        }
    }

    /// The broker lost its data, or is to give everything again: what came before is no longer part of the order.
    pub(super) fn begin_anew(&mut self) {
        self.earlier.append(&mut self.arrived);
    }

    pub(super) fn received(&self) -> usize {
        self.arrived.len() + self.earlier.len()
    }

    /// Takes what is there.
    pub(super) async fn drain(&mut self) {
        self.until_silent_for(SILENCE).await;
    }

    pub(super) async fn drain_until_silent(&mut self) {
        self.until_silent_for(LONG_SILENCE).await;
    }

    async fn until_silent_for(&mut self, silence: Duration) {
        let mut heard = Instant::now();
        while heard.elapsed() < silence {
            let left = silence.saturating_sub(heard.elapsed());
            match tokio::time::timeout(left, self.take()).await {
                Ok(Ok(())) => heard = Instant::now(),
                Ok(Err(_)) => {
                    self.source = None;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                // A receipt that was broken off comes again.
                Err(_) => return,
            }
        }
    }

    async fn take(&mut self) -> Result<(), BrokerError> {
        let source = match &mut self.source {
            Some(source) => source,
            None => self
                .source
                .insert(self.broker.connector()?.connect().await?),
        };
        for message in source.receive(100).await? {
            let body = String::from_utf8_lossy(&message.body).into_owned();
            self.arrived.push(body);
            source.acknowledge(&message).await?;
        }
        Ok(())
    }

    /// How many events have not arrived since it last began anew.
    pub(super) fn missing(&self, truth: &HashMap<String, String>) -> usize {
        let arrived: HashSet<_> = self
            .arrived
            .iter()
            .filter_map(|text| id_of(text).ok())
            .collect();
        truth.keys().filter(|id| !arrived.contains(*id)).count()
    }

    /// Everything is word for word what the cursor tells, and each object's events came in order, repeats aside.
    pub(super) fn agrees_with(&self, truth: &HashMap<String, String>) -> Result<()> {
        for text in self.arrived.iter().chain(&self.earlier) {
            let id = id_of(text)?;
            let told = truth
                .get(&id)
                .with_context(|| format!("the cursor knows no {id}"))?;
            ensure!(told == text, "{id} is told in two ways:\n{told}\n{text}");
        }
        in_order(&self.arrived)?;
        Ok(())
    }
}

fn in_order(arrived: &[String]) -> Result<()> {
    let (mut seen, mut last) = (HashSet::new(), HashMap::new());
    for text in arrived {
        let envelope: Envelope = serde_json::from_str(text)?;
        if !seen.insert(envelope.id) {
            continue;
        }
        let number: u64 = envelope.sequence.parse()?;
        let before = last.insert(envelope.subject.clone(), number);
        ensure!(
            before.is_none_or(|before| before < number),
            "event {number} of {} came behind {before:?}",
            envelope.subject
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_of_first_arrivals_per_object() {
        let event = |number: u64, subject: &str| {
            format!(r#"{{"id":"e{number}","subject":"{subject}","sequence":"{number}"}}"#)
        };
        let check = |events: &[(u64, &str)], good: bool| {
            let texts: Vec<_> = events.iter().map(|(n, s)| event(*n, s)).collect();
            assert_eq!(in_order(&texts).is_ok(), good, "{events:?}");
        };
        check(&[(1, "a"), (3, "a"), (2, "b"), (1, "a"), (4, "a")], true);
        check(&[(3, "a"), (1, "a")], false);
    }
}
