use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::client::Client as Handle;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::{BrokerError, secret};

/// For each question to the broker.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Of a topic's name, by Kafka's own rule.
const TOPIC_BYTES_MAX: usize = 249;

pub(super) fn check(servers: &[String], topic: &str) -> Result<(), BrokerError> {
    let settings = |text: String| Err(BrokerError::Settings(text));
    if servers.is_empty() {
        return settings("servers: name at least one, as host:9092".to_owned());
    }
    for server in servers {
        if server.contains(['/', ',', '@']) || !server.contains(':') {
            return settings(format!("servers: {server} must read host:9092"));
        }
    }
    if !is_topic(topic) {
        return settings(format!(
            "topic: must have 1 to {TOPIC_BYTES_MAX} letters, digits, '.', '_' or '-'"
        ));
    }
    Ok(())
}

pub(super) fn is_topic(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !text.is_empty()
        && text.len() <= TOPIC_BYTES_MAX
        && text.chars().all(allowed)
        && text != "."
        && text != ".."
}

/// What every client of ours is told.
pub(super) fn config(
    servers: &[String],
    user_file: Option<&Path>,
) -> Result<ClientConfig, BrokerError> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers.join(","))
        .set("client.id", "coffer")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "2000")
        // A topic is made by a person, or by us when we are told to, never by a misspelt name.
        .set("allow.auto.create.topics", "false");
    config.set_log_level(RDKafkaLogLevel::Warning);
    if let Some(path) = user_file {
        let (user, password) = secret::read_user(path)?;
        config
            .set("security.protocol", "SASL_PLAINTEXT")
            .set("sasl.mechanism", "PLAIN")
            .set("sasl.username", user)
            .set("sasl.password", password.as_str());
    }
    Ok(config)
}

/// How many partitions the topic has, by the broker's word; a broker that does not answer is not available.
pub(super) fn partitions<C: ClientContext>(
    client: &Handle<C>,
    topic: &str,
) -> Result<usize, BrokerError> {
    let metadata = client.fetch_metadata(Some(topic), ANSWER_WITHIN);
    let metadata = metadata.map_err(|error| broken(&error))?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    match found.map(|found| (found.error(), found.partitions().len())) {
        Some((None, partitions)) if partitions > 0 => Ok(partitions),
        Some((Some(error), _)) => match RDKafkaErrorCode::from(error) {
            RDKafkaErrorCode::UnknownTopicOrPartition => Ok(0),
            code => Err(by_code(code, format!("the topic {topic}: {code}"))),
        },
        _ => Ok(0),
    }
}

pub(super) fn no_topic(topic: &str) -> BrokerError {
    BrokerError::Refused(format!("there is no topic {topic}"))
}

/// Runs what blocks on a thread for such.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BrokerError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|error| BrokerError::Unavailable(error.to_string()))
}

/// What a person has to change is a refusal; whatever else, another connection may cure.
pub(super) fn broken(error: &KafkaError) -> BrokerError {
    match (error, error.rdkafka_error_code()) {
        (KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_), _) => {
            BrokerError::Settings(error.to_string())
        }
        (_, Some(code)) => by_code(code, error.to_string()),
        (_, None) => BrokerError::Unavailable(error.to_string()),
    }
}

pub(super) fn by_code(code: RDKafkaErrorCode, text: String) -> BrokerError {
    use RDKafkaErrorCode as Code;
    let refused = matches!(
        code,
        Code::MessageSizeTooLarge
            | Code::InvalidMessageSize
            | Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::UnknownPartition
            | Code::InvalidTopic
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication
            | Code::UnsupportedVersion
            | Code::PolicyViolation
            | Code::InvalidReplicationFactor
            | Code::InvalidPartitions
    );
    if refused {
        BrokerError::Refused(text)
    } else {
        BrokerError::Unavailable(text)
    }
}

/// A client of librdkafka, which blocks while it is dropped: its threads end, its group is left. So it is dropped on a
/// thread for such.
pub(super) struct Client<T: Send + Sync + 'static>(Option<Arc<T>>);

impl<T: Send + Sync> Client<T> {
    pub(super) fn new(client: T) -> Self {
        Self(Some(Arc::new(client)))
    }

    /// To borrow from it while its owner changes.
    pub(super) fn share(&self) -> Arc<T> {
        Arc::clone(self.0.as_ref().expect("it is there until it is dropped"))
    }
}

impl<T: Send + Sync> Deref for Client<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T: Send + Sync> Drop for Client<T> {
    fn drop(&mut self) {
        let client = self.0.take();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(move || drop(client)));
        }
    }
}
