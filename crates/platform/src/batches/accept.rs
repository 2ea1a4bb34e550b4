//! Making a batch of what was staged: one transaction takes the indexes and lets the chunks be seen.

use coffer_domain::address::AddressKinds;
use coffer_domain::batch::{Batch, BatchState, OnError};
use coffer_domain::event::EventType;
use coffer_domain::id::BatchId;
use coffer_store::{batches as rows, chunks};
use sha2::{Digest, Sha256};

use super::parse::Summary;
use super::upload::{OPERATION, Upload};
use crate::audit::{Changes, Entry, append};
use crate::events::{BatchEventV1, Outgoing};
use crate::transaction::transact;
use crate::{Answer, Caller, Error, Once, Platform};

/// A file that was read and staged whole.
pub(crate) struct Candidate<'a> {
    pub id: BatchId,
    pub upload: &'a Upload,
    pub summary: Summary,
    pub kinds: AddressKinds,
    pub chunks: u32,
}

/// What makes a request for a batch what it is: all but the content, then the content.
pub(super) fn with_content(fingerprint: [u8; 32], content_sha256: [u8; 32]) -> [u8; 32] {
    Sha256::new()
        .chain_update(fingerprint)
        .chain_update(content_sha256)
        .finalize()
        .into()
}

impl Platform {
    pub(crate) async fn accept_batch(
        &self,
        caller: &Caller,
        candidate: &Candidate<'_>,
        once: Option<Once<'_, Batch>>,
    ) -> Result<Answer<Batch>, Error> {
        let once = once.map(|once| Once {
            fingerprint: with_content(once.fingerprint, candidate.summary.content_sha256),
            ..once
        });
        let accepted = transact!(self, tx, {
            if let Some(answer) = self.replay(tx, caller, OPERATION, once.as_ref()).await? {
                return Ok(answer);
            }
            let mut row = self
                .lock_vault(tx, caller.organization, candidate.upload.vault)
                .await?;
            // The collector takes an upload that adds nothing for an hour for dead.
            if chunks::count(tx, candidate.id).await? != candidate.chunks {
                let stalled =
                    "the upload stalled for so long that a part was removed; send it again";
                return Err(Error::StateConflict(stalled.to_owned()));
            }
            let mut batch = self.batch_of(caller, candidate);
            let mut changes = Changes::default();
            if batch.state == BatchState::Accepted {
                batch.first_index = row.vault.allocate(batch.rows_total)?;
                let vault = self.store_vault(tx, row).await?;
                changes = changes.and(vault.id, vault.version);
            } else {
                batch.first_index = row.vault.next_index;
            }
            let row = rows::BatchRow {
                batch: batch.clone(),
                version: 1,
            };
            rows::insert(tx, &self.0.seals.seal(row)).await?;
            changes = changes.and(batch.id, 1);
            self.keep(tx, caller, OPERATION, once.as_ref(), &batch)
                .await?;
            let entry = Entry {
                organization: caller.organization,
                at_ms: batch.created_at_ms,
                actor: &caller.actor(),
                action: if batch.state == BatchState::Accepted {
                    "batch.accepted"
                } else {
                    "batch.failed"
                },
                object: batch.id.to_string(),
                changes,
                data: serde_json::json!({
                    "vault": batch.vault.to_string(),
                    "first_index": batch.first_index,
                    "rows": batch.rows_total,
                    "bad_rows": candidate.summary.faults,
                    "content_sha256": hex::encode(batch.content_sha256),
                }),
                events: Outgoing::one(
                    EventType::of_batch(batch.state),
                    batch.id,
                    &BatchEventV1::from(&batch),
                ),
            };
            append(tx, &self.0.seals, entry).await?;
            if coffer_failpoint::hit("batch.accept.before_commit", "")
                == coffer_failpoint::Outcome::Fail
            {
                return Err(Error::StoreUnavailable("failpoint".to_owned()));
            }
            Ok(Answer::Executed(batch))
        })?;
        let _ = coffer_failpoint::hit("batch.accept.after_commit", "");
        self.0.work.notify_waiters();
        Ok(accepted)
    }

    fn batch_of(&self, caller: &Caller, candidate: &Candidate<'_>) -> Batch {
        let now = self.now_ms();
        let failed = candidate.upload.on_error == OnError::Abort && candidate.summary.faults > 0;
        // A file of bad rows alone asks for no kind; its results still have the batch's columns.
        let kinds = if candidate.kinds.is_empty() {
            candidate.upload.kinds
        } else {
            candidate.kinds
        };
        Batch {
            id: candidate.id,
            organization: caller.organization,
            vault: candidate.upload.vault,
            state: if failed {
                BatchState::Failed
            } else {
                BatchState::Accepted
            },
            kinds,
            on_error: candidate.upload.on_error,
            first_index: 0,
            rows_total: candidate.summary.rows,
            rows_created: 0,
            rows_existing: 0,
            rows_failed: if failed { candidate.summary.faults } else { 0 },
            chunks_total: candidate.chunks,
            chunks_done: 0,
            content_sha256: candidate.summary.content_sha256,
            created_by: caller.key,
            created_at_ms: now,
            started_at_ms: None,
            finished_at_ms: failed.then_some(now),
        }
    }
}
