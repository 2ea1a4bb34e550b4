//! The data folder's files by name, and how private ones are written.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use coffer_platform::Entropy;

#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

impl DataDir {
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.0.join("keys/vault.key")
    }

    /// With the place of the vault's id, which the signer fills in.
    pub(super) fn recovery_file(&self) -> PathBuf {
        self.0.join("recovery/{vault_id}.mnemonic")
    }

    pub(super) fn passphrase(&self) -> PathBuf {
        self.0.join("passphrase")
    }

    pub(super) fn bootstrap(&self) -> PathBuf {
        self.0.join("bootstrap.json")
    }

    /// Keys of node providers, each a file that only its owner may read.
    pub(super) fn secrets(&self) -> PathBuf {
        self.0.join("secrets")
    }

    #[must_use]
    pub fn anchor(&self) -> PathBuf {
        self.0.join("audit.anchor")
    }

    /// `sqlite:` and the path of the embedded database.
    #[must_use]
    pub fn database_url(&self) -> String {
        format!("sqlite:{}", self.0.join("coffer.db").display())
    }

    /// Makes the folder and those in it, for their owner alone.
    pub(super) fn create(&self) -> anyhow::Result<()> {
        for folder in [
            self.0.clone(),
            self.0.join("keys"),
            self.0.join("recovery"),
            self.secrets(),
        ] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        Ok(())
    }

    /// Held for as long as this process works on batches: two workers of one installation would void each
    /// other's leases. The system lets go of it when the process ends, however that happens.
    pub(super) fn lock_for_work(&self) -> anyhow::Result<File> {
        use rustix::fs::{FlockOperation, flock};
        let path = self.0.join("worker.lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).with_context(|| {
            let place = self.0.display();
            format!("another `coffer serve` works on {place} already; stop it, or give this one --roles api")
        })?;
        Ok(file)
    }

    /// This installation's name among those that share a database, made at the first start.
    pub(super) fn instance(&self, entropy: &dyn Entropy) -> anyhow::Result<[u8; 16]> {
        let path = self.0.join("instance");
        let mut id = [0; 16];
        match fs::read_to_string(&path) {
            Ok(text) => hex::decode_to_slice(text.trim(), &mut id)
                .with_context(|| format!("{} is damaged; remove it", path.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                entropy.fill(&mut id)?;
                write_private(&path, hex::encode(id).as_bytes())?;
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        }
        Ok(id)
    }
}

/// Whole or not at all: written beside, synced, renamed. Mode 0600.
pub(super) fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    let write = || {
        // What a crash left behind may have other rights.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        // The rename itself is in the folder.
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use coffer_platform::OsEntropy;

    use super::*;

    #[test]
    fn the_instance_keeps_its_name_and_files_are_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataDir::new(folder.path().join("data"));
        data.create().expect("made");
        let first = data.instance(&OsEntropy).expect("made");
        assert_eq!(data.instance(&OsEntropy).expect("read"), first);
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&data.path().join("instance")), 0o600);
        assert_eq!(mode(data.path()), 0o700);
        fs::write(data.path().join("instance"), "short").expect("written");
        assert!(data.instance(&OsEntropy).is_err());
    }
}
