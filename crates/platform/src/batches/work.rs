//! Working on one chunk: lease, derive, verify, seal, commit.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use coffer_domain::address::AddressKinds;
use coffer_domain::batch::{Batch, BatchEvent, BatchState};
use coffer_domain::event::EventType;
use coffer_domain::external_id::ExternalId;
use coffer_domain::id::WalletId;
use coffer_domain::vault::{GateMode, Vault};
use coffer_domain::wallet::{Wallet, WalletState};
use coffer_store::chunks::{self, LeasedChunk, Retry, StagedChunk};
use coffer_store::{Sealed, Tx, addresses, batches, wallets};
use tokio_util::sync::CancellationToken;

use super::outcome::Outcome;
use super::rows::{self, GoodRow, Row};
use crate::audit::{Changes, CreatedWallets, Entry, append};
use crate::events::{BatchEventV1, Outgoing};
use crate::gates::state_at_birth;
use crate::seal::refused;
use crate::transaction::transact;
use crate::vaults::{AccountKeys, Derived};
use crate::{Error, Platform, blocking};

/// Longer than any chunk takes; fencing, not time, is what keeps two workers apart.
const LEASE_MS: i64 = 30_000;
/// Times that a chunk is tried as a whole before its rows are tried one by one.
pub(crate) const ATTEMPTS: u32 = 4;
const FIRST_PAUSE_MS: i64 = 200;
const LONGEST_PAUSE_MS: i64 = 30_000;

/// What a worker found to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worked {
    /// Until none was due, or the last one failed.
    Chunks,
    Nothing,
}

/// A chunk ready to be committed, but for what only the transaction can know.
struct Prepared {
    /// As it was when the work began.
    batch: Batch,
    vault: Vault,
    /// Good rows: number and row.
    good: Vec<(u32, GoodRow)>,
    bad: u32,
    derived: Derived,
    /// Rows given up, with the reason.
    dead: Vec<(u32, String)>,
    /// The wallets as they are if no customer has one and the gate stays as it was: sealed before the
    /// transaction, which holds the one writer. None for a gate that must be asked for each customer.
    expected: Option<Vec<Sealed<Wallet>>>,
    /// Inserts the expected ones.
    insertion: Option<wallets::Insertion>,
}

/// Rows whose customer has a wallet: row number and wallet.
type Existing = Vec<(u32, String)>;

/// What only the transaction knows of a chunk's rows.
#[derive(Default)]
struct Found {
    /// External ids that have a wallet.
    taken: HashMap<String, WalletId>,
    /// External ids that an allow-list lets through.
    allowed: HashSet<[u8; 16]>,
}

impl Platform {
    /// Takes chunks that are due, one after the other, and brings each to its end or gives it back.
    pub(crate) async fn work_on_chunks(&self, stop: &CancellationToken) -> Result<Worked, Error> {
        let mut next = transact!(self, tx, { self.claim(tx).await })?;
        if next.is_none() {
            return Ok(Worked::Nothing);
        }
        while let Some(leased) = next.take() {
            let _ = coffer_failpoint::hit("chunk.claimed", "");
            let task = {
                let (platform, stop) = (self.clone(), stop.clone());
                let leased = leased.clone();
                tokio::spawn(async move { platform.process(&leased, &stop).await })
            };
            match task.await {
                Ok(Ok(claimed)) => next = claimed,
                Ok(Err(error)) => self.give_back(&leased, &error).await?,
                Err(panicked) => {
                    let error = Error::Internal(format!("a worker ended early: {panicked}"));
                    self.give_back(&leased, &error).await?;
                }
            }
        }
        Ok(Worked::Chunks)
    }

    async fn claim(&self, tx: &mut Tx) -> Result<Option<LeasedChunk>, Error> {
        let now = self.now_ms();
        Ok(chunks::claim(tx, &self.0.instance, now, now + LEASE_MS).await?)
    }

    /// The transaction that ends a chunk claims the next one, unless `stop` says that there shall be none: a
    /// durable commit less for each chunk.
    async fn process(
        &self,
        leased: &LeasedChunk,
        stop: &CancellationToken,
    ) -> Result<Option<LeasedChunk>, Error> {
        let prepared = self.prepare(leased).await?;
        let _ = coffer_failpoint::hit("chunk.verified", "");
        let started = std::time::Instant::now();
        // The index of external ids refuses a second wallet for a customer by itself. Asking it beforehand for
        // each row is needed only where a customer has one, which the first try finds out.
        let mut tried = false;
        let next = transact!(self, tx, {
            let again = std::mem::replace(&mut tried, true);
            self.commit_chunk(tx, leased, &prepared, again).await?;
            if stop.is_cancelled() {
                return Ok(None);
            }
            self.claim(tx).await
        })?;
        metrics::histogram!("coffer_chunk_commit_seconds").record(started.elapsed());
        let _ = coffer_failpoint::hit("chunk.after_commit", "");
        Ok(next)
    }

