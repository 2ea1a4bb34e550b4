use std::collections::VecDeque;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

use super::client::{self, Client};
use crate::{BrokerError, OutgoingMessage, Sink};

/// Undelivered at one time; more would only lie in memory. librdkafka's own queue is larger.
const IN_FLIGHT_MAX: usize = 10_000;

pub(super) struct KafkaSink {
    producer: Client<FutureProducer>,
    topic: String,
    confirm_within: Duration,
}

impl KafkaSink {
    pub(super) async fn connect(settings: &crate::KafkaSink) -> Result<Self, BrokerError> {
        let base = client::config(&settings.servers, settings.user_file.as_deref())?;
        let producer = Client::new(producer(base.clone(), settings.confirm_timeout_ms)?);
        let sink = Self {
            producer,
            topic: settings.topic.clone(),
            confirm_within: Duration::from_millis(settings.confirm_timeout_ms),
        };
        let (producer, topic) = (sink.producer.share(), sink.topic.clone());
        let partitions =
            client::blocking(move || client::partitions(producer.client(), &topic)).await??;
        match (partitions, settings.create_topic) {
            (0, true) => create(&base, settings).await?,
            (0, false) => return Err(client::no_topic(&settings.topic)),
            _ => {}
        }
        Ok(sink)
    }

    fn send(&self, message: &OutgoingMessage) -> Result<DeliveryFuture, BrokerError> {
        // https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md#33-structured-content-mode
        let headers = OwnedHeaders::new_with_capacity(2)
            .insert(Header {
                key: "content-type",
                value: Some(OutgoingMessage::CONTENT_TYPE),
            })
            .insert(Header {
                key: "message-id",
                value: Some(&message.id),
            });
        let record = FutureRecord::to(&self.topic)
            .key(key(message))
            .payload(message.body.as_ref())
            .headers(headers);
        self.producer
            .send_result(record)
            .map_err(|(error, _)| named(&message.id, &error))
    }

    async fn publish_all(&self, messages: &[OutgoingMessage]) -> Result<(), BrokerError> {
        let mut in_flight: VecDeque<(&OutgoingMessage, DeliveryFuture)> = VecDeque::new();
        for message in messages {
            if in_flight.len() >= IN_FLIGHT_MAX
                && let Some(oldest) = in_flight.pop_front()
            {
                self.delivered(oldest).await?;
            }
            in_flight.push_back((message, self.send(message)?));
        }
        for sent in in_flight {
            self.delivered(sent).await?;
        }
        Ok(())
    }

    async fn delivered(
        &self,
        (message, delivery): (&OutgoingMessage, DeliveryFuture),
    ) -> Result<(), BrokerError> {
        let report = tokio::time::timeout(self.confirm_within, delivery).await;
        match report {
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(Ok(Err((error, _)))) => Err(self.failed(&message.id, &error)),
            Ok(Err(_)) => Err(BrokerError::Unavailable(
                "the producer has ended".to_owned(),
            )),
            Err(_) => Err(BrokerError::Unavailable(format!(
                "{} was not confirmed within {} ms",
                message.id,
                self.confirm_within.as_millis()
            ))),
        }
    }

    /// The first cause: what is queued behind a message that failed is only told that it was purged.
    fn failed(&self, id: &str, error: &KafkaError) -> BrokerError {
        match self.producer.client().fatal_error() {
            Some((code, text)) => client::by_code(code, format!("{id}: {text}")),
            None => named(id, error),
        }
    }
}

/// The ordering key. What is about no single object is in order within its organization.
fn key(message: &OutgoingMessage) -> &str {
    match message.object.as_str() {
        "" => &message.organization,
        object => object,
    }
}

fn named(id: &str, error: &KafkaError) -> BrokerError {
    match client::broken(error) {
        BrokerError::Refused(text) => BrokerError::Refused(format!("{id}: {text}")),
        BrokerError::Unavailable(text) => BrokerError::Unavailable(format!("{id}: {text}")),
        other => other,
    }
}

fn producer(mut config: ClientConfig, timeout_ms: u64) -> Result<FutureProducer, BrokerError> {
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // After a message that failed none behind it is sent: a later event would overtake it when it is sent again. The
        // one failure that this does not cover is a message's own time-out, so there is none; `delivered` has one.
        .set("enable.gapless.guarantee", "true")
        .set("delivery.timeout.ms", "0")
        .set("max.in.flight.requests.per.connection", "5")
        .set(
            "request.timeout.ms",
            timeout_ms.clamp(1_000, 10_000).to_string(),
        )
        // The same partition for a key as Java's clients choose.
        .set("partitioner", "murmur2_random")
        .set("compression.type", "lz4")
        .set("linger.ms", "0.5");
    config.create().map_err(|error| client::broken(&error))
}

async fn create(base: &ClientConfig, settings: &crate::KafkaSink) -> Result<(), BrokerError> {
    let admin: AdminClient<DefaultClientContext> =
        base.create().map_err(|error| client::broken(&error))?;
    let admin = Client::new(admin);
    let topic = NewTopic::new(
        &settings.topic,
        settings.partitions.into(),
        TopicReplication::Fixed(settings.replicas.into()),
    );
    let options = AdminOptions::new()
        .request_timeout(Some(client::ANSWER_WITHIN))
        .operation_timeout(Some(client::ANSWER_WITHIN));
    let made = admin.create_topics([&topic], &options).await;
    for result in made.map_err(|error| client::broken(&error))? {
        match result {
            // Another process was faster.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                return Err(client::by_code(
                    code,
                    format!("cannot make the topic {topic}: {code}"),
                ));
            }
        }
    }
    Ok(())
}

impl Sink for KafkaSink {
    fn publish<'a>(
        &'a mut self,
        messages: &'a [OutgoingMessage],
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.publish_all(messages).boxed()
    }
}
