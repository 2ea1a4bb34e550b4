//! Posting rules as data: which event moves value between which accounts.

use super::{AccountKind, Side};

/// What happened to a deposit, as far as the ledger is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Posting {
    /// Seen in a block, to be credited once confirmed.
    Detected,
    /// Confirmed: the pending credit counts.
    Confirmed,
    /// Reorganized away before it was confirmed.
    Voided,
    /// Seen in a block, not to be credited: held or rejected.
    Shelved,
    /// A shelved one reorganized away.
    Unshelved,
    /// A held one released to the customer.
    Released,
    /// Reorganized away after it was credited.
    Reversed,
    /// Of a reversal: the part that the customer has spent already.
    ReversedSpent,
    /// A customer's debt from a reversal, paid from a later credit.
    Recovered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RulePhase {
    Posted,
    Pending,
    /// Resolves the pending transaction of [`Posting::Detected`].
    Post,
    Void,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub posting: Posting,
    /// The last part of the source's id.
    pub name: &'static str,
    pub phase: RulePhase,
    pub debit: AccountKind,
    pub credit: AccountKind,
}

const fn row(
    posting: Posting,
    name: &'static str,
    phase: RulePhase,
    debit: AccountKind,
    credit: AccountKind,
) -> Rule {
    Rule {
        posting,
        name,
        phase,
        debit,
        credit,
    }
}

/// All rules. Every contra entry is its original with the sides exchanged.
pub const RULES: &[Rule] = {
    use AccountKind::{Custody, Customer, ReversalDue, Suspense};
    use RulePhase::{Pending, Post, Posted, Void};
    &[
        row(Posting::Detected, "detected", Pending, Custody, Customer),
        row(Posting::Confirmed, "confirmed", Post, Custody, Customer),
        row(Posting::Voided, "voided", Void, Custody, Customer),
        row(Posting::Shelved, "shelved", Posted, Custody, Suspense),
        row(Posting::Unshelved, "unshelved", Posted, Suspense, Custody),
        row(Posting::Released, "released", Posted, Suspense, Customer),
        row(Posting::Reversed, "reversed", Posted, Customer, Custody),
        row(
            Posting::ReversedSpent,
            "reversed_spent",
            Posted,
            ReversalDue,
            Custody,
        ),
        row(
            Posting::Recovered,
            "recovered",
            Posted,
            Customer,
            ReversalDue,
        ),
    ]
};

/// The rule of a posting.
#[must_use]
pub fn rule(posting: Posting) -> &'static Rule {
    RULES
        .iter()
        .find(|rule| rule.posting == posting)
        .expect("every posting has its rule")
}

impl Rule {
    /// Sides and accounts, the debit first.
    #[must_use]
    pub fn legs(&self) -> [(Side, AccountKind); 2] {
        [(Side::Debit, self.debit), (Side::Credit, self.credit)]
    }
}
