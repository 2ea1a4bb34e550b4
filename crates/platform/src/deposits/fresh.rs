//! Whether a deposit's row is the latest: its seal says that it is ours, the ledger how far it has come.

use std::collections::HashSet;

use coffer_domain::deposit::{Deposit, DepositState};
use coffer_domain::id::{DepositId, LedgerTransactionId};
use coffer_domain::ledger::{Posting, Source, SourceKind, rule};
use coffer_store::deposits::Found;
use coffer_store::{Tx, ledger};

use crate::seal::refused;
use crate::{Error, Platform};

/// Every step that posts.
const STEPS: [Posting; 8] = [
    Posting::Detected,
    Posting::Confirmed,
    Posting::Voided,
    Posting::Shelved,
    Posting::Unshelved,
    Posting::Released,
    Posting::Reversed,
    Posting::ReversedSpent,
];

fn transaction_of(deposit: &Deposit, inclusion: u32, step: Posting) -> LedgerTransactionId {
    let source = Source {
        kind: SourceKind::Deposit,
        id: format!("{}/{inclusion}/{}", deposit.id, rule(step).name),
    };
    source.transaction_id(deposit.organization)
}

/// The transactions whose presence tells the state of a deposit.
fn tell_tales(deposit: &Deposit) -> impl Iterator<Item = LedgerTransactionId> {
    let own = STEPS.map(|step| transaction_of(deposit, deposit.inclusion, step));
    let next = [Posting::Detected, Posting::Shelved]
        .map(|step| transaction_of(deposit, deposit.inclusion + 1, step));
    own.into_iter().chain(next)
}

/// Whether the ledger, where `posted` were posted, agrees with the row. A deposit of nothing posts nothing.
fn agrees(deposit: &Deposit, posted: &HashSet<LedgerTransactionId>) -> bool {
    let at = |inclusion, step| posted.contains(&transaction_of(deposit, inclusion, step));
    let has = |step| at(deposit.inclusion, step);
    let later = deposit.inclusion + 1;
    if at(later, Posting::Detected) || at(later, Posting::Shelved) {
        return false;
    }
    if deposit.units.is_zero() {
        return true;
    }
    let gone = [
        Posting::Voided,
        Posting::Unshelved,
        Posting::Reversed,
        Posting::ReversedSpent,
    ]
    .into_iter()
    .any(has);
    let credited = has(Posting::Confirmed) || has(Posting::Released);
    match deposit.state {
        DepositState::Retracted => gone,
        DepositState::Detected => has(Posting::Detected) && !credited && !gone,
        DepositState::Confirmed | DepositState::Finalized => credited && !gone,
        DepositState::Held | DepositState::Rejected => has(Posting::Shelved) && !credited && !gone,
    }
}

impl Platform {
    /// Deposits as they were stored last, or a refusal that names the first that is not.
    pub(crate) async fn open_deposits(
        &self,
        tx: &mut Tx,
        found: Vec<Found>,
    ) -> Result<Vec<Deposit>, Error> {
        let opened = self.judge_deposits(tx, found).await?;
        opened
            .into_iter()
            .map(|judged| judged.map_err(|id| refused(id.to_string())))
            .collect()
    }

    /// Each deposit, or the id of one that is refused.
    pub(crate) async fn judge_deposits(
        &self,
        tx: &mut Tx,
        found: Vec<Found>,
    ) -> Result<Vec<Result<Deposit, DepositId>>, Error> {
        let sealed: Vec<Result<Deposit, DepositId>> = found
            .into_iter()
            .map(|found| {
                let sealed = found.map_err(|(id, _)| id)?;
                let good = self.0.seals.verifies(&sealed.value, &sealed.seal);
                good.then_some(sealed.value.clone()).ok_or(sealed.value.id)
            })
            .collect();
        let wanted: Vec<LedgerTransactionId> =
            sealed.iter().flatten().flat_map(tell_tales).collect();
        let posted: HashSet<_> = ledger::known_transactions(tx, &wanted)
            .await?
            .into_iter()
            .collect();
        let judge = |deposit: Deposit| {
            let latest = self
                .0
                .chains
                .object_version(deposit.organization, &deposit.id.to_string());
            // People's decisions are few, and the audit chain names each by its version.
            if agrees(&deposit, &posted) && deposit.version >= latest {
                Ok(deposit)
            } else {
                Err(deposit.id)
            }
        };
        Ok(sealed
            .into_iter()
            .map(|opened| opened.and_then(judge))
            .collect())
    }
}
