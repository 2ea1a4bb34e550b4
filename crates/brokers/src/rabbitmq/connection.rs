use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::uri::{AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Connection, ConnectionProperties, ErrorKind};

use crate::{BrokerError, secret};

/// For the whole of a connection's set-up, and for each question to the broker after it.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// The broker is given up after two of them without a sign of life.
const HEARTBEAT_SECONDS: u16 = 10;
/// Of the names in AMQP 0-9-1.
const SHORT_STRING_BYTES_MAX: usize = 255;

/// Where a broker is and who we are to it; the files are read at each connect.
pub(super) struct Endpoint {
    uri: AMQPUri,
    user_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
}

impl Endpoint {
    pub(super) fn try_new(
        url: &str,
        user_file: Option<PathBuf>,
        ca_file: Option<PathBuf>,
    ) -> Result<Self, BrokerError> {
        let settings = |why: &str| BrokerError::Settings(format!("url: {why}"));
        // Not repeated in the message: it may hold a password.
        if url.contains('@') {
            return Err(settings(
                "it may hold no user or password, name a user_file",
            ));
        }
        let mut uri: AMQPUri = url
            .parse()
            .map_err(|_| settings("must read amqp://host:5672/vhost or amqps://host:5671/vhost"))?;
        if uri.scheme == AMQPScheme::AMQPS && ca_file.is_none() {
            return Err(settings(
                "amqps needs a ca_file, the PEM of the authority that signed the broker's certificate",
            ));
        }
        uri.query.heartbeat = Some(HEARTBEAT_SECONDS);
        uri.query.connection_timeout =
            Some(u64::try_from(ANSWER_WITHIN.as_millis()).unwrap_or(u64::MAX));
        Ok(Self {
            uri,
            user_file,
            ca_file,
        })
    }

    pub(super) async fn connect(&self, purpose: &str) -> Result<Connection, BrokerError> {
        let mut uri = self.uri.clone();
        if let Some(path) = &self.user_file {
            let (username, password) = secret::read_user(path)?;
            uri.authority.userinfo = AMQPUserInfo {
                username,
                password: password.as_str().to_owned(),
            };
        }
        let mut tls = lapin::tcp::OwnedTLSConfig::default();
        if let Some(path) = &self.ca_file {
            let read = std::fs::read_to_string(path).map_err(|error| {
                BrokerError::Settings(format!("ca_file: cannot read {}: {error}", path.display()))
            })?;
            tls.cert_chain = Some(read);
        }
        // Nothing is repaired behind our back: what was unconfirmed would be lost or turned round.
        let properties = ConnectionProperties::default()
            .with_connection_name(format!("coffer {purpose}").as_str().into());
        let runtime = lapin::runtime::default_runtime().map_err(|error| broken(&error))?;
        let connect = Connection::connect_uri_with_config(uri, properties, tls, runtime);
        answer("the connection", connect).await
    }
}

/// A name that AMQP can carry.
pub(super) fn name(setting: &str, text: &str) -> Result<(), BrokerError> {
    if text.is_empty() || text.len() > SHORT_STRING_BYTES_MAX {
        return Err(BrokerError::Settings(format!(
            "{setting}: must have 1 to {SHORT_STRING_BYTES_MAX} bytes"
        )));
    }
    Ok(())
}

/// The text as AMQP's short string, or an error that says which one is too long.
pub(super) fn short(what: &str, text: &str) -> Result<ShortString, BrokerError> {
    ShortString::try_new(text).map_err(|_| {
        BrokerError::Refused(format!(
            "{what} has {} bytes, AMQP allows {SHORT_STRING_BYTES_MAX}",
            text.len()
        ))
    })
}

/// The returns after which RabbitMQ gives a message up, when its queue is made here: never, in practice. From version 4 on it
/// is 20 where nothing is said, and each lost connection is a return; 0 and -1 mean other things in older versions.
const DELIVERY_LIMIT: i64 = 1_000_000_000;

/// Arguments of a queue that is replicated, and drops nothing in silence.
pub(super) fn quorum_queue() -> FieldTable {
    let mut arguments = FieldTable::default();
    let kind = AMQPValue::LongString("quorum".into());
    arguments.insert("x-queue-type".into(), kind);
    arguments.insert(
        "x-delivery-limit".into(),
        AMQPValue::LongLongInt(DELIVERY_LIMIT),
    );
    arguments
}

/// What the broker says to one question, if it says it in time.
pub(super) async fn answer<T>(
    what: &str,
    question: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<T, BrokerError> {
    within(ANSWER_WITHIN, what, question).await
}

pub(super) async fn within<T>(
    limit: Duration,
    what: &str,
    question: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<T, BrokerError> {
    match tokio::time::timeout(limit, question).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(broken(&error)),
        Err(_) => Err(BrokerError::Unavailable(format!(
            "no answer within {} ms about {what}",
            limit.as_millis()
        ))),
    }
}

/// What a person has to change is a refusal; whatever else, another connection may cure.
pub(super) fn broken(error: &lapin::Error) -> BrokerError {
    let text = error.to_string();
    let refused = match error.kind() {
        ErrorKind::ProtocolError(error) => matches!(
            error.kind(),
            AMQPErrorKind::Soft(
                AMQPSoftError::ACCESSREFUSED
                    | AMQPSoftError::NOTFOUND
                    | AMQPSoftError::PRECONDITIONFAILED
                    | AMQPSoftError::CONTENTTOOLARGE
            ) | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED | AMQPHardError::INVALIDPATH)
        ),
        ErrorKind::AuthProviderError(_) | ErrorKind::InvalidProtocolVersion(_) => true,
        _ => false,
    };
    if refused {
        BrokerError::Refused(text)
    } else {
        BrokerError::Unavailable(text)
    }
}
