//! A batch's results: one row for each row of the file, in its order, also while the batch runs.

use std::collections::HashMap;

use coffer_domain::batch::{Batch, BatchState};
use coffer_domain::id::{BatchId, WalletId};
use coffer_domain::wallet::{Wallet, WalletState};
use coffer_store::Tx;
use coffer_store::chunks::{self, ReadChunk};
use coffer_store::wallets::{self, Found};

use super::outcome::Outcome;
use super::rows::{self, Row};
use crate::seal::refused;
use crate::transaction::reread;
use crate::{Caller, Error, Platform};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowStatus {
    Created,
    Existing,
    Failed,
    /// Not yet worked on.
    Pending,
    /// The batch was cancelled, or failed, before this row.
    Cancelled,
    /// The stored wallet was changed outside Coffer and is not shown.
    Refused,
}

impl RowStatus {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Existing => "existing",
            Self::Failed => "failed",
            Self::Pending => "pending",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    pub row: u32,
    pub external_id: String,
    pub status: RowStatus,
    /// The wallet, verified; its addresses are shown only while it is active.
    pub wallet: Option<Wallet>,
    pub error: Option<String>,
}

impl ResultRow {
    /// Whether the wallet's addresses may be shown.
    #[must_use]
    pub fn shows_addresses(&self) -> bool {
        self.wallet
            .as_ref()
            .is_some_and(|wallet| wallet.state == WalletState::Active)
    }
}

/// Reads results a chunk at a time, so that memory stays flat however long the file is.
pub struct ResultsReader {
    platform: Platform,
    pub batch: Batch,
    next_chunk: u32,
}

impl Platform {
    pub async fn batch_results(
        &self,
        caller: &Caller,
        id: BatchId,
    ) -> Result<ResultsReader, Error> {
        let batch = self.batch(caller, id).await?;
        Ok(ResultsReader {
            platform: self.clone(),
            batch,
            next_chunk: 0,
        })
    }
}

