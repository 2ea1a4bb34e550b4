//! Clients of message brokers: how events leave Coffer, and how work comes in.
//!
//! A broker is a door, never the record. A [`Sink`] hands messages out: it answers `Ok` only when the broker
//! has confirmed every one of them, and after an error nothing is known, so the same messages come again with the same
//! ids. A [`Source`] hands messages in: each must be settled exactly once, by acknowledging it or by putting it back,
//! and one that is never settled comes again. Both keep the order of messages about one object.
//! Deliberately not here: what a message means, cursors, permissions, and any memory of what was sent; losing a broker
//! with all its data therefore loses nothing. No connection is repaired in place: after an error the caller drops the
//! client and connects again, with a back-off of its own.
//! Each broker is one room beside `nats` behind a feature of its name. Credentials are read from files, at each connect.

mod error;
mod message;
#[cfg(feature = "nats")]
mod order;
#[cfg(any(feature = "rabbitmq", feature = "kafka"))]
mod put_back;
#[cfg(any(feature = "nats", feature = "rabbitmq", feature = "kafka"))]
mod secret;
mod settings;

#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;

pub use error::BrokerError;
pub use message::{Header, IncomingMessage, OutgoingMessage, Token};
pub use settings::{
    KafkaSink, KafkaSource, NatsSink, NatsSource, RabbitmqSink, RabbitmqSource, SinkBroker,
    SourceBroker,
};

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

/// Where events go.
pub trait Sink: Send {
    /// Publishes in this order, and answers `Ok` only once the broker has confirmed every message, as durably as the
    /// broker can. After an error some of them may have arrived; all come again with equal ids, to a new connection.
    fn publish<'a>(
        &'a mut self,
        messages: &'a [OutgoingMessage],
    ) -> BoxFuture<'a, Result<(), BrokerError>>;
}

/// Where work comes from.
pub trait Source: Send {
    /// The next messages, at most `limit`, at least one: it waits until there is one, and may be cancelled at any time
    /// (what was received but not returned comes again).
    fn receive(&mut self, limit: usize)
    -> BoxFuture<'_, Result<Vec<IncomingMessage>, BrokerError>>;

    /// Its effect is durable in the database: the broker may forget it. Answers when the broker was told; a
    /// broker that did not hear it delivers the message again.
    fn acknowledge<'a>(
        &'a mut self,
        message: &'a IncomingMessage,
    ) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// It cannot be worked on now: deliver it again, not before about `delay`.
    fn put_back<'a>(
        &'a mut self,
        message: &'a IncomingMessage,
        delay: Duration,
    ) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// It is still being worked on: do not hand it to another consumer. Called every few seconds at most.
    fn extend<'a>(
        &'a mut self,
        message: &'a IncomingMessage,
    ) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Sends an answer to `message.reply_to`, which the caller has found to be allowed. At most once: an
    /// answer may be lost, and the sender asks again by sending the same message again.
    /// `body` is JSON.
    fn reply<'a>(
        &'a mut self,
        message: &'a IncomingMessage,
        body: Bytes,
    ) -> BoxFuture<'a, Result<(), BrokerError>>;
}

/// Makes connections of one sink; a test hands in a double.
pub trait SinkConnector: Send + Sync {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Sink>, BrokerError>>;
}

/// Makes connections of one source; a test hands in a double.
pub trait SourceConnector: Send + Sync {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Source>, BrokerError>>;
}
