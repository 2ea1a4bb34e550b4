use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Program, free_port, program};

/// With an `epmd` of its own: Erlang would else start one for the whole machine, and leave it behind.
pub(super) struct Rabbitmq {
    program: PathBuf,
    port: u16,
    between_nodes: u16,
    names: u16,
}

impl Rabbitmq {
    pub(super) fn prepare() -> Result<Self> {
        Ok(Self {
            program: program("COFFER_TEST_RABBITMQ"),
            port: free_port()?,
            between_nodes: free_port()?,
            names: free_port()?,
        })
    }
}

const WRITTEN_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// See [`super::BrokerServer::remembers`].
pub(super) async fn remembers(data: &Path, queue: &str) -> Result<()> {
    let deadline = Instant::now() + WRITTEN_WITHIN;
    while !is_written(data, queue) {
        if Instant::now() > deadline {
            bail!("RabbitMQ does not write down that it has the queue {queue}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Whether the table of names on the disk, `db/<node>/quorum/<node>/names.dets`, has it.
fn is_written(data: &Path, queue: &str) -> bool {
    let inside = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.path()))
    };
    let has = |names: Vec<u8>| {
        let name = queue.as_bytes();
        names.windows(name.len()).any(|part| part == name)
    };
    inside(data.join("db"))
        .flat_map(|node| inside(node.join("quorum")))
        .filter_map(|folder| std::fs::read(folder.join("names.dets")).ok())
        .any(has)
}

impl Program for Rabbitmq {
    fn port(&self) -> u16 {
        self.port
    }

    fn commands(&self, data: &Path) -> Result<Vec<Command>> {
        let names = self.names.to_string();
        let mut epmd = Command::new("epmd");
        epmd.args(["-port", &names, "-address", "127.0.0.1"])
            .current_dir(data);

        let file = |name: &str, text: &str| -> Result<PathBuf> {
            let path = data.join(name);
            std::fs::write(&path, text)?;
            Ok(path)
        };
        let mut server = Command::new(&self.program);
        server
            .current_dir(data)
            // Where it puts its cookie.
            .env("HOME", data)
            .env("ERL_EPMD_PORT", &names)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env(
                "RABBITMQ_NODENAME",
                format!("coffer-{}@localhost", self.port),
            )
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.between_nodes.to_string())
            .env("RABBITMQ_MNESIA_BASE", data.join("db"))
            .env("RABBITMQ_LOG_BASE", data.join("log"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", data.join("generated"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", file("plugins", "[].\n")?)
            .env("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf", "")?)
            .env("RABBITMQ_CONF_ENV_FILE", file("environment", "")?)
            // The script then becomes Erlang, and its process id is the one to kill.
            .env("RABBITMQ_ALLOW_INPUT", "1")
            .env("RABBITMQ_SERVER_START_ARGS", "-noinput")
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1}",
            );
        Ok(vec![epmd, server])
    }
}
