//! Looking at batches, and pausing, resuming, cancelling them.

use coffer_domain::batch::{Batch, BatchEvent, BatchState};
use coffer_domain::event::EventType;
use coffer_domain::id::{BatchId, OrganizationId};
use coffer_store::batches::{self as rows, BatchRow};
use coffer_store::{Sealed, Tx};

use crate::audit::{Changes, Entry, append};
use crate::events::{BatchEventV1, Outgoing};
use crate::freshness::Versioned;
use crate::transaction::{reread, transact};
use crate::{Answer, Caller, Error, Once, Platform};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    Pause,
    Resume,
    Cancel,
}

impl Control {
    fn event(self) -> BatchEvent {
        match self {
            Self::Pause => BatchEvent::Pause,
            Self::Resume => BatchEvent::Resume,
            Self::Cancel => BatchEvent::Cancel,
        }
    }

    fn operation(self) -> &'static str {
        match self {
            Self::Pause => "batches.pause",
            Self::Resume => "batches.resume",
            Self::Cancel => "batches.cancel",
        }
    }

    fn tells(self) -> EventType {
        match self {
            Self::Pause => EventType::BatchPaused,
            Self::Resume => EventType::BatchResumed,
            Self::Cancel => EventType::BatchCancelled,
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Pause => "batch.paused",
            Self::Resume => "batch.resumed",
            Self::Cancel => "batch.cancelled",
        }
    }
}

#[derive(Debug, Clone)]
pub struct BatchPage {
    pub items: Vec<Batch>,
    pub next: Option<BatchId>,
}

impl Platform {
    pub async fn batch(&self, caller: &Caller, id: BatchId) -> Result<Batch, Error> {
        self.guard(caller.organization)?;
        reread!(self.try_batch(caller, id))
    }

    async fn try_batch(&self, caller: &Caller, id: BatchId) -> Result<Batch, Error> {
        let mut tx = self.0.db.read().await?;
        let sealed = rows::by_id(&mut tx, id).await?;
        Ok(self
            .own_batch(&mut tx, caller.organization, id, sealed)
            .await?
            .batch)
    }

    /// The newest first.
    pub async fn batches(
        &self,
        caller: &Caller,
        state: Option<BatchState>,
        before: Option<BatchId>,
        limit: u32,
    ) -> Result<BatchPage, Error> {
        self.guard(caller.organization)?;
        reread!(self.try_batches(caller, state, before, limit))
    }

    async fn try_batches(
        &self,
        caller: &Caller,
        state: Option<BatchState>,
        before: Option<BatchId>,
        limit: u32,
    ) -> Result<BatchPage, Error> {
        let mut tx = self.0.db.read().await?;
        let found = rows::page(&mut tx, caller.organization, state, before, limit).await?;
        let next = found
            .last()
            .filter(|_| found.len() == limit as usize)
            .map(|sealed| sealed.value.batch.id);
        let mut items = Vec::with_capacity(found.len());
        for sealed in found {
            items.push(self.open_batch(&mut tx, sealed).await?.batch);
        }
        Ok(BatchPage { items, next })
    }

    /// Seal and version of a batch's row.
    pub(crate) async fn open_batch(
        &self,
        tx: &mut Tx,
        sealed: Sealed<BatchRow>,
    ) -> Result<BatchRow, Error> {
        let row = self.0.seals.open(sealed, |row| row.batch.id.to_string())?;
        let object = Versioned::Batch(row.batch.id);
        self.check_version(tx, row.batch.organization, object, row.version)
            .await?;
        Ok(row)
    }

    async fn own_batch(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        id: BatchId,
        sealed: Option<Sealed<BatchRow>>,
    ) -> Result<BatchRow, Error> {
        let sealed = sealed.filter(|sealed| sealed.value.batch.organization == organization);
        let sealed = sealed.ok_or_else(|| self.absent(organization, "batch", id))?;
        self.open_batch(tx, sealed).await
    }

    pub(crate) async fn lock_batch(&self, tx: &mut Tx, id: BatchId) -> Result<BatchRow, Error> {
        let sealed = rows::lock(tx, id).await?;
        let sealed = sealed.ok_or_else(|| Error::not_found("batch", id))?;
        self.open_batch(tx, sealed).await
    }

    /// Stores a batch that was changed under its lock: next version, new seal. The audit record of the
    /// change must name the version answered.
    pub(crate) async fn store_batch(
        &self,
        tx: &mut Tx,
        batch: Batch,
        expected: u32,
    ) -> Result<u32, Error> {
        let version = expected + 1;
        let sealed = self.0.seals.seal(BatchRow { batch, version });
        rows::update_progress(tx, &sealed, expected).await?;
        Ok(version)
    }

    pub async fn control_batch(
        &self,
        caller: &Caller,
        id: BatchId,
        control: Control,
        once: Option<Once<'_, Batch>>,
    ) -> Result<Answer<Batch>, Error> {
        self.guard(caller.organization)?;
        let answer = transact!(self, tx, {
            if let Some(answer) = self
                .replay(tx, caller, control.operation(), once.as_ref())
                .await?
            {
                return Ok(answer);
            }
            let sealed = rows::lock(tx, id).await?;
            let row = self.own_batch(tx, caller.organization, id, sealed).await?;
            let (mut batch, expected) = (row.batch, row.version);
            let from = batch.state;
            batch.state = from
                .apply(control.event())
                .map_err(|error| Error::StateConflict(error.to_string()))?;
            if batch.state.is_final() {
                batch.finished_at_ms = Some(self.now_ms());
            }
            let version = self.store_batch(tx, batch.clone(), expected).await?;
            self.keep(tx, caller, control.operation(), once.as_ref(), &batch)
                .await?;
            let entry = Entry {
                organization: caller.organization,
                at_ms: self.now_ms(),
                actor: &caller.actor(),
                action: control.action(),
                object: id.to_string(),
                changes: Changes::version(id, version),
                data: serde_json::json!({ "from": from.name(), "rows_done": batch.rows_done() }),
                events: Outgoing::one(control.tells(), id, &BatchEventV1::from(&batch)),
            };
            append(tx, &self.0.seals, entry).await?;
            Ok(Answer::Executed(batch))
        })?;
        self.0.work.notify_waiters();
        Ok(answer)
    }
}
