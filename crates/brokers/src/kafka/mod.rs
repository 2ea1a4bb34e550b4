//! Kafka: published to one topic by an idempotent producer, consumed by a consumer group.
//!
//! Guarantees: a message counts as published only when all in-sync replicas have it. The key is the id of the object, so what
//! is about one object is in one partition; there the producer keeps the order, and stops for good (the caller connects
//! again) rather than leave a gap. An offset is committed only when it and everything before it in its partition is settled.
//! Not here: transactions (what is published is deduplicated by the event's id), TLS and SCRAM: librdkafka has them from
//! OpenSSL only, which is not linked. A broker on another machine is reached by a tunnel.
//! Cost: librdkafka's threads, some five for each connection.

mod client;
mod progress;
mod sink;
mod source;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::{BrokerError, KafkaSink, KafkaSource, Sink, SinkConnector, Source, SourceConnector};

pub(crate) fn sink(settings: KafkaSink) -> Result<Arc<dyn SinkConnector>, BrokerError> {
    client::check(&settings.servers, &settings.topic)?;
    Ok(Arc::new(SinkDoor(settings)))
}

pub(crate) fn source(settings: KafkaSource) -> Result<Arc<dyn SourceConnector>, BrokerError> {
    client::check(&settings.servers, &settings.topic)?;
    if settings.group.is_empty() {
        return Err(BrokerError::Settings("group: must not be empty".to_owned()));
    }
    Ok(Arc::new(SourceDoor(settings)))
}

struct SinkDoor(KafkaSink);

impl SinkConnector for SinkDoor {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Sink>, BrokerError>> {
        async {
            let sink = sink::KafkaSink::connect(&self.0).await?;
            Ok(Box::new(sink) as Box<dyn Sink>)
        }
        .boxed()
    }
}

struct SourceDoor(KafkaSource);

impl SourceConnector for SourceDoor {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Source>, BrokerError>> {
        async {
            let source = source::KafkaSource::connect(&self.0).await?;
            Ok(Box::new(source) as Box<dyn Source>)
        }
        .boxed()
    }
}