    /// Everything that needs no transaction: open, derive, verify.
    async fn prepare(&self, leased: &LeasedChunk) -> Result<Prepared, Error> {
        let mut tx = self.0.db.read().await?;
        let sealed = batches::by_id(&mut tx, leased.chunk.batch).await?;
        let sealed = sealed.ok_or_else(|| Error::not_found("batch", leased.chunk.batch))?;
        let batch = self.open_batch(&mut tx, sealed).await?.batch;
        self.guard(batch.organization)?;
        let numbers = addresses::known_numbers(&mut tx, batch.vault).await?;
        drop(tx);
        let row = self.read_vault(batch.vault).await?;
        let row = row.filter(|row| row.vault.organization == batch.organization);
        let row = row.ok_or_else(|| Error::not_found("vault", batch.vault))?;
        let account = self.account_keys(&row)?;
        let platform = self.clone();
        let leased = leased.clone();
        blocking(move || {
            let mut prepared = platform.prepare_rows(&leased, &batch, row.vault, &account)?;
            let expected = prepared.expected.as_deref().unwrap_or_default();
            prepared.insertion = wallets::Insertion::of(platform.0.db.engine(), expected, &numbers);
            Ok(prepared)
        })
        .await?
    }

    fn prepare_rows(
        &self,
        leased: &LeasedChunk,
        batch: &Batch,
        vault: Vault,
        account: &Arc<AccountKeys>,
    ) -> Result<Prepared, Error> {
        let chunk = &leased.chunk;
        let mut good = Vec::with_capacity(chunk.row_count as usize);
        let mut bad = 0;
        for (number, row) in (chunk.first_row..).zip(rows::open(&self.0.seals, chunk)?) {
            match row {
                Row::Good(row) => good.push((number, row)),
                Row::Bad { .. } => bad += 1,
            }
        }
        let kinds = good
            .iter()
            .fold(AddressKinds::default(), |kinds, (_, row)| {
                kinds.union(row.kinds)
            });
        let range = (batch.first_index + chunk.first_row - 1, chunk.row_count);
        let derived = self
            .0
            .derivation
            .derive(self.0.signer.as_ref(), account, kinds, range)?;
        let _ = coffer_failpoint::hit("chunk.derived", "");
        // The failpoint stands for whatever may go wrong with one row alone.
        let row_fails = |row: &GoodRow| {
            coffer_failpoint::hit("chunk.row", row.external_id.as_str())
                == coffer_failpoint::Outcome::Fail
        };
        let mut dead = Vec::new();
        if leased.attempts <= ATTEMPTS {
            if let Some((number, _)) = good.iter().find(|(_, row)| row_fails(row)) {
                return Err(Error::Internal(format!("row {number} failed")));
            }
        } else {
            good.retain(
                |(number, row)| match catch_unwind(AssertUnwindSafe(|| row_fails(row))) {
                    Ok(false) => true,
                    Ok(true) | Err(_) => {
                        dead.push((
                            *number,
                            format!("dead: given up after {} attempts", leased.attempts),
                        ));
                        false
                    }
                },
            );
        }
        let mut prepared = Prepared {
            batch: batch.clone(),
            vault,
            good,
            bad,
            derived,
            dead,
            expected: None,
            insertion: None,
        };
        if prepared.vault.gate.mode != GateMode::AllowList {
            let mode = prepared.vault.gate.mode;
            let (born, _) = self.born(&prepared, mode, &Found::default())?;
            prepared.expected = Some(born);
        }
        Ok(prepared)
    }

