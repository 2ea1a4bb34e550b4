//! Real message brokers for tests: started, killed, paused, robbed of their data, started again.
//!
//! Each server has a folder, ports and a node name of its own, listens on the loopback, and keeps its port from one start
//! to the next. It ends with the test, however that ends: see [`process`]. A program that is missing is a failure that
//! says what to do. Not here: clusters of several nodes.

mod kafka;
mod nats;
mod process;
mod rabbitmq;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use process::Process;

/// What is to be run.
trait Program: Send + Sync {
    /// Where it listens for clients.
    fn port(&self) -> u16;

    /// The processes, the server last. All data is below `data`.
    fn commands(&self, data: &Path) -> Result<Vec<Command>>;
}

/// A broker, running or not.
pub struct BrokerServer {
    program: Box<dyn Program>,
    folder: TempDir,
    running: Vec<Process>,
}

impl BrokerServer {
    /// NATS with `JetStream`.
    ///
    /// # Errors
    /// When it does not start; the end of its log is in the message.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn nats() -> Result<Self> {
        Self::start(Box::new(nats::Nats::prepare()?)).await
    }

    /// RabbitMQ with its user `guest`; some five seconds.
    ///
    /// # Errors
    /// When it does not start; the end of its log is in the message.
    ///
    /// # Panics
    /// When it is not installed.
    pub async fn rabbitmq() -> Result<Self> {
        Self::start(Box::new(rabbitmq::Rabbitmq::prepare()?)).await
    }

    /// tansu, which speaks Kafka's protocol. It keeps everything in memory, so its end is the end of its data.
    ///
    /// # Errors
    /// When it does not start.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn kafka() -> Result<Self> {
        Self::start(Box::new(kafka::Kafka::prepare(None)?)).await
    }

    /// The same, telling its clients to come to the port of a proxy.
    ///
    /// # Errors
    /// When it does not start.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn kafka_behind(proxy_port: u16) -> Result<Self> {
        Self::start(Box::new(kafka::Kafka::prepare(Some(proxy_port))?)).await
    }

    async fn start(program: Box<dyn Program>) -> Result<Self> {
        let folder = tempfile::tempdir().context("no scratch folder")?;
        let mut server = Self {
            program,
            folder,
            running: Vec::new(),
        };
        server.start_again().await?;
        Ok(server)
    }

    /// `127.0.0.1:port`
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.program.port())
    }

    /// Starts it where it was, with the data that it left.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn start_again(&mut self) -> Result<()> {
        self.kill();
        let data = self.data();
        std::fs::create_dir_all(&data)?;
        for (number, command) in self.program.commands(&data)?.into_iter().enumerate() {
            let log = self.folder.path().join(format!("{number}.log"));
            self.running.push(Process::start(&command, &log)?);
        }
        let server = self.running.last().context("a program has a process")?;
        server.listens_on(self.program.port()).await
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.running.clear();
    }

    /// Takes its processor away, and leaves its connections open.
    ///
    /// # Errors
    /// When it is not running.
    pub fn pause(&self) -> Result<()> {
        self.server()?.signal(rustix::process::Signal::STOP)
    }

    /// # Errors
    /// When it is not running.
    pub fn resume(&self) -> Result<()> {
        self.server()?.signal(rustix::process::Signal::CONT)
    }

    /// `kill -9`, and everything it has stored is gone.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub fn lose_everything(&mut self) -> Result<()> {
        self.kill();
        Ok(std::fs::remove_dir_all(self.data())?)
    }

    /// Waits until RabbitMQ has written down that it has this quorum queue. Killed in the second or two before it, version 3.10 comes
    /// back with the queue and without its log, and then the queue never finds a leader.
    ///
    /// # Errors
    /// When it does not within a minute.
    pub async fn remembers(&self, queue: &str) -> Result<()> {
        rabbitmq::remembers(&self.data(), queue).await
    }

    /// What the server has printed.
    #[must_use]
    pub fn log(&self) -> String {
        self.running.last().map(Process::log).unwrap_or_default()
    }

    fn server(&self) -> Result<&Process> {
        self.running.last().context("the broker is not running")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// The program that the environment names.
///
/// # Panics
/// When it names none, or one that is not there.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment where the parts are"
)]
fn program(variable: &str) -> PathBuf {
    let path = std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set; run `cargo xtask test`, or set it to the broker's server program")
    });
    let path = PathBuf::from(path);
    assert!(
        path.exists(),
        "{variable} names {}, which is not there",
        path.display()
    );
    path
}
