use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::{self, ConsumerErrorKind, DiscardPolicy, RetentionPolicy};
use async_nats::jetstream::{AckKind, consumer};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::StreamExt as _;

use super::connect::{self, Connection, covers};
use crate::{BrokerError, Header, IncomingMessage, NatsSource, Source, SourceConnector, Token};

/// After this long without a sign of life from us the server delivers again.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// How long one question for messages stands before it is asked again.
const EXPIRES: Duration = Duration::from_secs(5);
/// Put-back and not yet settled messages of one consumer, in all processes.
const PENDING_MAX: i64 = 10_000;

pub(super) struct Connector {
    settings: NatsSource,
}

struct NatsReader {
    connection: Connection,
    consumer: consumer::PullConsumer,
}

impl NatsSource {
    pub(super) fn connection(&self) -> connect::Settings {
        connect::Settings {
            servers: self.servers.clone(),
            credentials_file: self.credentials_file.clone(),
            user_file: self.user_file.clone(),
            ca_file: self.ca_file.clone(),
        }
    }

    fn new_stream(&self) -> stream::Config {
        stream::Config {
            name: self.stream.clone(),
            subjects: vec![self.subject.clone()],
            // What was acknowledged goes; what was not, stays, and a full stream refuses its publishers.
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            num_replicas: self.replicas,
            ..stream::Config::default()
        }
    }

    fn new_consumer(&self) -> pull::Config {
        pull::Config {
            durable_name: Some(self.consumer.clone()),
            filter_subject: self.subject.clone(),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            deliver_policy: DeliverPolicy::All,
            max_deliver: -1,
            max_ack_pending: PENDING_MAX,
            ..pull::Config::default()
        }
    }

    fn check(&self, stream: &stream::Config, found: &consumer::Config) -> Result<(), BrokerError> {
        let refuse = |what: &str, name: &str, why: &str| {
            Err(BrokerError::Refused(format!("the {what} {name} {why}")))
        };
        if !stream
            .subjects
            .iter()
            .any(|held| covers(held, &self.subject))
        {
            let why = format!("does not hold the subject {}", self.subject);
            return refuse("stream", &self.stream, &why);
        }
        if found.ack_policy != AckPolicy::Explicit {
            return refuse(
                "consumer",
                &self.consumer,
                "must acknowledge each message (ack_policy explicit)",
            );
        }
        if found.max_deliver > 0 {
            return refuse(
                "consumer",
                &self.consumer,
                "gives messages up after some deliveries (max_deliver); set it to -1",
            );
        }
        if found.filter_subject != self.subject {
            return refuse("consumer", &self.consumer, "reads another subject");
        }
        Ok(())
    }
}

impl Connector {
    pub(super) fn new(settings: NatsSource) -> Self {
        Self { settings }
    }

    async fn open(&self) -> Result<Box<dyn Source>, BrokerError> {
        let settings = &self.settings;
        let connection = Connection::open(&settings.connection()).await?;
        let new = settings.create_stream.then(|| settings.new_stream());
        let stream = connection.stream(&settings.stream, new).await?;
        let consumer: consumer::PullConsumer = stream
            .get_or_create_consumer(&settings.consumer, settings.new_consumer())
            .await
            .map_err(|error| match error.kind() {
                ConsumerErrorKind::TimedOut | ConsumerErrorKind::Request => {
                    BrokerError::Unavailable(error.to_string())
                }
                ConsumerErrorKind::JetStream(inner) if inner.code() >= 500 => {
                    BrokerError::Unavailable(error.to_string())
                }
                _ => BrokerError::Refused(format!("consumer {}: {error}", settings.consumer)),
            })?;
        settings.check(&stream.cached_info().config, &consumer.cached_info().config)?;
        Ok(Box::new(NatsReader {
            connection,
            consumer,
        }))
    }
}

impl SourceConnector for Connector {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Source>, BrokerError>> {
        self.open().boxed()
    }
}

