use std::time::Duration;

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy, StorageType};
use futures_util::future::{BoxFuture, FutureExt as _, try_join_all};

use super::connect::{self, Connection, covers};
use crate::order::waves;
use crate::{BrokerError, NatsSink, OutgoingMessage, Sink, SinkConnector};

/// For how long a stream made here knows the ids that it has seen.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(600);

pub(super) struct Connector {
    settings: NatsSink,
}

struct NatsPublisher {
    connection: Connection,
    prefix: String,
}

impl NatsSink {
    pub(super) fn connection(&self) -> connect::Settings {
        connect::Settings {
            servers: self.servers.clone(),
            credentials_file: self.credentials_file.clone(),
            user_file: self.user_file.clone(),
            ca_file: self.ca_file.clone(),
        }
    }

    fn subjects(&self) -> String {
        format!("{}.>", self.prefix)
    }

    /// Of a stream made here.
    fn new_stream(&self) -> stream::Config {
        stream::Config {
            name: self.stream.clone(),
            subjects: vec![self.subjects()],
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            // Old events go when it is full: they are kept in Coffer.
            discard: DiscardPolicy::Old,
            max_bytes: if self.max_bytes == 0 {
                -1
            } else {
                self.max_bytes
            },
            num_replicas: self.replicas,
            duplicate_window: DUPLICATE_WINDOW,
            ..stream::Config::default()
        }
    }

    fn check_stream(&self, found: &stream::Config) -> Result<(), BrokerError> {
        let refuse = |why: String| {
            Err(BrokerError::Refused(format!(
                "the stream {} {why}",
                self.stream
            )))
        };
        let ours = self.subjects();
        if !found.subjects.iter().any(|held| covers(held, &ours)) {
            return refuse(format!("does not hold the subjects {ours}"));
        }
        if found.no_ack {
            return refuse("confirms nothing (no_ack)".into());
        }
        if found.duplicate_window.is_zero() {
            return refuse("looks for no duplicates (duplicate_window is 0)".into());
        }
        Ok(())
    }
}

impl Connector {
    pub(super) fn new(settings: NatsSink) -> Self {
        Self { settings }
    }

    async fn open(&self) -> Result<Box<dyn Sink>, BrokerError> {
        let settings = &self.settings;
        let connection = Connection::open(&settings.connection()).await?;
        let new = settings.create_stream.then(|| settings.new_stream());
        let stream = connection.stream(&settings.stream, new).await?;
        settings.check_stream(&stream.cached_info().config)?;
        Ok(Box::new(NatsPublisher {
            connection,
            prefix: settings.prefix.clone(),
        }))
    }
}

impl SinkConnector for Connector {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Sink>, BrokerError>> {
        self.open().boxed()
    }
}

impl NatsPublisher {
    async fn wave(&self, messages: &[OutgoingMessage]) -> Result<(), BrokerError> {
        let mut confirmations = Vec::with_capacity(messages.len());
        for message in messages {
            let publish = PublishMessage::build()
                .message_id(&message.id)
                .header("Content-Type", OutgoingMessage::CONTENT_TYPE)
                .payload(message.body.clone());
            let subject = format!("{}.{}", self.prefix, message.path());
            let sent = self
                .connection
                .jetstream
                .send_publish(subject, publish)
                .await;
            confirmations.push(sent.map_err(not_published)?.into_future());
        }
        try_join_all(confirmations)
            .await
            .map(drop)
            .map_err(not_published)
    }
}

fn not_published(error: async_nats::jetstream::context::PublishError) -> BrokerError {
    match error.kind() {
        PublishErrorKind::StreamNotFound | PublishErrorKind::MaxPayloadExceeded => {
            BrokerError::Refused(error.to_string())
        }
        // The source says what JetStream has against it.
        PublishErrorKind::Other => BrokerError::Refused(error.to_string()),
        _ => BrokerError::Unavailable(error.to_string()),
    }
}

impl Sink for NatsPublisher {
    fn publish<'a>(
        &'a mut self,
        messages: &'a [OutgoingMessage],
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        async move {
            for wave in waves(messages) {
                self.connection.guarded(self.wave(wave)).await?;
            }
            Ok(())
        }
        .boxed()
    }
}
