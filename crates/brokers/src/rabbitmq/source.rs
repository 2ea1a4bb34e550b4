use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, Consumer};

use super::connection::{Endpoint, answer, broken, quorum_queue, short};
use super::sink::publish_reply;
use crate::put_back::PutBack;
use crate::{BrokerError, Header, IncomingMessage, Source, Token};

/// The header in which the property `correlation_id` is handed on.
const CORRELATION: &str = "correlation_id";

pub(super) struct RabbitmqSource {
    channel: Channel,
    consumer: Consumer,
    put_back: PutBack,
    /// Of their own, so that a reply which the broker refuses does not end the consumer.
    replies: Option<Channel>,
    connection: Connection,
}

impl RabbitmqSource {
    pub(super) async fn connect(
        endpoint: &Endpoint,
        settings: &crate::RabbitmqSource,
    ) -> Result<Self, BrokerError> {
        let connection = endpoint.connect("source").await?;
        let channel = answer("a channel", connection.create_channel()).await?;
        declare(&channel, settings).await?;
        let prefetch = channel.basic_qos(settings.prefetch.get(), BasicQosOptions::default());
        answer("the prefetch", prefetch).await?;
        let consume = channel.basic_consume(
            short("queue", &settings.queue)?,
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let consumer = answer("the queue", consume).await?;
        Ok(Self {
            channel,
            consumer,
            put_back: PutBack::default(),
            replies: None,
            connection,
        })
    }

    async fn receive_some(&mut self, limit: usize) -> Result<Vec<IncomingMessage>, BrokerError> {
        let mut messages = self.put_back.due(limit);
        if messages.is_empty() {
            messages = tokio::select! {
                delivery = self.consumer.next() => vec![incoming(delivery)?],
                message = self.put_back.next() => vec![message],
            };
        }
        // Whatever has arrived by now comes along; nothing is awaited, so nothing can be lost by a cancellation.
        while messages.len() < limit {
            match self.consumer.next().now_or_never() {
                None => break,
                Some(Some(Ok(delivery))) => messages.push(incoming(Some(Ok(delivery)))?),
                // The next call tells of it; these messages can no longer be settled, and come again.
                Some(_) => break,
            }
        }
        Ok(messages)
    }

    async fn reply_to(
        &mut self,
        message: &IncomingMessage,
        body: Bytes,
    ) -> Result<(), BrokerError> {
        let Some(queue) = &message.reply_to else {
            return Ok(());
        };
        let open = |channel: &Channel| channel.status().connected();
        let channel = match self.replies.take().filter(open) {
            Some(channel) => channel,
            None => answer("a channel", self.connection.create_channel()).await?,
        };
        let sent = publish_reply(&channel, queue, message.header(CORRELATION), &body).await;
        if let Err(error) = sent {
            tracing::debug!(%error, "a reply could not be sent");
            return Ok(());
        }
        self.replies = Some(channel);
        Ok(())
    }
}

/// Makes the queue, or checks that it is there.
async fn declare(channel: &Channel, settings: &crate::RabbitmqSource) -> Result<(), BrokerError> {
    let (options, arguments) = match settings.create {
        true => (QueueDeclareOptions::durable(), quorum_queue()),
        false => (
            QueueDeclareOptions::default().passive(),
            FieldTable::default(),
        ),
    };
    let queue = short("queue", &settings.queue)?;
    let declared = channel.queue_declare(queue, options, arguments);
    answer("the queue", declared).await.map(|_| ())
}

fn incoming(
    delivery: Option<Result<Delivery, lapin::Error>>,
) -> Result<IncomingMessage, BrokerError> {
    let delivery = match delivery {
        Some(Ok(delivery)) => delivery,
        Some(Err(error)) => return Err(broken(&error)),
        None => {
            return Err(BrokerError::Unavailable(
                "it ended the subscription (was the queue deleted?)".to_owned(),
            ));
        }
    };
    let properties = &delivery.properties;
    let mut headers = Vec::new();
    if let Some(correlation) = properties.correlation_id() {
        headers.push(header(CORRELATION, correlation.as_str()));
    }
    // Quorum queues count; of the others one only knows that it is not the first time.
    let mut deliveries = 1 + u64::from(delivery.redelivered);
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        match value {
            AMQPValue::LongString(text) => {
                if let Ok(text) = std::str::from_utf8(text.as_bytes()) {
                    headers.push(header(name.as_str(), text));
                }
            }
            AMQPValue::ShortString(text) => headers.push(header(name.as_str(), text.as_str())),
            AMQPValue::LongLongInt(count) if name.as_str() == "x-delivery-count" => {
                deliveries = 1 + u64::try_from(*count).unwrap_or(0);
            }
            _ => {}
        }
    }
    Ok(IncomingMessage {
        subject: delivery.routing_key.to_string(),
        headers,
        reply_to: properties.reply_to().as_ref().map(ToString::to_string),
        deliveries,
        token: Token::Tag(delivery.delivery_tag),
        body: delivery.data.into(),
    })
}

fn header(name: &str, value: &str) -> Header {
    Header {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

impl Source for RabbitmqSource {
    fn receive(
        &mut self,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<IncomingMessage>, BrokerError>> {
        self.receive_some(limit.max(1)).boxed()
    }

    fn acknowledge<'a>(
        &'a mut self,
        message: &'a IncomingMessage,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        async move {
            let Token::Tag(tag) = message.token else {
                return Err(BrokerError::Settings(
                    "not a message of this source".to_owned(),
                ));
            };
            let acknowledge = self.channel.basic_ack(tag, BasicAckOptions::default());
            answer("an acknowledgement", acknowledge).await
        }
        .boxed()
    }

    /// It stays unacknowledged and is handed out again from memory: returned to the broker, it would come back at once,
    /// and count towards the number of returns after which RabbitMQ gives a message up.
    fn put_back<'a>(
        &'a mut self,
        message: &'a IncomingMessage,
        delay: Duration,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.put_back.add(message, delay);
        futures_util::future::ready(Ok(())).boxed()
    }

    /// Nothing is to be done: a message stays ours as long as the channel lives (RabbitMQ closes it after 30 minutes
    /// without an acknowledgement, and everything comes again).
    fn extend<'a>(
        &'a mut self,
        _message: &'a IncomingMessage,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        let alive = match self.channel.status().connected() {
            true => Ok(()),
            false => Err(BrokerError::Unavailable("the channel is closed".to_owned())),
        };
        futures_util::future::ready(alive).boxed()
    }

    fn reply<'a>(
        &'a mut self,
        message: &'a IncomingMessage,
        body: Bytes,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.reply_to(message, body).boxed()
    }
}
