//! What the configuration file says about a broker: `[sinks.broker.nats]` (or `rabbitmq`, `kafka`) chooses the struct. The structs
//! are there whether or not the client is built in, so that a file that names it gets an answer in words.

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
pub struct RabbitmqSink {}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RabbitmqSource {}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSink {}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSource {}

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
            Self::Rabbitmq(_) => Err(BrokerError::NotBuilt("rabbitmq")),
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
            Self::Rabbitmq(_) => Err(BrokerError::NotBuilt("rabbitmq")),
            Self::Kafka(_) => Err(BrokerError::NotBuilt("kafka")),
        }
    }
}
