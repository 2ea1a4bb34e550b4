//! One connection that is never repaired: once it was lost, everything on it fails.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use tokio::sync::watch;

use crate::{BrokerError, secret};

/// To connect, and for each answer and confirmation.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
const PING: Duration = Duration::from_secs(5);

pub(super) struct Settings {
    pub servers: Vec<String>,
    pub credentials_file: Option<PathBuf>,
    pub user_file: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
}

pub(super) struct Connection {
    pub client: Client,
    pub jetstream: jetstream::Context,
    lost: watch::Receiver<bool>,
}

pub(super) fn check(settings: &Settings) -> Result<Vec<ServerAddr>, BrokerError> {
    if settings.servers.is_empty() {
        return Err(BrokerError::Settings(
            "name at least one NATS server".into(),
        ));
    }
    if settings.credentials_file.is_some() && settings.user_file.is_some() {
        let text = "give credentials_file or user_file, not both";
        return Err(BrokerError::Settings(text.into()));
    }
    let parse = |text: &String| {
        let parsed: Result<ServerAddr, _> = text.parse();
        match parsed {
            Ok(address) if !address.has_user_pass() => Ok(address),
            // What stands there may be a password.
            Ok(_) => Err(BrokerError::Settings(
                "a NATS server's URL holds a user or password; put them into user_file".into(),
            )),
            Err(error) => Err(BrokerError::Settings(format!(
                "a NATS server's URL cannot be read: {error}"
            ))),
        }
    };
    settings.servers.iter().map(parse).collect()
}

impl Connection {
    pub(super) async fn open(settings: &Settings) -> Result<Self, BrokerError> {
        let servers = check(settings)?;
        let (tell, lost) = watch::channel(false);
        let mut options = ConnectOptions::new()
            .name("coffer")
            .connection_timeout(TIMEOUT)
            .request_timeout(Some(TIMEOUT))
            .ping_interval(PING)
            .max_reconnects(servers.len())
            .event_callback(move |event| {
                match event {
                    Event::Disconnected | Event::Closed | Event::SlowConsumer(_) => {
                        tell.send_replace(true);
                    }
                    Event::ServerError(error) => {
                        tracing::warn!(%error, "a NATS server refuses something");
                    }
                    _ => {}
                }
                std::future::ready(())
            });
        if let Some(path) = &settings.credentials_file {
            let text = secret::read(path)?;
            options = options.credentials(&text).map_err(|_| {
                BrokerError::Settings(format!("{} holds no NATS credentials", path.display()))
            })?;
        }
        if let Some(path) = &settings.user_file {
            let (user, password) = secret::read_user(path)?;
            options = options.user_and_password(user, password.as_str().to_owned());
        }
        if let Some(path) = &settings.ca_file {
            options = options.add_root_certificates(path.clone());
        }
        let client = options.connect(servers).await.map_err(refused)?;
        let jetstream = ContextBuilder::new()
            .timeout(TIMEOUT)
            .ack_timeout(TIMEOUT)
            .build(client.clone());
        Ok(Self {
            client,
            jetstream,
            lost,
        })
    }

    /// Fails at once when the connection is lost, in place of waiting for a time-out or for another connection.
    pub(super) async fn guarded<T>(
        &self,
        work: impl Future<Output = Result<T, BrokerError>>,
    ) -> Result<T, BrokerError> {
        let mut lost = self.lost.clone();
        let gone = || BrokerError::Unavailable("the connection was lost".into());
        tokio::select! {
            biased;
            _ = lost.wait_for(|lost| *lost) => Err(gone()),
            result = work => result,
        }
    }

    /// The stream with its settings; made when there is none and `new` is given.
    pub(super) async fn stream(
        &self,
        name: &str,
        new: Option<stream::Config>,
    ) -> Result<stream::Stream, BrokerError> {
        use async_nats::jetstream::context::GetStreamErrorKind;
        match self.jetstream.get_stream(name).await {
            Ok(stream) => Ok(stream),
            Err(error) => match (error.kind(), new) {
                (GetStreamErrorKind::JetStream(inner), Some(config)) if inner.code() == 404 => self
                    .jetstream
                    .create_stream(config)
                    .await
                    .map_err(|error| BrokerError::Refused(format!("no stream {name}: {error}"))),
                (GetStreamErrorKind::JetStream(inner), None) if inner.code() == 404 => {
                    Err(BrokerError::Refused(format!(
                        "there is no stream {name}; make it, or set create_stream = true"
                    )))
                }
                // It has just started, or its cluster has no leader yet.
                (GetStreamErrorKind::JetStream(inner), _) if inner.code() >= 500 => {
                    Err(BrokerError::Unavailable(error.to_string()))
                }
                (GetStreamErrorKind::Request, _) => Err(BrokerError::Unavailable(format!(
                    "JetStream does not answer: {error}"
                ))),
                _ => Err(BrokerError::Refused(format!("stream {name}: {error}"))),
            },
        }
    }
}

fn refused(error: async_nats::ConnectError) -> BrokerError {
    match error.kind() {
        ConnectErrorKind::Authentication
        | ConnectErrorKind::AuthorizationViolation
        | ConnectErrorKind::Tls => BrokerError::Refused(error.to_string()),
        ConnectErrorKind::ServerParse => BrokerError::Settings(error.to_string()),
        _ => BrokerError::Unavailable(error.to_string()),
    }
}

/// Whether a subject is within a pattern with `*` and a last `>`.
pub(super) fn covers(pattern: &str, subject: &str) -> bool {
    let mut subject = subject.split('.');
    for level in pattern.split('.') {
        match (level, subject.next()) {
            (">", Some(_)) => return true,
            (">", None) | (_, None) => return false,
            ("*", Some(other)) if other != ">" => {}
            (level, Some(other)) if level == other => {}
            _ => return false,
        }
    }
    subject.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_what_nats_says() {
        let check = |pattern: &str, subject: &str, expected: bool| {
            assert_eq!(covers(pattern, subject), expected, "{pattern} {subject}");
        };
        check("a.>", "a.>", true);
        check("a.>", "a.b.>", true);
        check("a.*", "a.b", true);
        check("a.*", "a.>", false);
        check("a.*", "a.b.c", false);
        check("a.>", "a", false);
        check("a", "a", true);
        check("a.b.>", "a.>", false);
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        let settings = |server: &str| Settings {
            servers: vec![server.into()],
            credentials_file: None,
            user_file: None,
            ca_file: None,
        };
        let error = check(&settings("nats://ann:secret@localhost:4222")).expect_err("a password");
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(check(&settings("nats://localhost:4222")).is_ok());
    }
}
