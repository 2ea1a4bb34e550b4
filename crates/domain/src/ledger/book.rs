//! Posting: checks a transaction whole, then adds its entries.

use std::collections::HashMap;

use ruint::aliases::U256;

use super::{AccountKey, AccountKind, Balance, Head, Leg, Phase, Side, SourceKind, Transaction};
use crate::id::{LedgerAccountId, LedgerTransactionId};
use crate::vault::names;

/// Why a transaction was refused. Nothing of it was posted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    #[error("{transaction}: debits of {debits} do not equal credits of {credits}")]
    Unbalanced {
        transaction: LedgerTransactionId,
        debits: U256,
        credits: U256,
    },
    #[error("{transaction}: {reason}")]
    Malformed {
        transaction: LedgerTransactionId,
        reason: &'static str,
    },
    #[error("{transaction}: the sums of {account} would not fit in 256 bits")]
    Overflow {
        transaction: LedgerTransactionId,
        account: LedgerAccountId,
    },
    #[error("{transaction}: {account} would be overdrawn by {missing} units")]
    Overdrawn {
        transaction: LedgerTransactionId,
        account: LedgerAccountId,
        missing: U256,
    },
    #[error("{transaction}: {of} is not pending; it was posted or voided already, or never was")]
    NotPending {
        transaction: LedgerTransactionId,
        of: LedgerTransactionId,
    },
    /// The source was posted before with other legs.
    #[error("{0} was posted before")]
    Repeated(LedgerTransactionId),
}

/// What an entry does to its account's balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryPhase {
    Posted,
    Pending,
    /// From pending to posted.
    Post,
    /// Out of pending.
    Void,
}
names!(EntryPhase, "entry phase", "posted, pending, post or void", {
    Posted = "posted", Pending = "pending", Post = "post", Void = "void",
});

/// One line of the ledger, as it stays for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub account: AccountKey,
    /// The account's version with this entry.
    pub version: u64,
    pub side: Side,
    pub phase: EntryPhase,
    pub units: U256,
    /// The account's balance with this entry.
    pub balance: Balance,
}

/// A transaction and the entries that it became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    pub id: LedgerTransactionId,
    pub transaction: Transaction,
    pub entries: Vec<Entry>,
}

/// The accounts and the pending transactions that are at hand. Whoever fills it must load every account that
/// has entries and every pending transaction that is to be resolved; what was not loaded counts as new.
#[derive(Debug, Clone, Default)]
pub struct Book {
    heads: HashMap<AccountKey, Head>,
    pending: HashMap<LedgerTransactionId, Vec<Leg>>,
    posted: HashMap<LedgerTransactionId, ()>,
}

impl Book {
    pub fn load(&mut self, account: AccountKey, head: Head) {
        self.heads.insert(account, head);
    }

    pub fn load_pending(&mut self, id: LedgerTransactionId, legs: Vec<Leg>) {
        self.pending.insert(id, legs);
    }

    /// Tells that a source was posted before.
    pub fn load_posted(&mut self, id: LedgerTransactionId) {
        self.posted.insert(id, ());
    }

    #[must_use]
    pub fn head(&self, account: &AccountKey) -> Head {
        self.heads.get(account).copied().unwrap_or_default()
    }

    #[must_use]
    pub fn is_posted(&self, id: &LedgerTransactionId) -> bool {
        self.posted.contains_key(id)
    }

    pub fn heads(&self) -> impl Iterator<Item = (&AccountKey, &Head)> {
        self.heads.iter()
    }

    /// Posts one transaction, or refuses it and changes nothing.
    pub fn post(&mut self, transaction: Transaction) -> Result<Posted, LedgerError> {
        let id = transaction.id();
        if self.posted.contains_key(&id) {
            return Err(LedgerError::Repeated(id));
        }
        let (legs, phase) = self.legs_of(id, &transaction)?;
        check_legs(id, &transaction, &legs)?;
        let taken_back = takes_back(transaction.source.kind, &legs, phase);
        let entries = legs
            .iter()
            .map(|leg| self.entry(id, leg, phase, taken_back))
            .collect::<Result<Vec<_>, _>>()?;
        for entry in &entries {
            let head = Head {
                version: entry.version,
                balance: entry.balance,
            };
            self.heads.insert(entry.account, head);
        }
        match transaction.phase {
            Phase::Pending => drop(self.pending.insert(id, legs)),
            Phase::Post { of } | Phase::Void { of } => drop(self.pending.remove(&of)),
            Phase::Posted => {}
        }
        self.posted.insert(id, ());
        Ok(Posted {
            id,
            transaction,
            entries,
        })
    }

    fn legs_of(
        &self,
        id: LedgerTransactionId,
        transaction: &Transaction,
    ) -> Result<(Vec<Leg>, EntryPhase), LedgerError> {
        let resolved = |of: LedgerTransactionId, phase| {
            let reason = "a transaction that resolves another has no legs of its own";
            if !transaction.legs.is_empty() {
                return Err(LedgerError::Malformed {
                    transaction: id,
                    reason,
                });
            }
            let legs = self.pending.get(&of).cloned();
            let legs = legs.ok_or(LedgerError::NotPending {
                transaction: id,
                of,
            })?;
            Ok((legs, phase))
        };
        match transaction.phase {
            Phase::Posted => Ok((transaction.legs.clone(), EntryPhase::Posted)),
            Phase::Pending => Ok((transaction.legs.clone(), EntryPhase::Pending)),
            Phase::Post { of } => resolved(of, EntryPhase::Post),
            Phase::Void { of } => resolved(of, EntryPhase::Void),
        }
    }

