//! Results: to standard output as they come, or to a file that is whole or not there.
//!
//! A file is written beside its place under a name of its own, made durable, and then renamed, so
//! neither a crash nor a lost connection leaves half a file (or ruins the one that was there).

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::refused::{self, RefusedRows};
use crate::args::{ResultsArgs, ResultsFormat};
use crate::client::Resource;
use crate::commands::Session;
use crate::error::Failure;

/// Rows looked at for the first failed ones; a million take seconds.
const SCAN_LIMIT: Duration = Duration::from_secs(30);
const LINE_LIMIT_BYTES: usize = 1 << 20;

pub(crate) async fn run(session: &Session, args: ResultsArgs) -> Result<(), Failure> {
    let by_name = args.output.as_deref().and_then(format_by_name);
    let by_default = if session.out.is_json() {
        ResultsFormat::Ndjson
    } else {
        ResultsFormat::Csv
    };
    let Some(output) = args
        .output
        .as_deref()
        .filter(|path| *path != Path::new("-"))
    else {
        let format = args.format.unwrap_or(by_default);
        if session.out.is_json() && format == ResultsFormat::Csv {
            return Err(Failure::usage(
                "--json and --format csv cannot both go to standard output",
                "leave one of them out, or write a file with --output FILE",
            ));
        }
        let mut stdout = io::stdout().lock();
        let copied = copy(session, &args.id, format, &mut |piece| {
            Ok(stdout.write_all(piece)?)
        })
        .await?;
        stdout.flush()?;
        return refused::no_success(copied.refused);
    };
    let target = Target::check(output)?;
    let format = args.format.or(by_name).unwrap_or(ResultsFormat::Csv);
    let copied = download(session, &args.id, format, &target, Duration::ZERO).await?;
    let answer = json!({
        "id": args.id, "format": format.name(), "file": target.path.display().to_string(),
        "bytes": copied.bytes, "rows_refused": copied.refused,
    });
    session.out.answer(&answer, || {
        format!("{} bytes written to {}", copied.bytes, output.display())
    })?;
    refused::no_success(copied.refused)
}

pub(crate) fn format_by_name(file: &Path) -> Option<ResultsFormat> {
    let extension = file.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "ndjson" | "jsonl" => Some(ResultsFormat::Ndjson),
        "csv" => Some(ResultsFormat::Csv),
        _ => None,
    }
}

/// A place that can be written, looked at before any work is asked for.
#[derive(Debug)]
pub(crate) struct Target {
    pub path: PathBuf,
    /// A device or a pipe is written as it is; it must never be renamed over.
    is_file: bool,
}

