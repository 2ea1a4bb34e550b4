//! The demo's data folder: made afresh, and never somebody else's.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process;

/// Says that a demo made the folder; holds the server's process id while one runs.
const MARKER: &str = ".coffer-demo";

#[derive(Debug)]
pub(crate) struct DataFolder {
    /// Absolute, so that the printed commands work from anywhere.
    pub(crate) path: PathBuf,
}

impl DataFolder {
    pub(crate) fn prepare(path: &Path, yes: bool) -> Result<Self> {
        let path = std::path::absolute(path)?;
        let marker = path.join(MARKER);
        let occupied = fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some());
        if occupied && !marker.exists() {
            bail!(
                "{} is not empty and no demo made it; name another folder with --data-dir",
                path.display()
            );
        }
        if occupied {
            refuse_running(&marker)?;
            if !yes && !confirmed(&path)? {
                bail!(
                    "nothing was changed; give --yes to replace it, or another folder with --data-dir"
                );
            }
            fs::remove_dir_all(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        fs::write(&marker, "")?;
        Ok(Self { path })
    }

    pub(crate) fn remember_server(&self, pid: u32) -> Result<()> {
        Ok(fs::write(self.path.join(MARKER), pid.to_string())?)
    }

    pub(crate) fn forget_server(&self) {
        let _ = fs::write(self.path.join(MARKER), "");
    }
}

fn refuse_running(marker: &Path) -> Result<()> {
    let pid = fs::read_to_string(marker).unwrap_or_default();
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if !pid.is_empty() && name.trim() == "coffer" {
        bail!("the server of an earlier demo still runs on this folder. Stop it first: kill {pid}");
    }
    Ok(())
}

fn confirmed(path: &Path) -> Result<bool> {
    if !process::is_terminal() {
        bail!(
            "{} is left from an earlier demo; give --yes to replace it",
            path.display()
        );
    }
    eprint!(
        "{} is left from an earlier demo. Remove it, keys included, and start anew? [y/N] ",
        path.display()
    );
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A new file that only its owner may read.
pub(crate) fn write_secret(path: &Path, secret: &str) -> Result<()> {
    let mut file = fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    Ok(writeln!(file, "{secret}")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_no_demo_made_is_refused() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        fs::write(folder.path().join("thesis.txt"), "years of work").expect("writable");
        let error = DataFolder::prepare(folder.path(), true).expect_err("it is not ours");
        assert!(error.to_string().contains("--data-dir"), "{error}");
        assert!(folder.path().join("thesis.txt").exists());
    }

    #[test]
    fn an_earlier_demo_is_replaced_when_agreed() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("demo-data");
        let first = DataFolder::prepare(&path, false).expect("a new folder");
        first.remember_server(u32::MAX).expect("writable");
        fs::write(path.join("results.csv"), "old").expect("writable");
        DataFolder::prepare(&path, true).expect("the demo's own folder");
        assert!(!path.join("results.csv").exists());
    }
}