    /// One transaction: wallets, outcome, counters, audit record.
    async fn commit_chunk(
        &self,
        tx: &mut Tx,
        leased: &LeasedChunk,
        prepared: &Prepared,
        again: bool,
    ) -> Result<(), Error> {
        let chunk = &leased.chunk;
        if !chunks::lock_lease(tx, chunk.batch, chunk.number, leased.fence).await? {
            metrics::counter!("coffer_lease_losses_total").increment(1);
            tracing::warn!(batch = %chunk.batch, chunk = chunk.number, "the lease was taken over; this work is dropped");
            return Ok(());
        }
        let state = match again {
            // The last try may have lost to what ended the batch; its lock settles that before anything is inserted again.
            true => self.lock_batch(tx, chunk.batch).await?.batch.state,
            false => prepared.batch.state,
        };
        if state.is_final() {
            return Ok(());
        }
        self.refuse_done_before(&prepared.batch, chunk)?;
        let (born, existing) = self.split(tx, prepared, again).await?;
        match (&born, &prepared.insertion) {
            (Cow::Borrowed(_), Some(insertion)) => insertion.run(tx).await?,
            _ => wallets::insert_many(tx, &born).await?,
        }
        self.queue_hooks(tx, &prepared.vault, &born).await?;
        let outcome = Outcome {
            existing,
            dead: prepared.dead.clone(),
        };
        let (text, seal) = outcome.to_stored(&self.0.seals, chunk.batch, chunk.number);
        // Locked last: until here a database that can takes the wallets of several chunks at once.
        let row = self.lock_batch(tx, chunk.batch).await?;
        let (mut batch, expected) = (row.batch, row.version);
        if batch.state.is_final() {
            return Err(Error::Contended(format!("{} ended meanwhile", batch.id)));
        }
        chunks::finish(tx, chunk.batch, chunk.number, (&text, &seal)).await?;
        self.count(&mut batch, prepared, &born, &outcome)?;
        let version = self.store_batch(tx, batch.clone(), expected).await?;
        self.record_chunk(tx, leased, (&batch, version), &born, &outcome)
            .await?;
        if coffer_failpoint::hit("chunk.before_commit", "") == coffer_failpoint::Outcome::Fail {
            return Err(Error::StoreUnavailable("failpoint".to_owned()));
        }
        Ok(())
    }

    /// A chunk whose wallets the audit knows was done; its row was put back to an earlier state.
    pub(crate) fn refuse_done_before(
        &self,
        batch: &Batch,
        chunk: &StagedChunk,
    ) -> Result<(), Error> {
        let range = (batch.first_index + chunk.first_row - 1, chunk.row_count);
        let chains = &self.0.chains;
        if batch.state != BatchState::Failed
            && chains.any_created(batch.organization, batch.vault, range)
        {
            return Err(refused(format!("chunk {} of {}", chunk.number, batch.id)));
        }
        Ok(())
    }

