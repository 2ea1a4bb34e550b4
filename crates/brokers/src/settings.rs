//! What the configuration file says about a broker: `[sinks.broker.nats]` (or `rabbitmq`, `kafka`) chooses the struct. The structs
//! are there whether or not the client is built in, so that a file that names it gets an answer in words.

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use crate::{BrokerError, SinkConnector, SourceConnector};

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum SinkBroker {
    Nats(NatsSink),
    Rabbitmq(RabbitmqSink),
    Kafka(KafkaSink),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum SourceBroker {
    Nats(NatsSource),
    Rabbitmq(RabbitmqSource),
    Kafka(KafkaSource),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsSink {
    /// `nats://host:4222` or `tls://host:4222`; no user or password in it.
    pub servers: Vec<String>,
    /// A `.creds` file, or else `user_file`.
    pub credentials_file: Option<PathBuf>,
    /// One line, `user:password`.
    pub user_file: Option<PathBuf>,
    /// Authorities to trust, PEM; unset: those of the system.
    pub ca_file: Option<PathBuf>,
    /// The stream that holds the subjects `<prefix>.>`.
    pub stream: String,
    pub prefix: String,
    /// Make the stream if there is none. Without it a missing stream is refused.
    #[serde(default)]
    pub create_stream: bool,
    #[serde(default = "one")]
    pub replicas: usize,
    /// For a stream that is made here; 0 is no limit.
    #[serde(default)]
    pub max_bytes: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsSource {
    pub servers: Vec<String>,
    pub credentials_file: Option<PathBuf>,
    pub user_file: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
    pub stream: String,
    /// The subjects that are read, all in `stream`; a wildcard is allowed.
    pub subject: String,
    /// Name of the durable consumer.
    pub consumer: String,
    #[serde(default)]
    pub create_stream: bool,
    #[serde(default = "one")]
    pub replicas: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RabbitmqSink {
    /// `amqp://host:5672/vhost` or `amqps://…`; no user or password in it. Without a vhost it is `/`.
    pub url: String,
    /// One line, `user:password`; unset: RabbitMQ's own `guest`, which it lets in from the same machine only.
    pub user_file: Option<PathBuf>,
    /// PEM; `amqps` needs it, the public authorities are not trusted.
    pub ca_file: Option<PathBuf>,
    /// A durable topic exchange. Something must be bound to it: what it cannot route is an error.
    pub exchange: String,
    /// A queue that must be there; with `create` a quorum queue bound to everything.
    pub queue: Option<String>,
    /// Make exchange, queue and binding where they are missing. One of other kind is refused.
    #[serde(default)]
    pub create: bool,
    #[serde(default = "confirm_timeout_ms")]
    pub confirm_timeout_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RabbitmqSource {
    pub url: String,
    pub user_file: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
    pub queue: String,
    /// Make it as a quorum queue where it is missing. One of other kind is refused.
    #[serde(default)]
    pub create: bool,
    /// Messages that are handed over before they are settled.
    #[serde(default = "prefetch")]
    pub prefetch: NonZeroU16,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSink {
    /// `host:9092`. Unencrypted: for a broker elsewhere, a tunnel on this machine.
    pub servers: Vec<String>,
    /// One line, `user:password`, for SASL PLAIN.
    pub user_file: Option<PathBuf>,
    pub topic: String,
    /// Make the topic where it is missing.
    #[serde(default)]
    pub create_topic: bool,
    /// For a topic that is made here.
    #[serde(default = "partitions")]
    pub partitions: u16,
    #[serde(default = "replicas")]
    pub replicas: u16,
    #[serde(default = "confirm_timeout_ms")]
    pub confirm_timeout_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSource {
    pub servers: Vec<String>,
    pub user_file: Option<PathBuf>,
    pub topic: String,
    /// Name of the consumer group.
    pub group: String,
}

const fn prefetch() -> NonZeroU16 {
    NonZeroU16::new(64).expect("64 is not 0")
}

const fn confirm_timeout_ms() -> u64 {
    30_000
}

const fn partitions() -> u16 {
    12
}

const fn replicas() -> u16 {
    3
}

const fn one() -> usize {
    1
}

impl SinkBroker {
    /// Checks the settings; connects to nothing.
    ///
    /// # Errors
    /// [`BrokerError::Settings`] or [`BrokerError::NotBuilt`].
    pub fn connector(&self) -> Result<Arc<dyn SinkConnector>, BrokerError> {
        match self {
            #[cfg(feature = "nats")]
            Self::Nats(settings) => crate::nats::sink(settings.clone()),
            #[cfg(not(feature = "nats"))]
            Self::Nats(_) => Err(BrokerError::NotBuilt("nats")),
            #[cfg(feature = "rabbitmq")]
            Self::Rabbitmq(settings) => crate::rabbitmq::sink(settings.clone()),
            #[cfg(not(feature = "rabbitmq"))]
            Self::Rabbitmq(_) => Err(BrokerError::NotBuilt("rabbitmq")),
            #[cfg(feature = "kafka")]
            Self::Kafka(settings) => crate::kafka::sink(settings.clone()),
            #[cfg(not(feature = "kafka"))]
            Self::Kafka(_) => Err(BrokerError::NotBuilt("kafka")),
        }
    }
}

impl SourceBroker {
    /// Checks the settings; connects to nothing.
    ///
    /// # Errors
    /// [`BrokerError::Settings`] or [`BrokerError::NotBuilt`].
    pub fn connector(&self) -> Result<Arc<dyn SourceConnector>, BrokerError> {
        match self {
            #[cfg(feature = "nats")]
            Self::Nats(settings) => crate::nats::source(settings.clone()),
            #[cfg(not(feature = "nats"))]
            Self::Nats(_) => Err(BrokerError::NotBuilt("nats")),
            #[cfg(feature = "rabbitmq")]
            Self::Rabbitmq(settings) => crate::rabbitmq::source(settings.clone()),
            #[cfg(not(feature = "rabbitmq"))]
            Self::Rabbitmq(_) => Err(BrokerError::NotBuilt("rabbitmq")),
            #[cfg(feature = "kafka")]
            Self::Kafka(settings) => crate::kafka::source(settings.clone()),
            #[cfg(not(feature = "kafka"))]
            Self::Kafka(_) => Err(BrokerError::NotBuilt("kafka")),
        }
    }
}
