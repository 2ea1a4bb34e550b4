//! A customer's debt from a reversal, paid from whatever comes free.
//!
//! A later deposit pays the debt by itself; this is for money that comes free in another way. Without it, a
//! deposit could be held, reorganized away (the debt), and the hold released: money that no chain ever showed
//! could then be spent.

use super::{AccountKey, AccountKind, Book, Leg, Phase, Posting, Side, Source, Transaction, rule};

impl Book {
    /// What has to be posted in the same database transaction after a hold on `customer` was voided, or anything
    /// else made money available again; `None` while nothing is due or nothing is available. `customer` and its
    /// wallet's reversal account must be loaded.
    #[must_use]
    pub fn debt_payment(&self, customer: &AccountKey, source: Source) -> Option<Transaction> {
        let of = |kind| AccountKey { kind, ..*customer };
        let balance = |kind| self.head(&of(kind)).balance;
        let due = balance(AccountKind::ReversalDue).posted().on(Side::Debit);
        let units = due.min(balance(AccountKind::Customer).available());
        (!units.is_zero()).then(|| Transaction {
            organization: customer.organization,
            source,
            phase: Phase::Posted,
            legs: rule(Posting::Recovered)
                .legs()
                .map(|(side, kind)| Leg {
                    account: of(kind),
                    side,
                    units,
                })
                .to_vec(),
        })
    }
}
