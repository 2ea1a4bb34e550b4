use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Program, free_port, program};

pub(super) struct Kafka {
    program: PathBuf,
    port: u16,
    /// Where it tells clients that it is.
    advertised: u16,
}

impl Kafka {
    pub(super) fn prepare(advertised: Option<u16>) -> Result<Self> {
        let port = free_port()?;
        Ok(Self {
            program: program("COFFER_TEST_KAFKA"),
            port,
            advertised: advertised.unwrap_or(port),
        })
    }
}

impl Program for Kafka {
    fn port(&self) -> u16 {
        self.port
    }

    fn commands(&self, data: &Path) -> Result<Vec<Command>> {
        let url = |port| format!("tcp://127.0.0.1:{port}");
        let mut command = Command::new(&self.program);
        command
            .args(["broker", "--storage-engine", "memory://tansu/"])
            .args(["--listener-url", &url(self.port)])
            .args(["--advertised-listener-url", &url(self.advertised)])
            .current_dir(data);
        Ok(vec![command])
    }
}
