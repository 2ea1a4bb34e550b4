//! RabbitMQ's server, as Debian packages it. The tests start their own, with folders and ports of its own;
//! the service that the package would start is not wanted.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{debian, process};

const HOW: &str = "RabbitMQ's server is not installed. Run: sudo apt-get install -y rabbitmq-server\n\
                   (and, if it shall not run as a service: sudo systemctl disable --now rabbitmq-server)";

/// Debian's own place. The program of the same name on `PATH` insists on the user `rabbitmq` and its folders.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// What the package, and the package of Erlang below it, would start.
const SERVICES: [&str; 3] = ["rabbitmq-server.service", "epmd.service", "epmd.socket"];

/// Where `rabbitmq-server` is, which the tests are told by `COFFER_TEST_RABBITMQ`; installs Debian's package
/// when it is missing and we may.
pub(crate) fn program() -> Result<PathBuf> {
    let program = Path::new(PROGRAM);
    if !program.exists() {
        without_services(|| debian::install("rabbitmq-server", HOW))?;
    }
    if !program.exists() {
        anyhow::bail!("the package rabbitmq-server is installed, but brought no {PROGRAM}");
    }
    process::which("epmd")
        .context("rabbitmq-server is installed, but not Erlang's epmd, which it needs")?;
    Ok(program.to_path_buf())
}

/// Masks the services while the package is installed, and leaves them disabled. Without systemd a package
/// starts nothing, so there is nothing to prevent.
fn without_services(install: impl FnOnce() -> Result<()>) -> Result<()> {
    let systemd = Path::new("/run/systemd/system").exists();
    let all = |verb: &[&str]| {
        let words: Vec<_> = ["systemctl", "--quiet"]
            .iter()
            .chain(verb)
            .chain(&SERVICES)
            .copied()
            .collect();
        debian::as_root(&words, HOW)
    };
    if systemd {
        all(&["mask", "--runtime"])?;
    }
    let installed = install();
    if systemd {
        all(&["unmask", "--runtime"])?;
        if installed.is_ok() {
            all(&["disable"])?;
        }
    }
    installed
}
