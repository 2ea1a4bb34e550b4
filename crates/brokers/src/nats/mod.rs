//! NATS `JetStream`: published by subject, with the event's id as `Nats-Msg-Id`; consumed by a durable pull consumer.
//!
//! Guarantees: a batch is published only when the stream confirmed each message. The stream may still lose what
//! it confirmed (its file is synced every two minutes unless the server says `sync_interval: always`); the record is the database.
//! Not here: streams' sizes and retention beyond making one when asked to.

use std::sync::Arc;

use crate::{BrokerError, NatsSink, NatsSource, SinkConnector, SourceConnector};

pub(crate) fn sink(_settings: NatsSink) -> Result<Arc<dyn SinkConnector>, BrokerError> {
    Err(BrokerError::NotBuilt("nats"))
}

pub(crate) fn source(_settings: NatsSource) -> Result<Arc<dyn SourceConnector>, BrokerError> {
    Err(BrokerError::NotBuilt("nats"))
}
