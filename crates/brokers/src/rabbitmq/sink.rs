use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ExchangeKind, PublisherConfirm};

use super::connection::{Endpoint, answer, quorum_queue, short, within};
use crate::{BrokerError, OutgoingMessage, Sink};

/// Unconfirmed at one time; more would only lie in the broker's and in our memory.
const IN_FLIGHT_MAX: usize = 1024;
const PERSISTENT: u8 = 2;

pub(super) struct RabbitmqSink {
    channel: Channel,
    exchange: ShortString,
    confirm_within: Duration,
    /// The channel ends with it.
    _connection: Connection,
}

/// Sent and not yet confirmed.
struct InFlight<'a> {
    message: &'a OutgoingMessage,
    key: &'a str,
    confirm: PublisherConfirm,
}

impl RabbitmqSink {
    pub(super) async fn connect(
        endpoint: &Endpoint,
        settings: &crate::RabbitmqSink,
    ) -> Result<Self, BrokerError> {
        let connection = endpoint.connect("sink").await?;
        let channel = answer("a channel", connection.create_channel()).await?;
        let sink = Self {
            channel,
            exchange: short("exchange", &settings.exchange)?,
            confirm_within: Duration::from_millis(settings.confirm_timeout_ms),
            _connection: connection,
        };
        sink.declare(settings).await?;
        let confirms = sink.channel.confirm_select(ConfirmSelectOptions::default());
        answer("publisher confirms", confirms).await?;
        Ok(sink)
    }

    /// Makes the exchange, and the queue behind it, or checks that they are there.
    async fn declare(&self, settings: &crate::RabbitmqSink) -> Result<(), BrokerError> {
        let exchange = ExchangeDeclareOptions {
            passive: !settings.create,
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let nothing = FieldTable::default;
        let declared = self.channel.exchange_declare(
            self.exchange.clone(),
            ExchangeKind::Topic,
            exchange,
            nothing(),
        );
        answer("the exchange", declared).await?;
        let Some(queue) = &settings.queue else {
            return Ok(());
        };
        let queue = short("queue", queue)?;
        let (options, arguments) = match settings.create {
            true => (QueueDeclareOptions::durable(), quorum_queue()),
            false => (QueueDeclareOptions::default().passive(), nothing()),
        };
        let declared = self
            .channel
            .queue_declare(queue.clone(), options, arguments);
        answer("the queue", declared).await?;
        if settings.create {
            let bound = self.channel.queue_bind(
                queue,
                self.exchange.clone(),
                "#".into(),
                QueueBindOptions::default(),
                nothing(),
            );
            answer("the binding", bound).await?;
        }
        Ok(())
    }

    async fn send<'a>(
        &self,
        message: &'a OutgoingMessage,
        key: &'a str,
    ) -> Result<InFlight<'a>, BrokerError> {
        let properties = BasicProperties::default()
            .with_content_type(OutgoingMessage::CONTENT_TYPE.into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(short("the event's id", &message.id)?)
            .with_type(short("the event's type", &message.kind)?)
            .with_app_id("coffer".into());
        // Unroutable is an error: see `confirmed`.
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let publish = self.channel.basic_publish(
            self.exchange.clone(),
            short("the routing key", key)?,
            options,
            &message.body,
            properties,
        );
        // It waits here when the broker takes no more, as it does when its disk is nearly full.
        let confirm = within(self.confirm_within, "a message sent to it", publish).await?;
        Ok(InFlight {
            message,
            key,
            confirm,
        })
    }

    async fn confirmed<'a>(&self, sent: InFlight<'a>) -> Result<&'a str, BrokerError> {
        let id = &sent.message.id;
        match within(self.confirm_within, "a message sent to it", sent.confirm).await? {
            Confirmation::Ack(None) => Ok(sent.key),
            Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
                Err(BrokerError::Refused(format!(
                    "it returned {id}: {} {}; bind a queue to the exchange {} for the routing key {}",
                    returned.reply_code, returned.reply_text, self.exchange, sent.key
                )))
            }
            Confirmation::Nack(None) => Err(BrokerError::Unavailable(format!(
                "it took {id}, but could not store it (is the queue full?)"
            ))),
            Confirmation::NotRequested => Err(BrokerError::Unavailable(
                "the channel no longer confirms".to_owned(),
            )),
        }
    }

    /// In order; a message waits until the one before it about the same object is confirmed.
    async fn publish_all(&self, messages: &[OutgoingMessage]) -> Result<(), BrokerError> {
        let keys: Vec<String> = messages.iter().map(OutgoingMessage::path).collect();
        let mut in_flight: VecDeque<InFlight<'_>> = VecDeque::new();
        let mut objects: HashSet<&str> = HashSet::new();
        for (message, key) in messages.iter().zip(&keys) {
            while objects.contains(key.as_str()) || in_flight.len() >= IN_FLIGHT_MAX {
                let oldest = in_flight.pop_front();
                let oldest = oldest.expect("an object is there only while it is in flight");
                objects.remove(self.confirmed(oldest).await?);
            }
            in_flight.push_back(self.send(message, key).await?);
            objects.insert(key);
        }
        for sent in in_flight {
            self.confirmed(sent).await?;
        }
        Ok(())
    }
}

impl Sink for RabbitmqSink {
    fn publish<'a>(
        &'a mut self,
        messages: &'a [OutgoingMessage],
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.publish_all(messages).boxed()
    }
}

/// The reply of a source goes the same way, but nobody waits for it.
pub(super) async fn publish_reply(
    channel: &Channel,
    queue: &str,
    correlation: Option<&str>,
    body: &Bytes,
) -> Result<(), BrokerError> {
    let mut properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_app_id("coffer".into());
    if let Some(correlation) = correlation {
        properties = properties.with_correlation_id(short("correlation_id", correlation)?);
    }
    let options = BasicPublishOptions::default();
    let queue = short("reply_to", queue)?;
    // The default exchange: the routing key is the name of a queue, and nothing else can be reached by it.
    let publish = channel.basic_publish("".into(), queue, options, body, properties);
    answer("a reply", publish).await.map(|_| ())
}
