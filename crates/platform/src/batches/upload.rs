//! Taking in a file: parsed on a thread of its own, staged in chunks while it still arrives.
//!
//! Nothing counts before `accept`: chunks without a batch are invisible, and are removed when the upload
//! fails or, after a crash, when the collector finds them.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::PoisonError;

use bytes::{Buf, Bytes};
use coffer_domain::address::AddressKinds;
use coffer_domain::batch::{Batch, OnError};
use coffer_domain::id::{BatchId, VaultId};
use coffer_store::chunks::{self, StagedChunk};
use coffer_store::idempotency::IdempotencyScope;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

use super::accept::{Candidate, with_content};
use super::parse::{Format, Limits, Summary, UploadError, parse};
use super::rows::ChunkBuilder;
use crate::idempotency::scope;
use crate::transaction::transact;
use crate::{Answer, Caller, Error, Once, Platform};

pub(crate) const OPERATION: &str = "batches.create";
/// Pieces of the body that may wait for the parser, and chunks that may wait for the database.
const QUEUE: usize = 8;

/// The body as it arrives.
pub type UploadStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// What comes with the file.
#[derive(Debug, Clone)]
pub struct Upload {
    pub vault: VaultId,
    pub format: Format,
    pub gzip: bool,
    /// For rows that name no chains.
    pub kinds: AddressKinds,
    pub on_error: OnError,
    pub limits: Limits,
}

/// Reads the pieces of a body on a thread that may block.
struct BodyReader {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// What the parser's thread tells at its end.
struct Staged {
    summary: Summary,
    kinds: AddressKinds,
    chunks: u32,
}

impl Staged {
    fn is_as_told(&self, content_sha256: Option<[u8; 32]>) -> bool {
        content_sha256.is_none_or(|told| told == self.summary.content_sha256)
    }
}

impl Platform {
    /// The answer that an upload of this content was given under this key before, if there was one.
    pub async fn batch_answer(
        &self,
        caller: &Caller,
        content_sha256: [u8; 32],
        once: &Once<'_, Batch>,
    ) -> Result<Option<Answer<Batch>>, Error> {
        let once = Once {
            key: once.key,
            fingerprint: with_content(once.fingerprint, content_sha256),
            render: once.render,
        };
        self.replay_now(caller, OPERATION, Some(&once)).await
    }

    /// Takes in a whole file; on any fault of the file as a whole nothing of it is kept.
    ///
    /// `once.fingerprint` must cover all but the body; the body's own hash is added here.
    pub async fn create_batch(
        &self,
        caller: &Caller,
        upload: Upload,
        body: UploadStream,
        once: Option<Once<'_, Batch>>,
    ) -> Result<Answer<Batch>, Error> {
        self.create_announced_batch(caller, upload, None, body, once)
            .await
    }

    /// The same, of a content that must have this hash, unpacked.
    pub async fn create_announced_batch(
        &self,
        caller: &Caller,
        upload: Upload,
        content_sha256: Option<[u8; 32]>,
        body: UploadStream,
        once: Option<Once<'_, Batch>>,
    ) -> Result<Answer<Batch>, Error> {
        self.guard(caller.organization)?;
        if upload.kinds.is_empty() {
            return Err(Error::validation("chains", "name at least one chain"));
        }
        let vault = self.vault(caller, upload.vault).await?;
        if vault.state != coffer_domain::vault::VaultState::Open {
            return Err(Error::VaultAwaitingDrill(vault.id));
        }
        let (ms, random) = self.moment()?;
        let id = BatchId::new_v7(ms, random);
        let _mine = match &once {
            Some(once) => Some(self.begin_upload(scope(caller, OPERATION, once.key), id)?),
            None => None,
        };
        let _ = coffer_failpoint::hit("batch.upload.begun", "");
        let result = match self.stage(id, &upload, body).await {
            Ok(read) if !read.is_as_told(content_sha256) => Err(Error::validation(
                "sha256",
                "the content is another than was announced",
            )),
            Ok(read) => {
                let candidate = Candidate {
                    id,
                    upload: &upload,
                    summary: read.summary,
                    kinds: read.kinds,
                    chunks: read.chunks,
                };
                self.accept_batch(caller, &candidate, once).await
            }
            Err(error) => Err(error),
        };
        if !matches!(&result, Ok(Answer::Executed(_))) {
            self.discard(id).await;
        }
        result
    }

