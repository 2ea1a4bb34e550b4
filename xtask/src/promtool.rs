//! The alert rules, checked by Prometheus' own program: they parse, and each fires when it should and not else.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{debian, process};

const HOW: &str = "promtool is not installed; the alert rules cannot be tested. Run: sudo apt-get install -y prometheus";

/// Where `promtool` is; installs Debian's package when there is none and we may.
pub(crate) fn program() -> Result<PathBuf> {
    if let Some(program) = process::which("promtool") {
        return Ok(program);
    }
    debian::install("prometheus", HOW)?;
    process::which("promtool")
        .context("the package prometheus is installed, but brought no promtool")
}

/// `cargo xtask alerts`
pub(crate) fn run(root: &Path) -> Result<()> {
    let promtool = program()?;
    let mut shell = Command::new("sh");
    shell.current_dir(root);
    process::run(checking(&mut shell, &promtool))
}

/// Makes `shell`, which stands at the root, check the rules and then run their unit tests.
pub(crate) fn checking<'a>(shell: &'a mut Command, promtool: &Path) -> &'a mut Command {
    const SCRIPT: &str = r#"cd deploy/prometheus && "$1" check rules coffer.rules.yml && "$1" test rules coffer.rules.test.yml"#;
    shell.args(["-c", SCRIPT, "sh"]).arg(promtool)
}