impl NatsReader {
    /// The first message is waited for; the others are taken if they are there. Each question is answered to its end: what the server
    /// still sent to one that was dropped would come again only after [`ACK_WAIT`].
    async fn batch(&self, limit: usize) -> Result<Vec<IncomingMessage>, BrokerError> {
        let first = self.consumer.batch().max_messages(1).expires(EXPIRES);
        let mut received = drained(first.messages().await).await?;
        if !received.is_empty() && limit > 1 {
            let others = self.consumer.fetch().max_messages(limit - 1);
            received.extend(drained(others.messages().await).await?);
        }
        Ok(received)
    }

    /// Tells the server about a delivery, and waits until it has heard it.
    async fn settle(&self, message: &IncomingMessage, kind: AckKind) -> Result<(), BrokerError> {
        let Token::Subject(subject) = &message.token else {
            return Err(BrokerError::Settings("a token of another broker".into()));
        };
        let told = async {
            self.connection
                .client
                .request(subject.clone(), kind.into())
                .await
                .map(drop)
                .map_err(|error| BrokerError::Unavailable(error.to_string()))
        };
        self.connection.guarded(told).await
    }
}

async fn drained(
    batch: Result<pull::Batch, pull::BatchError>,
) -> Result<Vec<IncomingMessage>, BrokerError> {
    let unavailable = |error: &dyn std::fmt::Display| BrokerError::Unavailable(error.to_string());
    let mut messages = batch.map_err(|error| unavailable(&error))?;
    let mut received = Vec::new();
    while let Some(message) = messages.next().await {
        received.push(incoming(&message.map_err(|error| unavailable(&error))?)?);
    }
    Ok(received)
}

fn incoming(message: &async_nats::jetstream::Message) -> Result<IncomingMessage, BrokerError> {
    let broken = |what: &str| BrokerError::Unavailable(format!("a delivery without {what}"));
    let info = message.info().map_err(|_| broken("its place"))?;
    let token = message
        .reply
        .as_ref()
        .ok_or_else(|| broken("a reply subject"))?;
    let mut headers = Vec::new();
    if let Some(map) = &message.headers {
        for (name, values) in map.iter() {
            headers.extend(values.iter().map(|value| Header {
                name: name.to_string(),
                value: value.as_str().to_owned(),
            }));
        }
    }
    let mut incoming = IncomingMessage {
        subject: message.subject.to_string(),
        headers,
        body: message.payload.clone(),
        reply_to: None,
        deliveries: u64::try_from(info.delivered).unwrap_or(1),
        token: Token::Subject(token.to_string()),
    };
    incoming.reply_to = incoming
        .header(IncomingMessage::REPLY_TO)
        .map(str::to_owned);
    Ok(incoming)
}

impl Source for NatsReader {
    fn receive(
        &mut self,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<IncomingMessage>, BrokerError>> {
        async move {
            loop {
                let received = self.connection.guarded(self.batch(limit.max(1))).await?;
                if !received.is_empty() {
                    return Ok(received);
                }
            }
        }
        .boxed()
    }

    fn acknowledge<'a>(
        &'a mut self,
        message: &'a IncomingMessage,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.settle(message, AckKind::Ack).boxed()
    }

    fn put_back<'a>(
        &'a mut self,
        message: &'a IncomingMessage,
        delay: Duration,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.settle(message, AckKind::Nak(Some(delay))).boxed()
    }

    fn extend<'a>(
        &'a mut self,
        message: &'a IncomingMessage,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.settle(message, AckKind::Progress).boxed()
    }

    fn reply<'a>(
        &'a mut self,
        message: &'a IncomingMessage,
        body: Bytes,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        async move {
            let Some(subject) = message.reply_to.clone() else {
                return Ok(());
            };
            let client = &self.connection.client;
            let sent = async {
                let lost =
                    |error: &dyn std::fmt::Display| BrokerError::Unavailable(error.to_string());
                client
                    .publish(subject, body)
                    .await
                    .map_err(|error| lost(&error))?;
                client.flush().await.map_err(|error| lost(&error))
            };
            self.connection.guarded(sent).await
        }
        .boxed()
    }
}