    /// Remembers that an upload with this key is under way, until the guard is dropped.
    fn begin_upload(&self, scope: IdempotencyScope, id: BatchId) -> Result<UploadGuard, Error> {
        let mut uploads = self
            .0
            .uploads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = uploads.get(&scope) {
            return Err(Error::IdempotencyInProgress {
                id: other.to_string(),
            });
        }
        uploads.insert(scope.clone(), id);
        Ok(UploadGuard {
            platform: self.clone(),
            scope,
        })
    }

    /// Parses on a thread of its own and stores the chunks as they fill.
    async fn stage(
        &self,
        id: BatchId,
        upload: &Upload,
        mut body: UploadStream,
    ) -> Result<Staged, Error> {
        let (send_piece, pieces) = mpsc::channel(QUEUE);
        let (send_chunk, staged) = mpsc::channel::<StagedChunk>(QUEUE);
        let feeding = async move {
            while let Some(piece) = body.next().await {
                let broken = piece.is_err();
                if send_piece.send(piece).await.is_err() || broken {
                    break;
                }
            }
        };
        let platform = self.clone();
        let upload = upload.clone();
        let reading =
            tokio::task::spawn_blocking(move || platform.read(id, &upload, pieces, &send_chunk));
        // When storing fails, its receiver goes and the parser stops; when the parser ends, the feeder does.
        let storing = async {
            let mut staged = staged;
            let mut full = Vec::new();
            while staged.recv_many(&mut full, QUEUE).await > 0 {
                let now = self.now_ms();
                transact!(self, tx, { Ok(chunks::stage(tx, &full, now).await?) })?;
                full.clear();
                let _ = coffer_failpoint::hit("batch.upload.chunk_staged", "");
            }
            Ok::<(), Error>(())
        };
        let ((), read, stored) = tokio::join!(feeding, reading, storing);
        stored?;
        Ok(read.map_err(|error| {
            Error::Internal(format!("reading an upload ended early: {error}"))
        })??)
    }

    fn read(
        &self,
        id: BatchId,
        upload: &Upload,
        pieces: mpsc::Receiver<io::Result<Bytes>>,
        send: &mpsc::Sender<StagedChunk>,
    ) -> Result<Staged, UploadError> {
        let reader = BodyReader {
            pieces,
            current: Bytes::new(),
        };
        let mut builder = ChunkBuilder::new(id, upload.kinds);
        let flow = |sent: Option<StagedChunk>| match sent.map(|chunk| send.blocking_send(chunk)) {
            Some(Err(_)) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        let mut on_row = |_, row| flow(builder.push(&self.0.seals, row));
        let summary = parse(
            reader,
            upload.gzip,
            upload.format,
            &upload.limits,
            &mut on_row,
        )?;
        let last = builder.finish(&self.0.seals);
        if flow(last).is_break() {
            return Err(UploadError::Stopped);
        }
        Ok(Staged {
            summary,
            kinds: builder.kinds(),
            chunks: builder.chunks(),
        })
    }

    /// Removes what was staged. A failure leaves it to the collector.
    async fn discard(&self, id: BatchId) {
        let removed: Result<u64, Error> =
            transact!(self, tx, { Ok(chunks::discard(tx, id).await?) });
        if let Err(error) = removed {
            tracing::warn!(batch = %id, %error, "staged chunks were not removed; the collector will");
        }
    }
}

struct UploadGuard {
    platform: Platform,
    scope: IdempotencyScope,
}

impl Drop for UploadGuard {
    fn drop(&mut self) {
        self.platform
            .0
            .uploads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.scope);
    }
}
