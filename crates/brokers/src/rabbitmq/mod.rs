//! RabbitMQ: published to a durable topic exchange, consumed from a quorum queue.
//!
//! Guarantees: a message counts as published only when the broker has confirmed it *and* not returned it, so an
//! exchange without a queue is an error and no black hole. Messages about one object go out one after another, each
//! when its predecessor is confirmed: even a broker that refuses one and takes the next cannot turn them round.
//! What is received stays unacknowledged at the broker until it is settled, however often it is put back.
//! Not here: policies, dead-letter exchanges, and streams. A quorum queue that was made elsewhere should have a high
//! `delivery-limit`: each lost connection counts as a return of what was in hand.
//! Cost: one connection each; at most 1,024 messages unconfirmed, and `prefetch` messages unsettled.

mod connection;
mod sink;
mod source;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::{
    BrokerError, RabbitmqSink, RabbitmqSource, Sink, SinkConnector, Source, SourceConnector,
};
use connection::Endpoint;

pub(crate) fn sink(settings: RabbitmqSink) -> Result<Arc<dyn SinkConnector>, BrokerError> {
    let endpoint = Endpoint::try_new(
        &settings.url,
        settings.user_file.clone(),
        settings.ca_file.clone(),
    )?;
    connection::name("exchange", &settings.exchange)?;
    if let Some(queue) = &settings.queue {
        connection::name("queue", queue)?;
    }
    Ok(Arc::new(SinkDoor { endpoint, settings }))
}

pub(crate) fn source(settings: RabbitmqSource) -> Result<Arc<dyn SourceConnector>, BrokerError> {
    let endpoint = Endpoint::try_new(
        &settings.url,
        settings.user_file.clone(),
        settings.ca_file.clone(),
    )?;
    connection::name("queue", &settings.queue)?;
    Ok(Arc::new(SourceDoor { endpoint, settings }))
}

struct SinkDoor {
    endpoint: Endpoint,
    settings: RabbitmqSink,
}

impl SinkConnector for SinkDoor {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Sink>, BrokerError>> {
        async {
            let sink = sink::RabbitmqSink::connect(&self.endpoint, &self.settings).await?;
            Ok(Box::new(sink) as Box<dyn Sink>)
        }
        .boxed()
    }
}

struct SourceDoor {
    endpoint: Endpoint,
    settings: RabbitmqSource,
}

impl SourceConnector for SourceDoor {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Source>, BrokerError>> {
        async {
            let source = source::RabbitmqSource::connect(&self.endpoint, &self.settings).await?;
            Ok(Box::new(source) as Box<dyn Source>)
        }
        .boxed()
    }
}
