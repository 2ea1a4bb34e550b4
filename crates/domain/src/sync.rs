//! Following a chain, as a pure core: which block to take next, when to take one back, when to stop; and what
//! a block, its undoing and its growing older do to deposits and ledger.
//!
//! Guarantees: a block is undone only when k nodes agree on *another* hash at a height that we have, never
//! because nodes lag or are silent; a reorganization that reaches below finality undoes nothing and stops the
//! network; the ledger follows every change of a deposit in the same step.
//! Deliberately not here: nodes, storage, time. `platform` and the simulator drive the same functions.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::block::{BlockHash, BlockHeight, BlockRef};
use crate::deposit::{Deposit, DepositState, Funds, Outcome, TransitionError, Verdict};
use crate::id::{DepositId, NetworkId, OrganizationId, WalletId};
use crate::ledger::{AccountKind, Book, LedgerError, Posted, Side};
use crate::movement::{Movement, ObservedBlock};
use crate::network::Finality;

/// What k nodes say of a height, compared with the block that we have there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    Same,
    /// They agree on another block.
    Other,
    /// They agree on nothing, or have nothing there.
    Unknown,
}

/// The search for the block that our chain and the nodes' chain have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    tip: BlockHeight,
    /// The first height that we have.
    start: BlockHeight,
    /// The highest height that stays; `None` when none does, or two people lifted it.
    finalized: Option<BlockHeight>,
    at: BlockHeight,
    parted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Ask what k nodes say of [`Walk::height`], and go on.
    Ask(Walk),
    /// Our tip is theirs; the next block may be taken.
    Extend,
    /// The nodes are behind us, or disagree: nothing is known, nothing is done.
    Wait,
    /// Undo every block above this height, from the tip down; `None`: every block that we have.
    Undo {
        ancestor: Option<BlockHeight>,
        depth: u64,
    },
    /// The chains parted at or below finality.
    Freeze { depth: u64 },
}

impl Walk {
    /// Begins at our tip, or lower where the nodes have not come so far.
    #[must_use]
    pub fn begin(
        tip: BlockHeight,
        start: BlockHeight,
        finalized: Option<BlockHeight>,
        agreed_head: BlockHeight,
    ) -> Step {
        let at = tip.min(agreed_head);
        if at < start {
            return Step::Wait;
        }
        Step::Ask(Self {
            tip,
            start,
            finalized,
            at,
            parted: false,
        })
    }

    /// The height to ask about.
    #[must_use]
    pub fn height(&self) -> BlockHeight {
        self.at
    }

    #[must_use]
    pub fn answer(mut self, agreement: Agreement) -> Step {
        match agreement {
            Agreement::Unknown => Step::Wait,
            Agreement::Same if !self.parted && self.at == self.tip => Step::Extend,
            Agreement::Same if !self.parted => Step::Wait,
            Agreement::Same => Step::Undo {
                ancestor: Some(self.at),
                depth: self.tip.0 - self.at.0,
            },
            Agreement::Other => {
                self.parted = true;
                if self.finalized.is_some_and(|finalized| self.at <= finalized) {
                    return Step::Freeze {
                        depth: self.tip.0 - self.at.0 + 1,
                    };
                }
                match self.at.before() {
                    Some(below) if self.at > self.start => {
                        self.at = below;
                        Step::Ask(self)
                    }
                    _ => Step::Undo {
                        ancestor: None,
                        depth: self.tip.0 - self.start.0 + 1,
                    },
                }
            }
        }
    }
}

/// Whether a block may be put on our tip: it must name it as its parent.
#[must_use]
pub fn follows(tip: Option<&BlockRef>, parent: BlockHash) -> bool {
    tip.is_none_or(|tip| tip.hash == parent)
}

/// The highest height that stays once `tip` is ours. It never falls by itself, and no node's tag lifts it above
/// what we have. `before` is what was stored: `None` after two people resumed a frozen network.
#[must_use]
pub fn finalized(
    rule: Finality,
    tip: BlockHeight,
    tag: Option<BlockHeight>,
    before: Option<BlockHeight>,
) -> Option<BlockHeight> {
    let now = match rule {
        // A block has so many confirmations when it is its own first one.
        Finality::Depth(blocks) => {
            let above = tip.0.saturating_add(1).checked_sub(blocks.get().into());
            above.map(BlockHeight)
        }
        Finality::Tag => tag.map(|tag| tag.min(tip)),
    };
    now.max(before)
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// A movement that a block of ours holds already.
    #[error("{0} is included twice")]
    IncludedTwice(DepositId),
}

/// What a step did: to be stored in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// As they are now, in the order in which they changed.
    pub deposits: Vec<Deposit>,
    pub posted: Vec<Posted>,
}

/// Whose a movement is, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribution {
    pub wallet: WalletId,
    pub verdict: Verdict,
}

/// In which organization and network, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub organization: OrganizationId,
    pub network: NetworkId,
    pub now_ms: i64,
}

