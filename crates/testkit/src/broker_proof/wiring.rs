//! How each broker is set up for the scenario: where events go and are read, where commands are sent and taken.

use anyhow::Result;
use coffer_brokers::{SinkBroker, SourceBroker};
use serde_json::{Value, json};

/// Settings of the nth reader at an address.
pub(super) type Reader = fn(&str, usize) -> Result<SourceBroker>;

pub struct Wiring {
    /// As the configuration calls it.
    pub name: &'static str,
    /// On which a command arrives.
    pub subject: &'static str,
    /// Where commands of a key arrive that may make no batches; no subject can be told apart within a topic of Kafka.
    pub strangers: Option<&'static str>,
    /// Whether messages stay at the broker when they were read.
    pub(super) rereads: bool,
    /// Whether the broker shows the newest messages only once others follow them.
    pub(super) holds_back: bool,
    /// Queues that a kill would leave without a leader as long as the broker has not written down that it has them.
    pub(super) queues: &'static [&'static str],
    pub(super) reader: Reader,
    sink: fn(&str) -> Value,
    submitter: fn(&str) -> Value,
    source: fn(&str) -> Value,
}

impl Wiring {
    pub const NATS: Self = Self {
        name: "nats",
        subject: "in.erp.batch.orders",
        strangers: Some("in.erp.batch.strangers"),
        sink: |address| json!({ "servers": [nats(address)], "stream": "EVENTS", "prefix": "coffer", "create_stream": true }),
        rereads: true,
        holds_back: false,
        queues: &[],
        reader: |address, number| {
            let consumer = format!("reader-{number}");
            settings(
                json!({ "nats": { "servers": [nats(address)], "stream": "EVENTS", "subject": "coffer.>", "consumer": consumer } }),
            )
        },
        submitter: |address| json!({ "servers": [nats(address)], "stream": "WORK", "prefix": "in", "create_stream": true }),
        source: |address| json!({ "servers": [nats(address)], "stream": "WORK", "subject": "in.>", "consumer": "coffer", "create_stream": true }),
    };

    pub const RABBITMQ: Self = Self {
        name: "rabbitmq",
        subject: "erp.batch.orders",
        strangers: Some("erp.batch.strangers"),
        sink: |address| json!({ "url": amqp(address), "exchange": "events", "queue": "events", "create": true }),
        rereads: false,
        holds_back: false,
        queues: &["events", "work"],
        reader: |address, _| {
            settings(
                json!({ "rabbitmq": { "url": amqp(address), "queue": "events", "create": true } }),
            )
        },
        submitter: |address| json!({ "url": amqp(address), "exchange": "work", "queue": "work", "create": true }),
        source: |address| json!({ "url": amqp(address), "queue": "work" }),
    };

    pub const KAFKA: Self = Self {
        name: "kafka",
        subject: "work",
        strangers: None,
        sink: |address| json!({ "servers": [address], "topic": "events", "create_topic": true, "partitions": 3, "replicas": 1 }),
        rereads: true,
        holds_back: true,
        queues: &[],
        reader: |address, number| {
            let group = format!("reader-{number}");
            settings(
                json!({ "kafka": { "servers": [address], "topic": "events", "group": group } }),
            )
        },
        submitter: |address| json!({ "servers": [address], "topic": "work", "create_topic": true, "partitions": 3, "replicas": 1 }),
        source: |address| json!({ "servers": [address], "topic": "work", "group": "coffer" }),
    };

    pub(super) fn submitter(&self, address: &str) -> Result<SinkBroker> {
        let settings = (self.submitter)(address);
        Ok(serde_json::from_value(json!({ self.name: settings }))?)
    }

    pub(super) fn sink_lines(&self, address: &str) -> Result<String> {
        lines(&(self.sink)(address))
    }

    pub(super) fn source_lines(&self, address: &str) -> Result<String> {
        lines(&(self.source)(address))
    }
}

fn settings(json: Value) -> Result<SourceBroker> {
    Ok(serde_json::from_value(json)?)
}

/// As the keys of a TOML table: JSON's texts, numbers, booleans and lists are TOML's too.
fn lines(settings: &Value) -> Result<String> {
    let settings = settings.as_object().into_iter().flatten();
    let lines =
        settings.map(|(key, value)| Ok(format!("{key} = {}", serde_json::to_string(value)?)));
    Ok(lines.collect::<Result<Vec<_>>>()?.join("\n"))
}

fn nats(address: &str) -> String {
    format!("nats://{address}")
}

fn amqp(address: &str) -> String {
    format!("amqp://{address}")
}
