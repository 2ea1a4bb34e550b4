//! Reading lines: sealed, of the caller's organization, and with the differences that the seal covers.

use coffer_domain::id::{AssetId, NetworkId, ReconciliationId};
use coffer_domain::reconciliation::{Difference, Reconciliation, ReconciliationState, digest};
use coffer_store::reconciliations as rows;

use crate::seal::refused;
use crate::{Caller, Error, Platform};

#[derive(Debug, Clone, Copy, Default)]
pub struct ReconciliationFilter {
    pub network: Option<NetworkId>,
    pub asset: Option<AssetId>,
    pub state: Option<ReconciliationState>,
}

#[derive(Debug, Clone)]
pub struct ReconciliationPage {
    pub items: Vec<Reconciliation>,
    /// Where the next page begins.
    pub next: Option<ReconciliationId>,
}

impl Platform {
    /// The newest first.
    pub async fn reconciliations(
        &self,
        caller: &Caller,
        filter: &ReconciliationFilter,
        before: Option<ReconciliationId>,
        limit: u32,
    ) -> Result<ReconciliationPage, Error> {
        self.guard(caller.organization)?;
        let filter = rows::Filter {
            network: filter.network,
            asset: filter.asset,
            state: filter.state,
        };
        let mut tx = self.0.db.read().await?;
        let found = rows::page(&mut tx, caller.organization, &filter, before, limit).await?;
        drop(tx);
        let full = found.len() == limit as usize;
        let items = found
            .into_iter()
            .map(|sealed| self.0.seals.open(sealed, |line| line.id.to_string()))
            .collect::<Result<Vec<_>, Error>>()?;
        let next = items.last().filter(|_| full).map(|line| line.id);
        Ok(ReconciliationPage { items, next })
    }

    /// A line and the addresses on which it differs.
    pub async fn reconciliation(
        &self,
        caller: &Caller,
        id: ReconciliationId,
    ) -> Result<(Reconciliation, Vec<Difference>), Error> {
        self.guard(caller.organization)?;
        let mut tx = self.0.db.read().await?;
        let sealed = rows::by_id(&mut tx, id).await?;
        let own = sealed.filter(|sealed| sealed.value.organization == caller.organization);
        let sealed = own.ok_or_else(|| Error::not_found("reconciliation", id))?;
        let line = self.0.seals.open(sealed, |line| line.id.to_string())?;
        let differences = rows::differences(&mut tx, id).await?;
        if line.id != id || digest(&differences) != line.differences_sha256 {
            return Err(refused(id.to_string()));
        }
        Ok((line, differences))
    }
}
