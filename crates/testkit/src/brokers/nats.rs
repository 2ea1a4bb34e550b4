use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Program, free_port, program};

pub(super) struct Nats {
    program: PathBuf,
    port: u16,
}

impl Nats {
    pub(super) fn prepare() -> Result<Self> {
        Ok(Self {
            program: program("COFFER_TEST_NATS"),
            port: free_port()?,
        })
    }
}

impl Program for Nats {
    fn port(&self) -> u16 {
        self.port
    }

    fn commands(&self, data: &Path) -> Result<Vec<Command>> {
        let mut command = Command::new(&self.program);
        command
            .args(["--addr", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--jetstream", "--store_dir"])
            .arg(data.join("jetstream"))
            .current_dir(data);
        Ok(vec![command])
    }
}
