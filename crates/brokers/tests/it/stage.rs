//! What the tests of all brokers share: numbered messages, a relay as simple as can be, and the judge.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use coffer_brokers::{
    BrokerError, IncomingMessage, OutgoingMessage, Sink, SinkBroker, SinkConnector, Source,
    SourceBroker, SourceConnector,
};
use serde::de::DeserializeOwned;

/// For one step of a test; more than any broker needs on a machine under load.
const STEP_WITHIN: Duration = Duration::from_secs(120);
/// The relay's batch.
const BATCH: usize = 100;

pub(crate) async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(STEP_WITHIN, work).await;
    done.unwrap_or_else(|_| panic!("{what} took too long"))
}

/// `count` events about `objects` objects by turns; the body is the number.
pub(crate) fn events(count: usize, objects: usize) -> Vec<OutgoingMessage> {
    let event = |number: usize| OutgoingMessage {
        id: format!("evt_{number}"),
        organization: "org_1".into(),
        object: format!("dep_{}", number % objects),
        kind: "deposit.confirmed".into(),
        body: Bytes::from(number.to_string()),
    };
    (0..count).map(event).collect()
}

pub(crate) fn number(message: &IncomingMessage) -> usize {
    let text = std::str::from_utf8(&message.body).expect("text");
    text.parse().expect("a number")
}

pub(crate) fn settings<T: DeserializeOwned>(json: serde_json::Value) -> T {
    serde_json::from_value(json).expect("settings as the configuration has them")
}

pub(crate) async fn sink(settings: &SinkBroker) -> Box<dyn Sink> {
    let connector = settings.connector().expect("good settings");
    in_time("to connect a sink", connector.connect())
        .await
        .expect("a sink")
}

pub(crate) async fn source(settings: &SourceBroker) -> Box<dyn Source> {
    let connector: std::sync::Arc<dyn SourceConnector> =
        settings.connector().expect("good settings");
    in_time("to connect a source", connector.connect())
        .await
        .expect("a source")
}

/// Publishes all, batch by batch, and moves on only after a confirmation: what the relay does with its cursor.
/// Answers how often it had to begin a batch again.
pub(crate) async fn relay(
    connector: &dyn SinkConnector,
    messages: &[OutgoingMessage],
    mut before_batch: impl FnMut(usize),
) -> usize {
    let (mut cursor, mut failures) = (0, 0);
    let mut sink: Option<Box<dyn Sink>> = None;
    while cursor < messages.len() {
        before_batch(cursor / BATCH);
        let end = messages.len().min(cursor + BATCH);
        match publish_with(connector, &mut sink, &messages[cursor..end]).await {
            Ok(()) => cursor = end,
            Err(BrokerError::Settings(text)) => panic!("{text}"),
            // A broker that starts may refuse until it knows its queues again.
            Err(BrokerError::Unavailable(_) | BrokerError::Refused(_)) => {
                sink = None;
                failures += 1;
                // Paced: connecting to a port that nobody listens on fails at once.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(BrokerError::NotBuilt(what)) => panic!("built without {what}"),
        }
    }
    failures
}

async fn publish_with(
    connector: &dyn SinkConnector,
    sink: &mut Option<Box<dyn Sink>>,
    messages: &[OutgoingMessage],
) -> Result<(), BrokerError> {
    let connected = match sink.take() {
        Some(sink) => sink,
        None => connector.connect().await?,
    };
    sink.insert(connected).publish(messages).await
}

/// Receives and acknowledges until every number below `count` was seen; answers all in the order of arrival.
pub(crate) async fn receive_all(source: &mut dyn Source, count: usize) -> Vec<IncomingMessage> {
    let (mut seen, mut all) = (HashSet::new(), Vec::new());
    while seen.len() < count {
        let messages = in_time("to receive", source.receive(500)).await;
        for message in messages.expect("messages") {
            source.acknowledge(&message).await.expect("acknowledged");
            seen.insert(number(&message));
            all.push(message);
        }
    }
    all
}

/// What a consumer that knows the ids it has seen makes of it: each object's events in order, none missing.
pub(crate) fn judge(received: &[usize], count: usize, objects: usize) {
    let mut seen = HashSet::new();
    let mut last: HashMap<usize, usize> = HashMap::new();
    for &number in received {
        if !seen.insert(number) {
            continue;
        }
        let object = number % objects;
        let expected = last.get(&object).map_or(object, |last| last + objects);
        assert_eq!(number, expected, "the next event about object {object}");
        last.insert(object, number);
    }
    assert_eq!(seen.len(), count, "events that arrived");
}

pub(crate) fn numbers(messages: &[IncomingMessage]) -> Vec<usize> {
    messages.iter().map(number).collect()
}
