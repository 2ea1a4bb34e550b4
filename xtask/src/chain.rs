//! What tests need of a chain: a real Ethereum node and the compiled contracts.
//!
//! Both come from npm packages pinned by hash (`tests/chain`). The node's program is only built for some
//! machines; elsewhere the one on `PATH` is taken, if it is the same version.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{process, repo, test};

/// Where the parts are; tests are told by `COFFER_TEST_ANVIL` and `COFFER_TEST_CONTRACTS`.
#[derive(Debug)]
pub(crate) struct Chain {
    anvil: PathBuf,
    contracts: PathBuf,
}

const VERSION: &str = "1.7.1";

impl Chain {
    /// Installs the packages and compiles the contracts, unless both are there and newer than what they come from.
    pub(crate) fn prepare(root: &Path) -> Result<Self> {
        let folder = folder(root);
        repo::npm_ci(&folder)?;
        let contracts = test::target_folder(root)?.join("contracts");
        let mut compile = Command::new("node");
        compile.arg(folder.join("compile.mjs")).arg(&contracts);
        process::run(&mut compile).context("the contracts do not compile")?;
        let anvil = anvil(&folder)?;
        Ok(Self { anvil, contracts })
    }

    pub(crate) fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("COFFER_TEST_ANVIL", &self.anvil)
            .env("COFFER_TEST_CONTRACTS", &self.contracts)
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
