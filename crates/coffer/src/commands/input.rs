use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// A file to be read, `-` for standard input. Nothing is buffered here.
pub(crate) fn open(file: &Path) -> io::Result<tokio::fs::File> {
    let opened = if file == Path::new("-") {
        File::from(io::stdin().as_fd().try_clone_to_owned()?)
    } else {
        File::open(file)?
    };
    if opened.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(tokio::fs::File::from_std(opened))
}
