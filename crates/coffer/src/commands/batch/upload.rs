//! The way of a file to the server: opened anew for each attempt, looked at for gzip, streamed.

use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Body, Method};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::ReaderStream;

use crate::args::UploadFormat;
use crate::client::Resource;
use crate::commands::Session;
use crate::commands::input;
use crate::commands::wallet::IDEMPOTENCY_KEY;
use crate::error::Failure;
use crate::meter::Meter;

const PIECE_BYTES: usize = 256 << 10;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

pub(crate) struct Upload {
    pub file: PathBuf,
    pub format: UploadFormat,
    pub query: Vec<(&'static str, String)>,
    pub idempotency_key: String,
}

/// What is going on inside the body while it is sent.
#[derive(Default, Clone)]
struct Sent {
    bytes: Arc<AtomicU64>,
    read_error: Arc<Mutex<Option<io::Error>>>,
}

struct Source {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    length: u64,
    gzip: bool,
}

impl Upload {
    pub(crate) fn is_stdin(&self) -> bool {
        self.file == Path::new("-")
    }

    pub(crate) async fn send(&self, session: &Session) -> Result<Value, Failure> {
        let source = self.open().await?;
        let mut meter = Meter::new(session.out, source.length, "bytes");
        let sent = Sent::default();
        let request = self.request(session, source, &sent);
        let sending = session.client.open(request);
        tokio::pin!(sending);
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        let outcome = loop {
            tokio::select! {
                outcome = &mut sending => break outcome,
                _ = tick.tick() => meter.set(sent.bytes.load(Ordering::Relaxed), "sending", ""),
            }
        };
        meter.finish();
        let read_error = sent
            .read_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(error) = read_error {
            return Err(Failure::file("read", &self.file, &error));
        }
        session.client.read_json(outcome?).await
    }

    async fn open(&self) -> Result<Source, Failure> {
        let failed = |error: io::Error| Failure::file("read", &self.file, &error);
        let mut reader = input::open(&self.file).map_err(failed)?;
        let length = reader.metadata().await.map_err(failed)?.len();
        let mut start = Vec::with_capacity(GZIP_MAGIC.len());
        let first = (&mut reader)
            .take(GZIP_MAGIC.len() as u64)
            .read_to_end(&mut start)
            .await;
        first.map_err(failed)?;
        let gzip = start == GZIP_MAGIC;
        if !gzip && has_gz_suffix(&self.file) {
            return Err(Failure::usage(
                format!("{} is named .gz but is not gzip", self.file.display()),
                "rename it after what it holds",
            ));
        }
        let reader = Box::new(Cursor::new(start).chain(reader));
        Ok(Source {
            reader,
            length,
            gzip,
        })
    }

    fn request(&self, session: &Session, source: Source, sent: &Sent) -> reqwest::RequestBuilder {
        let query: Vec<_> = self
            .query
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let resource = Resource::with(&["batches"], &query);
        let mut request = session
            .client
            .request(Method::POST, resource)
            .header(CONTENT_TYPE, self.format.content_type())
            .header(IDEMPOTENCY_KEY, &self.idempotency_key);
        if source.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        let sent = sent.clone();
        let pieces = ReaderStream::with_capacity(source.reader, PIECE_BYTES).map(move |piece| {
            piece
                .inspect(|bytes| {
                    sent.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                })
                .map_err(|error| {
                    let told = io::Error::from(error.kind());
                    let mut place = sent
                        .read_error
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    *place = Some(error);
                    told
                })
        });
        request.body(Body::wrap_stream(pieces))
    }
}

fn has_gz_suffix(file: &Path) -> bool {
    file.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}

/// By the file's name, the ending `.gz` put aside.
pub(crate) fn guess_format(file: &Path) -> Option<UploadFormat> {
    let plain = if has_gz_suffix(file) {
        file.with_extension("")
    } else {
        file.to_owned()
    };
    let extension = plain.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "csv" => Some(UploadFormat::Csv),
        "ndjson" | "jsonl" => Some(UploadFormat::Ndjson),
        "json" => Some(UploadFormat::Json),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_guessed_from_the_name() {
        let check =
            |name: &str, expected| assert_eq!(guess_format(Path::new(name)), expected, "{name}");
        check("customers.csv", Some(UploadFormat::Csv));
        check("/a.b/c.CSV.GZ", Some(UploadFormat::Csv));
        check("x.ndjson", Some(UploadFormat::Ndjson));
        check("x.jsonl.gz", Some(UploadFormat::Ndjson));
        check("x.json", Some(UploadFormat::Json));
        check("x.gz", None);
        check("x.xlsx", None);
        check("csv", None);
        check("-", None);
    }

    #[test]
    fn gzip_is_told_by_its_first_bytes() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let check = |name: &str, content: &[u8], expected: Option<bool>| {
            let file = folder.path().join(name);
            std::fs::write(&file, content).expect("written");
            let upload = Upload {
                file,
                format: UploadFormat::Csv,
                query: Vec::new(),
                idempotency_key: "k".to_owned(),
            };
            let opened = runtime.block_on(async {
                let mut source = upload.open().await.ok()?;
                let mut whole = Vec::new();
                source.reader.read_to_end(&mut whole).await.ok()?;
                assert_eq!(whole, content, "nothing is lost by looking");
                Some(source.gzip)
            });
            assert_eq!(opened, expected, "{name}");
        };
        check("a.csv", b"external_id\n1\n", Some(false));
        check("b.csv", &[0x1f, 0x8b, 8, 0], Some(true));
        check("c.csv.gz", &[0x1f, 0x8b, 8, 0], Some(true));
        check("d.csv.gz", b"external_id\n", None);
        check("e.csv", b"", Some(false));
        check("f.csv", b"x", Some(false));
    }
}
