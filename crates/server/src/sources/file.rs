//! A file that a message refers to: one plain name below the configured folder, opened once, never through a link.

use std::io;
use std::path::Path;

use bytes::Bytes;
use coffer_platform::batches::UploadStream;
use futures_util::stream;
use rustix::fs::{CWD, Mode, OFlags};
use tokio::io::AsyncReadExt as _;

const PIECE_BYTES: usize = 64 << 10;

/// The file as a stream. Its name was checked; its content is compared with the message's hash by whoever reads it.
pub(crate) async fn open(folder: &Path, name: &str, bytes_max: u64) -> io::Result<UploadStream> {
    let (folder, name) = (folder.to_owned(), name.to_owned());
    let opened = tokio::task::spawn_blocking(move || {
        let folder = rustix::fs::openat(
            CWD,
            &folder,
            OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        // A pipe in its place must not hold us up.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = std::fs::File::from(rustix::fs::openat(&folder, &name, flags, Mode::empty())?);
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a file",
            ));
        }
        if about.len() > bytes_max {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "it is too large",
            ));
        }
        Ok(file)
    });
    let file = opened.await.map_err(io::Error::other)??;
    let file = tokio::fs::File::from_std(file);
    // No more than was looked at, should it grow meanwhile.
    Ok(Box::pin(stream::try_unfold(
        (file, bytes_max),
        |(mut file, left)| async move {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
            let mut piece = vec![0; want];
            let count = file.read(&mut piece).await?;
            if count == 0 {
                return Ok(None);
            }
            piece.truncate(count);
            Ok(Some((Bytes::from(piece), (file, left - count as u64))))
        },
    )))
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;

    async fn read(folder: &Path, name: &str, max: u64) -> io::Result<Vec<u8>> {
        let pieces: Vec<Bytes> = open(folder, name, max).await?.try_collect().await?;
        Ok(pieces.concat())
    }

    #[tokio::test]
    async fn a_file_is_read_and_links_folders_and_giants_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("in");
        std::fs::create_dir(&inside).expect("made");
        std::fs::write(inside.join("a.csv"), "external_id\n").expect("written");
        std::fs::write(folder.path().join("secret.csv"), "secret").expect("written");
        std::os::unix::fs::symlink("../secret.csv", inside.join("link.csv")).expect("linked");
        std::fs::create_dir(inside.join("folder.csv")).expect("made");
        assert_eq!(
            read(&inside, "a.csv", 100).await.expect("read"),
            b"external_id\n"
        );
        assert!(read(&inside, "a.csv", 3).await.is_err());
        assert!(read(&inside, "link.csv", 100).await.is_err());
        assert!(read(&inside, "folder.csv", 100).await.is_err());
        assert!(read(&inside, "none.csv", 100).await.is_err());
    }
}
