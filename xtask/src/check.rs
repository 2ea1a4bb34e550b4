//! `cargo xtask check`: what CI runs, the quick things first.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::{process, test, tidy};

pub(crate) fn run(root: &Path, options: &test::Options) -> Result<()> {
    quick(root)?;
    let deny = process::output(Command::new("cargo").args(["deny", "--version"])).is_ok();
    if deny {
        process::run(cargo(root).args(["deny", "check", "bans", "licenses", "sources"]))?;
    }
    test::run(root, options)?;
    if !deny {
        eprintln!(
            "NOT RUN: cargo deny (bans, licences, sources). To have it: cargo install --locked cargo-deny"
        );
    }
    Ok(())
}

fn quick(root: &Path) -> Result<()> {
    process::run(cargo(root).args(["fmt", "--all", "--check"]))?;
    tidy::run(root)?;
    process::run(cargo(root).args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root);
    cargo
}
