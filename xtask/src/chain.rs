//! What tests need of chains: a real Ethereum node, the compiled contracts, and a real Bitcoin node (`bitcoin.rs`).
//!
//! The first two come from npm packages pinned by hash (`tests/chain`). The node's program is only built for some
//! machines; elsewhere the one on `PATH` is taken, if it is the same version.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{bitcoin, process, repo, test};

/// Where the parts are; tests are told by `COFFER_TEST_ANVIL`, `COFFER_TEST_CONTRACTS` and `COFFER_TEST_BITCOIND`.
#[derive(Debug)]
pub(crate) struct Chain {
    anvil: PathBuf,
    contracts: PathBuf,
    bitcoind: PathBuf,
}

const VERSION: &str = "1.7.1";

impl Chain {
    /// Installs the packages, compiles the contracts and unpacks the Bitcoin node, unless they are there and newer
    /// than what they come from.
    pub(crate) fn prepare(root: &Path) -> Result<Self> {
        let folder = folder(root);
        repo::npm_ci(&folder)?;
        let target = test::target_folder(root)?;
        let contracts = target.join("contracts");
        let mut compile = Command::new("node");
        compile.arg(folder.join("compile.mjs")).arg(&contracts);
        process::run(&mut compile).context("the contracts do not compile")?;
        let anvil = anvil(&folder)?;
        let bitcoind = bitcoin::node(&target)?;
        Ok(Self {
            anvil,
            contracts,
            bitcoind,
        })
    }

    pub(crate) fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("COFFER_TEST_ANVIL", &self.anvil)
            .env("COFFER_TEST_CONTRACTS", &self.contracts)
            .env("COFFER_TEST_BITCOIND", &self.bitcoind)
    }
}

fn folder(root: &Path) -> PathBuf {
    root.join("tests/chain")
}

/// The program itself, not npm's script around it: a script would stand between us and its end.
fn anvil(folder: &Path) -> Result<PathBuf> {
    let installed = folder.join("node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
    let program = if installed.is_file() {
        installed
    } else {
        process::which("anvil").with_context(|| {
            format!("no anvil for this machine among the npm packages; put anvil {VERSION} on PATH")
        })?
    };
    let told = process::output(Command::new(&program).arg("--version"))?;
    if !told.split_whitespace().any(|word| word == VERSION) {
        bail!(
            "{} is not anvil {VERSION}: {}",
            program.display(),
            told.trim()
        );
    }
    Ok(program)
}