/// What the customer of a deposit has, by the book.
#[must_use]
pub fn funds(book: &Book, deposit: &Deposit) -> Funds {
    let balance = |kind| book.head(&deposit.account(kind)).balance;
    Funds {
        available: balance(AccountKind::Customer).available(),
        reversal_due: balance(AccountKind::ReversalDue).posted().on(Side::Debit),
    }
}

impl Change {
    fn take(&mut self, book: &mut Book, outcome: Outcome) -> Result<(), SyncError> {
        for transaction in outcome.postings {
            self.posted.push(book.post(transaction)?);
        }
        self.deposits.push(outcome.deposit);
        Ok(())
    }

    /// Sums only grow, so a token without measure can bring more than 256 bits count, be it by being reorganized
    /// again and again. That must not stop the network: such a deposit is rejected, and since the ledger has
    /// nothing of it, reconciliation trips the asset's breaker.
    fn take_inclusion(&mut self, book: &mut Book, outcome: Outcome) -> Result<Deposit, SyncError> {
        let deposit = outcome.deposit.clone();
        match self.take(book, outcome) {
            Ok(()) => Ok(deposit),
            Err(SyncError::Ledger(LedgerError::Overflow { .. })) => {
                let deposit = deposit.uncountable();
                self.deposits.push(deposit.clone());
                Ok(deposit)
            }
            Err(error) => Err(error),
        }
    }
}

/// Takes a block: its movements become deposits. `known` are the deposits of its movements that exist, each
/// of which must be retracted; the book has the accounts of every movement's own asset, which may be another one
/// than that of the known deposit; `attribute` says whose a movement is, or `None` if nobody's of ours.
pub fn include(
    place: Place,
    block: &ObservedBlock,
    mut known: HashMap<DepositId, Deposit>,
    attribute: &dyn Fn(&Movement) -> Option<Attribution>,
    book: &mut Book,
) -> Result<Change, SyncError> {
    let mut change = Change::default();
    for movement in &block.movements {
        let Some(attribution) = attribute(movement) else {
            continue;
        };
        let id = DepositId::of(place.network, &movement.id, &movement.to);
        let outcome = match known.remove(&id) {
            Some(deposit) if deposit.state != DepositState::Retracted => {
                return Err(SyncError::IncludedTwice(id));
            }
            Some(deposit) => {
                deposit.reinclude(block.block, movement, attribution.verdict, place.now_ms)?
            }
            None => first_seen(place, block.block, movement, attribution.wallet)
                .detect(attribution.verdict),
        };
        let deposit = change.take_inclusion(book, outcome)?;
        known.insert(id, deposit);
    }
    Ok(change)
}

fn first_seen(place: Place, block: BlockRef, movement: &Movement, wallet: WalletId) -> Deposit {
    Deposit {
        id: DepositId::of(place.network, &movement.id, &movement.to),
        organization: place.organization,
        network: place.network,
        asset: movement.asset,
        wallet,
        address: movement.to,
        from: movement.from,
        movement: movement.id,
        face_units: movement.face_units,
        units: movement.gained_units,
        block,
        inclusion: 1,
        state: DepositState::Detected,
        reason: None,
        detected_at_ms: place.now_ms,
        changed_at_ms: place.now_ms,
        version: 1,
    }
}

/// Takes a block back: `deposits` are all that it includes. The latest is undone first.
pub fn undo(deposits: Vec<Deposit>, now_ms: i64, book: &mut Book) -> Result<Change, SyncError> {
    let mut change = Change::default();
    for deposit in deposits.into_iter().rev() {
        if deposit.state == DepositState::Retracted {
            continue;
        }
        let funds = funds(book, &deposit);
        change.take(book, deposit.retract(funds, now_ms)?)?;
    }
    Ok(change)
}

/// How old a block must be for its deposits to be credited and to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    pub head: BlockHeight,
    pub confirmations: u64,
    pub finalized: Option<BlockHeight>,
}

impl Age {
    /// What the network's setting asks for, and the chain's own rule for what may be spent at all.
    #[must_use]
    pub fn confirmations_of(&self, deposit: &Deposit) -> u64 {
        let least = deposit.movement.part.confirmations_min();
        self.confirmations.max(least)
    }
}

/// Credits and finalizes what has grown old enough. `may_credit` is the breaker: what it refuses waits.
pub fn mature(
    deposits: Vec<Deposit>,
    age: Age,
    may_credit: &dyn Fn(&Deposit) -> bool,
    now_ms: i64,
    book: &mut Book,
) -> Result<Change, SyncError> {
    let mut change = Change::default();
    for mut deposit in deposits {
        let needed = age.confirmations_of(&deposit);
        let old = deposit.block.height.confirmations_at(age.head) >= needed;
        if deposit.state == DepositState::Detected && old && may_credit(&deposit) {
            let funds = funds(book, &deposit);
            let outcome = deposit.confirm(funds, now_ms)?;
            deposit = outcome.deposit.clone();
            change.take(book, outcome)?;
        }
        let stays = age
            .finalized
            .is_some_and(|height| deposit.block.height <= height);
        if deposit.state == DepositState::Confirmed && stays {
            change.take(book, deposit.finalize(now_ms)?)?;
        }
    }
    Ok(change)
}