    fn entry(
        &self,
        id: LedgerTransactionId,
        leg: &Leg,
        phase: EntryPhase,
        taken_back: bool,
    ) -> Result<Entry, LedgerError> {
        let overflow = || LedgerError::Overflow {
            transaction: id,
            account: leg.account.id(),
        };
        let head = self.head(&leg.account);
        let balance = moved(head.balance, leg, phase).ok_or_else(overflow)?;
        let kind = leg.account.kind;
        let gone = taken_back && matches!(kind, AccountKind::Custody | AccountKind::Suspense);
        if !gone && !kind.may_be_overdrawn() {
            check_overdraft(id, leg, phase, &balance)?;
        }
        Ok(Entry {
            account: leg.account,
            version: head.version + 1,
            side: leg.side,
            phase,
            units: leg.units,
            balance,
        })
    }
}

fn check_legs(
    id: LedgerTransactionId,
    transaction: &Transaction,
    legs: &[Leg],
) -> Result<(), LedgerError> {
    let malformed = |reason| {
        Err(LedgerError::Malformed {
            transaction: id,
            reason,
        })
    };
    let Some(first) = legs.first() else {
        return malformed("it has no legs");
    };
    // The id is computed from the transaction's organization: without this, one could post for another.
    if first.account.organization != transaction.organization {
        return malformed("its legs are of another organization than itself");
    }
    for (at, leg) in legs.iter().enumerate() {
        if leg.units.is_zero() {
            return malformed("a leg has no amount");
        }
        if (leg.account.asset, leg.account.organization)
            != (first.account.asset, first.account.organization)
        {
            return malformed("its legs are of two assets or two organizations");
        }
        if legs[..at].iter().any(|other| other.account == leg.account) {
            return malformed("it names an account twice");
        }
    }
    let sum = |side| {
        let units = legs
            .iter()
            .filter(|leg| leg.side == side)
            .map(|leg| leg.units);
        units.into_iter().try_fold(U256::ZERO, U256::checked_add)
    };
    match (sum(Side::Debit), sum(Side::Credit)) {
        (Some(debits), Some(credits)) if debits == credits => Ok(()),
        (Some(debits), Some(credits)) => Err(LedgerError::Unbalanced {
            transaction: id,
            debits,
            credits,
        }),
        _ => Err(LedgerError::Overflow {
            transaction: id,
            account: first.account.id(),
        }),
    }
}

/// The balance after an entry; `None` when a sum does not fit.
fn moved(before: Balance, leg: &Leg, phase: EntryPhase) -> Option<Balance> {
    let mut balance = before;
    let (posted, pending) = match leg.side {
        Side::Debit => (&mut balance.posted_debits, &mut balance.pending_debits),
        Side::Credit => (&mut balance.posted_credits, &mut balance.pending_credits),
    };
    match phase {
        EntryPhase::Posted => *posted = posted.checked_add(leg.units)?,
        EntryPhase::Pending => *pending = pending.checked_add(leg.units)?,
        EntryPhase::Post => {
            *pending = pending.checked_sub(leg.units)?;
            *posted = posted.checked_add(leg.units)?;
        }
        EntryPhase::Void => *pending = pending.checked_sub(leg.units)?,
    }
    // Position and availability add posted and pending; they must fit too.
    balance.posted_debits.checked_add(balance.pending_debits)?;
    balance
        .posted_credits
        .checked_add(balance.pending_credits)?;
    Some(balance)
}

/// Whether the legs take value out of custody because the chain did. That is gone, whatever was done with it in the
/// book meanwhile: refused, it would stop the network at that block for good; posted, it shows in the accounts.
fn takes_back(source: SourceKind, legs: &[Leg], phase: EntryPhase) -> bool {
    let side = if phase == EntryPhase::Void {
        Side::Debit
    } else {
        Side::Credit
    };
    source == SourceKind::Deposit
        && legs
            .iter()
            .any(|leg| leg.account.kind == AccountKind::Custody && leg.side == side)
}

/// An account that may not be overdrawn must cover, with what is posted, everything that leaves or is about
/// to leave it. Custody is measured with its pending deposits: what they voided was never more than there was.
fn check_overdraft(
    transaction: LedgerTransactionId,
    leg: &Leg,
    phase: EntryPhase,
    balance: &Balance,
) -> Result<(), LedgerError> {
    let kind = leg.account.kind;
    let grows = leg.side == kind.normal_side() && phase != EntryPhase::Void;
    if grows || phase == EntryPhase::Post {
        return Ok(());
    }
    let (into, out_posted, out_pending) = match kind.normal_side() {
        Side::Debit => (
            balance.posted_debits.saturating_add(balance.pending_debits),
            balance.posted_credits,
            balance.pending_credits,
        ),
        Side::Credit => (
            balance.posted_credits,
            balance.posted_debits,
            balance.pending_debits,
        ),
    };
    let out = out_posted.saturating_add(out_pending);
    if out <= into {
        return Ok(());
    }
    Err(LedgerError::Overdrawn {
        transaction,
        account: leg.account.id(),
        missing: out - into,
    })
}