    /// Wallets to be born, sealed, and rows whose external id has one already.
    async fn split<'a>(
        &self,
        tx: &mut Tx,
        prepared: &'a Prepared,
        ask_first: bool,
    ) -> Result<(Cow<'a, [Sealed<Wallet>]>, Existing), Error> {
        let batch = &prepared.batch;
        let ask_first = ask_first || batch.rows_existing > 0;
        // The gate in force now, not the one when the chunk was begun.
        let vault = self
            .vault_row(tx, batch.organization, batch.vault)
            .await?
            .vault;
        let unchanged = vault.gate.mode == prepared.vault.gate.mode;
        if let Some(expected) = &prepared.expected
            && unchanged
            && !ask_first
        {
            return Ok((Cow::Borrowed(expected), Vec::new()));
        }
        let ids: Vec<&ExternalId> = prepared
            .good
            .iter()
            .map(|(_, row)| &row.external_id)
            .collect();
        let taken = wallets::existing(tx, batch.organization, &ids).await?;
        let listed = vault.gate.mode == GateMode::AllowList;
        let ids = ids.iter().filter(|_| listed);
        let keys: Vec<[u8; 16]> = ids.map(|id| id.key(batch.organization)).collect();
        let found = Found {
            taken: taken.into_iter().collect(),
            allowed: self.allowed_at_birth(tx, &vault, &keys).await?,
        };
        if let Some(expected) = &prepared.expected
            && unchanged
            && found.taken.is_empty()
        {
            return Ok((Cow::Borrowed(expected), Vec::new()));
        }
        let (born, existing) = self.born(prepared, vault.gate.mode, &found)?;
        Ok((Cow::Owned(born), existing))
    }

    fn born(
        &self,
        prepared: &Prepared,
        mode: GateMode,
        found: &Found,
    ) -> Result<(Vec<Sealed<Wallet>>, Existing), Error> {
        let batch = &prepared.batch;
        let mut born = Vec::with_capacity(prepared.good.len());
        let mut existing = Vec::new();
        let created_at_ms = self.now_ms();
        for (number, row) in &prepared.good {
            if let Some(id) = found.taken.get(row.external_id.as_str()) {
                existing.push((*number, id.to_string()));
                continue;
            }
            let index = batch.first_index + number - 1;
            let payloads = prepared.derived.of(index, row.kinds);
            let allowed = mode == GateMode::AllowList
                && found
                    .allowed
                    .contains(&row.external_id.key(batch.organization));
            let wallet = Wallet {
                id: WalletId::of_index(batch.vault, index),
                organization: batch.organization,
                vault: batch.vault,
                index,
                external_id: row.external_id.clone(),
                label: row.label.clone(),
                metadata: row.metadata.clone(),
                state: state_at_birth(mode, allowed),
                reason: None,
                payloads: payloads
                    .ok_or_else(|| Error::Internal(format!("index {index} was not derived")))?,
                batch: Some(batch.id),
                created_by: batch.created_by,
                created_at_ms,
                version: 1,
            };
            born.push(self.0.seals.seal(wallet));
        }
        Ok((born, existing))
    }

    fn count(
        &self,
        batch: &mut Batch,
        prepared: &Prepared,
        born: &[Sealed<Wallet>],
        outcome: &Outcome,
    ) -> Result<(), Error> {
        let number = |count: usize| {
            u32::try_from(count).map_err(|_| Error::Internal("a chunk of too many rows".to_owned()))
        };
        let (created, existing, dead) = (
            number(born.len())?,
            number(outcome.existing.len())?,
            number(outcome.dead.len())?,
        );
        let now = self.now_ms();
        batch.rows_created += created;
        batch.rows_existing += existing;
        batch.rows_failed += prepared.bad + dead;
        batch.chunks_done += 1;
        batch.started_at_ms = batch.started_at_ms.or(Some(now));
        let event = if batch.chunks_done == batch.chunks_total {
            batch.finished_at_ms = Some(now);
            BatchEvent::AllDone {
                any_failed: batch.rows_failed > 0,
            }
        } else {
            BatchEvent::ChunkDone
        };
        batch.state = batch
            .state
            .apply(event)
            .map_err(|error| Error::StateConflict(error.to_string()))?;
        let counted = [
            ("created", created),
            ("existing", existing),
            ("failed", prepared.bad),
            ("dead", dead),
        ];
        for (state, rows) in counted {
            metrics::counter!("coffer_batch_rows_total", "state" => state)
                .increment(u64::from(rows));
        }
        let pending = born
            .iter()
            .filter(|sealed| sealed.value.state == WalletState::Pending)
            .count();
        metrics::counter!("coffer_wallets_born_pending_total").increment(pending as u64);
        if matches!(
            batch.state,
            BatchState::Completed | BatchState::CompletedWithErrors
        ) {
            tracing::info!(batch = %batch.id, state = batch.state.name(), rows = batch.rows_total, "batch finished");
        }
        Ok(())
    }

    async fn record_chunk(
        &self,
        tx: &mut Tx,
        leased: &LeasedChunk,
        (batch, version): (&Batch, u32),
        born: &[Sealed<Wallet>],
        outcome: &Outcome,
    ) -> Result<(), Error> {
        let created = CreatedWallets::of(batch.vault, born);
        let entry = Entry {
            organization: batch.organization,
            at_ms: self.now_ms(),
            actor: "system",
            action: "batch.chunk_done",
            object: batch.id.to_string(),
            changes: Changes {
                versions: vec![(batch.id.to_string(), version)],
                created: (!born.is_empty()).then_some(created),
                events: None,
            },
            data: serde_json::json!({
                "chunk": leased.chunk.number,
                "first_row": leased.chunk.first_row,
                "rows": leased.chunk.row_count,
                "created": born.len(),
                "existing": outcome.existing.len(),
                "dead": outcome.dead.iter().map(|(row, _)| row).collect::<Vec<_>>(),
                "state": batch.state.name(),
            }),
            events: Outgoing::none()
                .wallets_created(batch.vault, Some(batch.id), born)
                .and(
                    EventType::of_batch(batch.state),
                    batch.id,
                    &BatchEventV1::from(batch),
                ),
        };
        Ok(append(tx, &self.0.seals, entry).await?)
    }

    /// Puts a chunk off after a failure. A transient one does not count as an attempt; after the last
    /// attempt that counts, its rows are worked on one by one.
    async fn give_back(&self, leased: &LeasedChunk, error: &Error) -> Result<(), Error> {
        let transient = error.is_transient() || matches!(error, Error::AuditBroken { .. });
        let attempts = if transient {
            leased.attempts - 1
        } else {
            leased.attempts
        };
        let pause = FIRST_PAUSE_MS
            .saturating_mul(1 << attempts.min(12))
            .min(LONGEST_PAUSE_MS);
        tracing::warn!(batch = %leased.chunk.batch, chunk = leased.chunk.number, attempts, %error, "a chunk is put off");
        metrics::counter!("coffer_chunk_retries_total").increment(1);
        let text = error.to_string();
        let now = self.now_ms();
        transact!(self, tx, {
            let retry = Retry {
                not_before_ms: now + pause,
                attempts,
                error: &text,
            };
            Ok(chunks::give_back(tx, leased, &retry).await?)
        })
    }
}
