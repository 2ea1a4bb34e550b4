//! A customer's program that follows events at the broker, and knows the ids that it has seen.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use coffer_brokers::SourceBroker;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::wiring::{Reader, Wiring};

/// Silence after which nothing more is expected.
const SILENCE: Duration = Duration::from_secs(3);
/// Joining a group of consumers may take half a minute.
const FIRST_WITHIN: Duration = Duration::from_secs(60);
const ATTEMPTS: usize = 20;

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
    reader: Reader,
    address: String,
    /// Of readers; each has a name of its own, and begins at the first message that the broker keeps.
    readers: usize,
    /// Whether messages stay at the broker when they were read.
    rereads: bool,
    /// How often each event at the broker came before, and is no longer looked at: partitions are read in no order
    /// among each other, so that a count of messages would not do.
    before: HashMap<String, usize>,
    /// Since it last began anew, in the order of the broker.
    arrived: Vec<String>,
    /// Before that.
    earlier: Vec<String>,
}

impl Consumer {
    pub(super) fn new(wiring: &Wiring, address: String) -> Self {
        Self {
            reader: wiring.reader,
            rereads: wiring.rereads,
            address,
            readers: 0,
            before: HashMap::new(),
            arrived: Vec::new(),
            earlier: Vec::new(),
        }
    }

    /// All is to be given again: what came before is no longer part of the order.
    pub(super) fn begin_anew(&mut self) {
        for id in self.arrived.iter().filter_map(|text| id_of(text).ok()) {
            *self.before.entry(id).or_default() += 1;
        }
        self.earlier.append(&mut self.arrived);
    }

    /// The broker lost its data.
    pub(super) fn begin_with_nothing(&mut self) {
        self.begin_anew();
        self.before.clear();
    }

    pub(super) fn received(&self) -> usize {
        self.arrived.len() + self.earlier.len()
    }

    /// Takes what is there, with the publisher at rest.
    pub(super) async fn drain(&mut self) -> Result<()> {
        for _ in 0..ATTEMPTS {
            self.readers += 1;
            let settings = (self.reader)(&self.address, self.readers)?;
            if let Ok(texts) = read_all(&settings).await {
                if self.rereads {
                    self.arrived = self.unseen(texts);
                } else {
                    self.arrived.extend(texts);
                }
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        bail!("the broker gives nothing")
    }

    /// Those that are more than came before.
    fn unseen(&self, texts: Vec<String>) -> Vec<String> {
        let mut left = self.before.clone();
        let is_new = |text: &String| {
            let id = id_of(text).unwrap_or_default();
            match left.get_mut(&id) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    false
                }
                _ => true,
            }
        };
        texts.into_iter().filter(is_new).collect()
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

/// Everything that the broker has; a failure is one of the reader, and its messages are read again.
async fn read_all(settings: &SourceBroker) -> Result<Vec<String>> {
    let mut source = settings.connector()?.connect().await?;
    let (mut texts, mut patience) = (Vec::new(), FIRST_WITHIN);
    while let Ok(messages) = tokio::time::timeout(patience, source.receive(100)).await {
        for message in messages? {
            texts.push(String::from_utf8_lossy(&message.body).into_owned());
            source.acknowledge(&message).await?;
        }
        patience = SILENCE;
    }
    Ok(texts)
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
