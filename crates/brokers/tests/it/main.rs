//! The clients against real servers; see `coffer_testkit::brokers`.

#[cfg(feature = "kafka")]
mod kafka;
mod nats;
mod proxy;
mod rabbitmq;
mod stage;
