//! Files that hold secrets: written whole or not at all, readable by their owner only, never over
//! another file.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{Entropy, EntropyError};

#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    #[error("{} exists already and is never overwritten: choose another name or move it away", .0.display())]
    Exists(PathBuf),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is longer than {limit} bytes: it is not the file meant here", path.display())]
    TooLong { path: PathBuf, limit: u64 },
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// Creates `path` with mode 0600: a temporary file beside it is synced, then linked to the name
/// (which fails when the name is taken), then the folder is synced.
pub fn create_secret_file(
    path: &Path,
    content: &[u8],
    entropy: &mut impl Entropy,
) -> Result<(), SecretFileError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| SecretFileError::Io { path, source }
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().ok_or_else(|| {
        failed(path)(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not the name of a file",
        ))
    })?;
    // Also found when the link is made; asked first so that no temporary file is written in vain.
    if path.symlink_metadata().is_ok() {
        return Err(SecretFileError::Exists(path.to_owned()));
    }
    let mut random = [0; 8];
    entropy.fill(&mut random)?;
    let mut temporary_name = OsString::from(".");
    temporary_name.push(name);
    temporary_name.push(format!(".{}.tmp", hex::encode(random)));
    let temporary = folder.join(temporary_name);

    let written = write_new(&temporary, content)
        .map_err(failed(&temporary))
        .and_then(|()| {
            fs::hard_link(&temporary, path).map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists => SecretFileError::Exists(path.to_owned()),
                _ => failed(path)(source),
            })
        });
    let removed = fs::remove_file(&temporary);
    written?;
    removed.map_err(failed(&temporary))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed(folder))
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Reads a whole file of at most `limit` bytes into a buffer that is wiped.
pub fn read_secret_file(path: &Path, limit: u16) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    let failed = |source| SecretFileError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    // One byte more than the limit, all of it allocated at once: growing would leave copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(usize::from(limit) + 1));
    file.take(u64::from(limit) + 1)
        .read_to_end(&mut content)
        .map_err(failed)?;
    if content.len() > usize::from(limit) {
        return Err(SecretFileError::TooLong {
            path: path.to_owned(),
            limit: limit.into(),
        });
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsEntropy;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_private_whole_and_never_overwritten() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("words");
        create_secret_file(&path, b"first", &mut OsEntropy).expect("a new file");
        let mode = fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = create_secret_file(&path, b"second", &mut OsEntropy);
        assert!(matches!(again, Err(SecretFileError::Exists(_))));
        assert_eq!(**read_secret_file(&path, 5).expect("readable"), *b"first");
        assert!(matches!(
            read_secret_file(&path, 4),
            Err(SecretFileError::TooLong { .. })
        ));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_dangling_link_is_not_followed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("words");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).expect("a link");
        let refused = create_secret_file(&path, b"words", &mut OsEntropy);
        assert!(matches!(refused, Err(SecretFileError::Exists(_))));
        assert!(!folder.path().join("elsewhere").exists());
    }
}