impl Target {
    pub(crate) fn check(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::file("write", path, &error);
        if path == Path::new("-") {
            let advice = "name a file; `coffer batch results ID` writes to standard output";
            return Err(Failure::usage("- is no file for results", advice));
        }
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Err(failed(io::ErrorKind::IsADirectory.into())),
            // Through a symbolic link to the file itself: the link stays.
            Ok(metadata) if metadata.is_file() => Ok(Self {
                path: path.canonicalize().map_err(failed)?,
                is_file: true,
            }),
            Ok(_) => Ok(Self {
                path: path.to_owned(),
                is_file: false,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.file_name().is_some() => {
                let folder = std::fs::metadata(folder_of(path)).map_err(failed)?;
                if !folder.is_dir() {
                    return Err(failed(io::ErrorKind::NotADirectory.into()));
                }
                Ok(Self {
                    path: path.to_owned(),
                    is_file: true,
                })
            }
            Err(error) => Err(failed(error)),
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A file that takes its name only once it is whole; until then it goes when this is dropped.
struct PartFile {
    part: PathBuf,
    path: PathBuf,
    file: BufWriter<File>,
    is_kept: bool,
}

impl PartFile {
    fn create(path: &Path) -> io::Result<Self> {
        let mut random = [0; 6];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.part", hex::encode(random)));
        let part = folder_of(path).join(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&part)?;
        Ok(Self {
            part,
            path: path.to_owned(),
            file: BufWriter::with_capacity(256 << 10, file),
            is_kept: false,
        })
    }

    fn keep(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        std::fs::rename(&self.part, &self.path)?;
        self.is_kept = true;
        // The new name itself is made durable too.
        File::open(folder_of(&self.path))?.sync_all()
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.is_kept {
            std::fs::remove_file(&self.part).ok();
        }
    }
}

/// What went through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copied {
    pub bytes: u64,
    /// Rows whose stored wallet was tampered with.
    pub refused: u64,
}

/// Begun anew when the connection is lost, within `patience`.
pub(crate) async fn download(
    session: &Session,
    id: &str,
    format: ResultsFormat,
    target: &Target,
    patience: Duration,
) -> Result<Copied, Failure> {
    let deadline = Instant::now() + patience;
    loop {
        match download_once(session, id, format, target).await {
            Err(failure) if failure.is_passing() && Instant::now() < deadline && target.is_file => {
                session
                    .out
                    .note(&format!("{failure}; fetching the results again"));
                sleep(Duration::from_secs(1)).await;
            }
            outcome => {
                let advice = format!(
                    "the batch itself is safe: fetch again with `coffer batch results {id} --output FILE`"
                );
                return outcome.map_err(|failure| failure.with("batch_id", id).advise(advice));
            }
        }
    }
}

async fn download_once(
    session: &Session,
    id: &str,
    format: ResultsFormat,
    target: &Target,
) -> Result<Copied, Failure> {
    let failed = |error: io::Error| Failure::writing(&target.path, &error);
    if !target.is_file {
        let mut device = OpenOptions::new()
            .write(true)
            .open(&target.path)
            .map_err(failed)?;
        return copy(session, id, format, &mut |piece| {
            device.write_all(piece).map_err(failed)
        })
        .await;
    }
    let mut part = PartFile::create(&target.path).map_err(failed)?;
    let copied = copy(session, id, format, &mut |piece| {
        part.file.write_all(piece).map_err(failed)
    })
    .await?;
    part.keep().map_err(failed)?;
    Ok(copied)
}

async fn copy(
    session: &Session,
    id: &str,
    format: ResultsFormat,
    write: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<Copied, Failure> {
    let query = [("format", format.name())];
    let path = ["batches", id, "results"];
    let resource = Resource::with(&path, &query);
    let mut response = session
        .client
        .open(session.client.request(Method::GET, resource))
        .await?;
    let mut copied = Copied {
        bytes: 0,
        refused: 0,
    };
    let mut refused = RefusedRows::new(format);
    while let Some(piece) = session.client.next_piece(&mut response).await? {
        let piece = piece.as_ref();
        write(piece)?;
        refused.feed(piece);
        copied.bytes += piece.len() as u64;
    }
    copied.refused = refused.count();
    Ok(copied)
}

/// The first `wanted` rows whose status is `failed` or `refused`; the rest is not fetched.
pub(crate) async fn first_failed(
    session: &Session,
    id: &str,
    wanted: usize,
) -> Result<Vec<Value>, Failure> {
    let mut found = Vec::new();
    if wanted == 0 {
        return Ok(found);
    }
    let query = [("format", "ndjson")];
    let path = ["batches", id, "results"];
    let resource = Resource::with(&path, &query);
    let mut response = session
        .client
        .open(session.client.request(Method::GET, resource))
        .await?;
    let deadline = Instant::now() + SCAN_LIMIT;
    let mut pending = Vec::new();
    while let Some(piece) = session.client.next_piece(&mut response).await? {
        pending.extend_from_slice(piece.as_ref());
        take_failed(&mut pending, &mut found, wanted);
        if found.len() >= wanted || pending.len() > LINE_LIMIT_BYTES || Instant::now() > deadline {
            break;
        }
    }
    Ok(found)
}

/// Takes the whole lines out of `pending`, and the failed ones among them over to `found`.
fn take_failed(pending: &mut Vec<u8>, found: &mut Vec<Value>, wanted: usize) {
    let whole = pending
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    for line in pending[..whole].split(|byte| *byte == b'\n') {
        let row: Value = serde_json::from_slice(line).unwrap_or_default();
        let is_failed = matches!(row["status"].as_str(), Some("failed" | "refused"));
        if is_failed && found.len() < wanted {
            found.push(row);
        }
    }
    pending.drain(..whole);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("results.csv");
        std::fs::write(&path, "old").expect("written");
        let names = || std::fs::read_dir(folder.path()).expect("listed").count();

        let mut part = PartFile::create(&path).expect("a part");
        part.file.write_all(b"half").expect("written");
        drop(part);
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "old");
        assert_eq!(names(), 1, "the half is gone");

        let mut part = PartFile::create(&path).expect("a part");
        part.file.write_all(b"whole").expect("written");
        part.keep().expect("kept");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "whole");
        assert_eq!(names(), 1);
    }

    #[test]
    fn a_place_is_checked_before_any_work() {
        let folder = tempfile::tempdir().expect("a folder");
        let code = |path: &Path| Target::check(path).map_err(|failure| failure.exit_code());
        assert!(code(&folder.path().join("new.csv")).is_ok_and(|target| target.is_file));
        assert!(code(Path::new("/dev/null")).is_ok_and(|target| !target.is_file));
        assert_eq!(code(folder.path()).expect_err("a folder"), 2);
        assert_eq!(
            code(&folder.path().join("none/x.csv")).expect_err("no folder"),
            2
        );
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (
            folder.path().join("file.csv"),
            folder.path().join("link.csv"),
        );
        std::fs::write(&file, "old").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("linked");
        let target = Target::check(&link).expect("a place");
        assert_eq!(target.path, file.canonicalize().expect("real"));
    }

    #[test]
    fn failed_rows_are_found_across_pieces() {
        let text = concat!(
            "{\"row\":1,\"status\":\"created\"}\n",
            "{\"row\":2,\"status\":\"failed\",\"error\":\"x\"}\n",
            "{\"row\":3,\"status\":\"refused\"}\n",
            "{\"row\":4,\"status\":\"failed\"}\n",
        );
        let (mut pending, mut found) = (Vec::new(), Vec::new());
        for piece in text.as_bytes().chunks(7) {
            pending.extend_from_slice(piece);
            take_failed(&mut pending, &mut found, 2);
        }
        let rows: Vec<_> = found.iter().map(|row| row["row"].clone()).collect();
        assert_eq!(rows, [json!(2), json!(3)]);
        assert!(pending.is_empty());
    }
}
