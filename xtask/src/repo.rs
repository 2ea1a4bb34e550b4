//! The repository: where it is, and which tools it needs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// The folder of the root `Cargo.toml`, as cargo sees it from the current folder.
pub(crate) fn root() -> Result<PathBuf> {
    let manifest = process::output(Command::new("cargo").args([
        "locate-project",
        "--workspace",
        "--message-format",
        "plain",
    ]))?;
    let folder = Path::new(manifest.trim())
        .parent()
        .context("the workspace manifest has no folder")?;
    Ok(folder.to_path_buf())
}

/// A program that must be on `PATH`, and the Debian package that brings it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

pub(crate) const GIT: Tool = Tool {
    program: "git",
    package: "git",
};
pub(crate) const CC: Tool = Tool {
    program: "cc",
    package: "build-essential",
};
pub(crate) const NODE: Tool = Tool {
    program: "node",
    package: "nodejs",
};
pub(crate) const NPM: Tool = Tool {
    program: "npm",
    package: "npm",
};
pub(crate) const PYTHON: Tool = Tool {
    program: "python3",
    package: "python3",
};

/// Fails with one message that names everything missing, and the command that installs it.
pub(crate) fn need(tools: &[Tool]) -> Result<()> {
    let missing: Vec<_> = tools
        .iter()
        .filter(|tool| process::which(tool.program).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs: Vec<_> = missing.iter().map(|tool| tool.program).collect();
    let packages: Vec<_> = missing.iter().map(|tool| tool.package).collect();
    bail!(
        "not installed: {}. On Debian: sudo apt-get install -y {}",
        programs.join(", "),
        packages.join(" ")
    )
}

/// The folder of the second implementation (JavaScript), which checks our addresses.
pub(crate) fn oracle(root: &Path) -> PathBuf {
    root.join("tests/oracle")
}

/// Installs the npm packages of `folder`, unless they are newer than their lock file.
pub(crate) fn npm_ci(folder: &Path) -> Result<()> {
    let lock = folder.join("package-lock.json");
    if !lock.exists() {
        bail!(
            "{} is missing: npm packages are installed by their lock file",
            lock.display()
        );
    }
    let modified = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
    let installed = modified(&folder.join("node_modules/.package-lock.json"));
    if installed.is_some() && installed >= modified(&lock) {
        return Ok(());
    }
    process::run(
        Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(folder),
    )
}