impl ResultsReader {
    /// The next rows; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<ResultRow>>, Error> {
        reread!(self.try_next())
    }

    async fn try_next(&mut self) -> Result<Option<Vec<ResultRow>>, Error> {
        if self.next_chunk >= self.batch.chunks_total {
            return Ok(None);
        }
        let mut tx = self.platform.0.db.read().await?;
        self.platform
            .follow(&mut tx, self.batch.organization)
            .await?;
        let chunk = chunks::read(&mut tx, self.batch.id, self.next_chunk).await?;
        let missing =
            || crate::seal::refused(format!("chunk {} of {}", self.next_chunk, self.batch.id));
        let chunk = chunk.ok_or_else(missing)?;
        let rows = rows::open(&self.platform.0.seals, &chunk.chunk)?;
        let results = match &chunk.outcome {
            None => {
                self.check_undone(&chunk).await?;
                self.undone(&chunk, rows)
            }
            Some(stored) => {
                let outcome = Outcome::open(
                    &self.platform.0.seals,
                    self.batch.id,
                    chunk.chunk.number,
                    stored,
                )?;
                self.done(&mut tx, &chunk, rows, &outcome).await?
            }
        };
        self.next_chunk += 1;
        Ok(Some(results))
    }

    /// A chunk without an outcome must be one that was never done. What this snapshot is too old to know
    /// is asked of a new one.
    async fn check_undone(&self, chunk: &ReadChunk) -> Result<(), Error> {
        let finished = matches!(
            self.batch.state,
            BatchState::Completed | BatchState::CompletedWithErrors
        );
        let done_before = self.platform.refuse_done_before(&self.batch, &chunk.chunk);
        if !finished && done_before.is_ok() {
            return Ok(());
        }
        let mut now = self.platform.0.db.read().await?;
        let again = chunks::read(&mut now, self.batch.id, chunk.chunk.number).await?;
        match again.and_then(|chunk| chunk.outcome) {
            Some(_) => Err(Error::Contended("a chunk was done meanwhile".to_owned())),
            None => Err(refused(format!(
                "chunk {} of {}",
                chunk.chunk.number, self.batch.id
            ))),
        }
    }

    /// Rows of a chunk that was not, or will never be, worked on.
    fn undone(&self, chunk: &ReadChunk, rows: Vec<Row>) -> Vec<ResultRow> {
        let (status, reason) = match self.batch.state {
            BatchState::Cancelled => (
                RowStatus::Cancelled,
                Some("the batch was cancelled before this row".to_owned()),
            ),
            BatchState::Failed => (
                RowStatus::Cancelled,
                Some("another row of the file is bad, and on_error is abort".to_owned()),
            ),
            _ => (RowStatus::Pending, None),
        };
        (chunk.chunk.first_row..)
            .zip(rows)
            .map(|(row, content)| match content {
                Row::Good(good) => {
                    let external_id = good.external_id.to_string();
                    ResultRow {
                        row,
                        external_id,
                        status,
                        wallet: None,
                        error: reason.clone(),
                    }
                }
                Row::Bad { external_id, error } => failed(row, external_id, error),
            })
            .collect()
    }

    async fn done(
        &self,
        tx: &mut Tx,
        chunk: &ReadChunk,
        rows: Vec<Row>,
        outcome: &Outcome,
    ) -> Result<Vec<ResultRow>, Error> {
        let chunk = &chunk.chunk;
        let vault = self.batch.vault;
        let first = self.batch.first_index + chunk.first_row - 1;
        let range = (
            WalletId::of_index(vault, first),
            WalletId::of_index(vault, first + chunk.row_count - 1),
        );
        let mut found = index(wallets::in_range(tx, range.0, range.1).await?);
        let existing = outcome
            .existing_by_row()
            .ok_or_else(|| Error::Internal("an outcome names no wallet id".to_owned()))?;
        let ids: Vec<WalletId> = existing.values().copied().collect();
        found.extend(index(wallets::by_ids(tx, &ids).await?));
        let dead: HashMap<u32, &str> = outcome
            .dead
            .iter()
            .map(|(row, error)| (*row, error.as_str()))
            .collect();
        let mut results = Vec::with_capacity(rows.len());
        for (row, content) in (chunk.first_row..).zip(rows) {
            let good = match content {
                Row::Good(good) => good,
                Row::Bad { external_id, error } => {
                    results.push(failed(row, external_id, error));
                    continue;
                }
            };
            if let Some(error) = dead.get(&row) {
                results.push(failed(
                    row,
                    Some(good.external_id.to_string()),
                    (*error).to_owned(),
                ));
                continue;
            }
            let (id, status) = match existing.get(&row) {
                Some(id) => (*id, RowStatus::Existing),
                None => (
                    WalletId::of_index(vault, self.batch.first_index + row - 1),
                    RowStatus::Created,
                ),
            };
            let wallet = self.verified(tx, id, found.remove(&id)).await?;
            let wallet = wallet.filter(|wallet| {
                wallet.external_id == good.external_id
                    && wallet.organization == self.batch.organization
            });
            let external_id = good.external_id.to_string();
            results.push(match wallet {
                Some(wallet) => ResultRow { row, external_id, status, wallet: Some(wallet), error: None },
                None => {
                    let error = Some(format!("integrity_violation: wallet {id} was changed outside Coffer and is not shown"));
                    ResultRow { row, external_id, status: RowStatus::Refused, wallet: None, error }
                }
            });
        }
        Ok(results)
    }

    /// The wallet, or `None` when it is missing or was changed outside Coffer.
    async fn verified(
        &self,
        tx: &mut Tx,
        id: WalletId,
        found: Option<Found>,
    ) -> Result<Option<Wallet>, Error> {
        let Some(found) = found else {
            let _ = crate::seal::refused(id.to_string());
            return Ok(None);
        };
        match self.platform.open_wallet(tx, found).await {
            Ok(wallet) => Ok(Some(wallet)),
            Err(Error::Integrity { .. }) => self.reread(id).await,
            Err(other) => Err(other),
        }
    }

    /// A wallet that was activated a moment ago looks older in this snapshot than the audit says it is.
    async fn reread(&self, id: WalletId) -> Result<Option<Wallet>, Error> {
        let mut tx = self.platform.0.db.read().await?;
        let Some(found) = wallets::by_id(&mut tx, id).await? else {
            return Ok(None);
        };
        match self.platform.open_wallet(&mut tx, found).await {
            Ok(wallet) => Ok(Some(wallet)),
            Err(Error::Integrity { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

fn index(found: Vec<Found>) -> HashMap<WalletId, Found> {
    let id = |found: &Found| match found {
        Ok(sealed) => sealed.value.id,
        Err((id, _)) => *id,
    };
    found.into_iter().map(|found| (id(&found), found)).collect()
}

fn failed(row: u32, external_id: Option<String>, error: String) -> ResultRow {
    ResultRow {
        row,
        external_id: external_id.unwrap_or_default(),
        status: RowStatus::Failed,
        wallet: None,
        error: Some(error),
    }
}
