//! Looking at batches, and pausing, resuming, cancelling them.

use coffer_domain::batch::{Batch, BatchEvent, BatchState};
use coffer_domain::id::{BatchId, OrganizationId};
use coffer_store::batches as rows;
use coffer_store::{Sealed, Tx};

use crate::audit::{Changes, Entry, append};
use crate::transaction::transact;
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
        let mut tx = self.0.db.read().await?;
        let sealed = rows::by_id(&mut tx, id).await?;
        self.own_batch(caller.organization, id, sealed)
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
        let mut tx = self.0.db.read().await?;
        let found = rows::page(&mut tx, caller.organization, state, before, limit).await?;
        let next = found
            .last()
            .filter(|_| found.len() == limit as usize)
            .map(|sealed| sealed.value.id);
        let items: Result<Vec<Batch>, Error> = found
            .into_iter()
            .map(|sealed| self.open_batch(sealed))
            .collect();
        Ok(BatchPage {
            items: items?,
            next,
        })
    }

    pub(crate) fn open_batch(&self, sealed: Sealed<Batch>) -> Result<Batch, Error> {
        self.0.seals.open(sealed, |batch| batch.id.to_string())
    }

    fn own_batch(
        &self,
        organization: OrganizationId,
        id: BatchId,
        sealed: Option<Sealed<Batch>>,
    ) -> Result<Batch, Error> {
        let sealed = sealed.filter(|sealed| sealed.value.organization == organization);
        self.open_batch(sealed.ok_or_else(|| Error::not_found("batch", id))?)
    }

    pub(crate) async fn lock_batch(&self, tx: &mut Tx, id: BatchId) -> Result<Batch, Error> {
        let sealed = rows::lock(tx, id).await?;
        self.open_batch(sealed.ok_or_else(|| Error::not_found("batch", id))?)
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
            let mut batch = self.own_batch(caller.organization, id, sealed)?;
            let from = batch.state;
            batch.state = from
                .apply(control.event())
                .map_err(|error| Error::StateConflict(error.to_string()))?;
            if batch.state.is_final() {
                batch.finished_at_ms = Some(self.now_ms());
            }
            rows::update_progress(tx, &batch, from).await?;
            self.keep(tx, caller, control.operation(), once.as_ref(), &batch)
                .await?;
            let entry = Entry {
                organization: caller.organization,
                at_ms: self.now_ms(),
                actor: &caller.actor(),
                action: control.action(),
                object: id.to_string(),
                changes: Changes::default(),
                data: serde_json::json!({ "from": from.name(), "rows_done": batch.rows_done() }),
            };
            append(tx, &self.0.seals, entry).await?;
            Ok(Answer::Executed(batch))
        })?;
        self.0.work.notify_waiters();
        Ok(answer)
    }
}
