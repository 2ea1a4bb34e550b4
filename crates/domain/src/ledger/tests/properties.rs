//! What must hold for any transactions in any order, against a model that sums by hand.

use std::collections::HashMap;

use proptest::prelude::*;
use ruint::aliases::{U256, U512};

use super::super::*;
use crate::id::{AssetId, LedgerTransactionId, OrganizationId, WalletId};

const KINDS: [AccountKind; 6] = [
    AccountKind::Custody,
    AccountKind::Customer,
    AccountKind::Suspense,
    AccountKind::ReversalDue,
    AccountKind::Holding,
    AccountKind::Adjustment,
];

fn account(number: usize, asset: u8) -> AccountKey {
    AccountKey {
        organization: OrganizationId::from_bytes([1; 16]),
        asset: AssetId::from_bytes([asset; 16]),
        kind: KINDS[number % KINDS.len()],
        wallet: Some(WalletId::from_bytes([4; 16])),
    }
}

/// What somebody tries; most of it is refused for one reason or another.
#[derive(Debug, Clone)]
enum Attempt {
    Move(usize, usize, U256, bool),
    Any(Vec<(usize, bool, U256, u8)>),
    Resolve(usize, bool),
    Repeat(usize),
}

fn units() -> impl Strategy<Value = U256> {
    prop_oneof![
        6 => (0_u64..50).prop_map(U256::from),
        1 => (0_u64..3).prop_map(|less| U256::MAX - U256::from(less)),
        1 => Just(U256::MAX >> 1),
    ]
}

fn attempt() -> impl Strategy<Value = Attempt> {
    prop_oneof![
        5 => (0..6_usize, 0..6_usize, units(), any::<bool>())
            .prop_map(|(debit, credit, units, pending)| Attempt::Move(debit, credit, units, pending)),
        2 => prop::collection::vec((0..6_usize, any::<bool>(), units(), 2_u8..4), 0..4).prop_map(Attempt::Any),
        3 => (0..12_usize, any::<bool>()).prop_map(|(at, post)| Attempt::Resolve(at, post)),
        1 => (0..12_usize).prop_map(Attempt::Repeat),
    ]
}

/// A book, and beside it everything that it said it posted.
#[derive(Default)]
struct Both {
    book: Book,
    pending: Vec<LedgerTransactionId>,
    entries: HashMap<AccountKey, Vec<Entry>>,
    done: Vec<Transaction>,
    number: u32,
}

fn leg((number, debit, units, asset): (usize, bool, U256, u8)) -> Leg {
    Leg {
        account: account(number, asset),
        side: if debit { Side::Debit } else { Side::Credit },
        units,
    }
}

impl Both {
    fn transaction(&mut self, attempt: Attempt) -> Option<Transaction> {
        self.number += 1;
        let (phase, legs) = match attempt {
            Attempt::Move(debit, credit, units, pending) => (
                if pending {
                    Phase::Pending
                } else {
                    Phase::Posted
                },
                vec![leg((debit, true, units, 2)), leg((credit, false, units, 2))],
            ),
            Attempt::Any(legs) => (Phase::Posted, legs.into_iter().map(leg).collect()),
            Attempt::Resolve(at, post) => {
                let of = *self.pending.get(at)?;
                (
                    if post {
                        Phase::Post { of }
                    } else {
                        Phase::Void { of }
                    },
                    Vec::new(),
                )
            }
            Attempt::Repeat(at) => return self.done.get(at).cloned(),
        };
        Some(Transaction {
            organization: OrganizationId::from_bytes([1; 16]),
            source: Source {
                kind: SourceKind::Transfer,
                id: self.number.to_string(),
            },
            phase,
            legs,
        })
    }

    fn heads(&self) -> HashMap<AccountKey, Head> {
        self.book.heads().map(|(key, head)| (*key, *head)).collect()
    }

    fn try_one(&mut self, attempt: Attempt) {
        let Some(transaction) = self.transaction(attempt) else {
            return;
        };
        let before = self.heads();
        match self.book.post(transaction.clone()) {
            Ok(posted) => {
                assert!(!self.done.contains(&transaction), "posted twice");
                for entry in &posted.entries {
                    self.entries.entry(entry.account).or_default().push(*entry);
                }
                if transaction.phase == Phase::Pending {
                    self.pending.push(posted.id);
                }
                self.done.push(transaction);
            }
            Err(_) => assert_eq!(before, self.heads(), "a refusal changed something"),
        }
    }

    fn check(&self) {
        let wide = |units: U256| U512::from(units);
        let mut totals: HashMap<AssetId, [U512; 4]> = HashMap::new();
        for (key, head) in self.book.heads() {
            let of = totals.entry(key.asset).or_default();
            let balance = head.balance;
            of[0] += wide(balance.posted_debits);
            of[1] += wide(balance.posted_credits);
            of[2] += wide(balance.pending_debits);
            of[3] += wide(balance.pending_credits);
            let entries = self.entries.get(key).map_or(&[][..], Vec::as_slice);
            assert_eq!(folded(entries), Some(balance), "{key:?}");
            assert_eq!(head.version, entries.len() as u64);
            if !key.kind.may_be_overdrawn() && key.kind.normal_side() == Side::Credit {
                let out = wide(balance.posted_debits) + wide(balance.pending_debits);
                assert!(out <= wide(balance.posted_credits), "{key:?} is overdrawn");
            }
        }
        for (asset, [debits, credits, pending_debits, pending_credits]) in totals {
            assert_eq!(
                (debits, pending_debits),
                (credits, pending_credits),
                "{asset}"
            );
        }
    }
}

/// Versions without a gap, each balance the one before and its entry.
fn folded(entries: &[Entry]) -> Option<Balance> {
    let mut balance = Balance::default();
    for (at, entry) in entries.iter().enumerate() {
        let (posted, pending) = match entry.side {
            Side::Debit => (&mut balance.posted_debits, &mut balance.pending_debits),
            Side::Credit => (&mut balance.posted_credits, &mut balance.pending_credits),
        };
        match entry.phase {
            EntryPhase::Posted => *posted = posted.checked_add(entry.units)?,
            EntryPhase::Pending => *pending = pending.checked_add(entry.units)?,
            EntryPhase::Post => {
                *posted = posted.checked_add(entry.units)?;
                *pending = pending.checked_sub(entry.units)?;
            }
            EntryPhase::Void => *pending = pending.checked_sub(entry.units)?,
        }
        if entry.version != at as u64 + 1 || entry.balance != balance {
            return None;
        }
    }
    Some(balance)
}

proptest! {
    #[test]
    fn the_book_balances_whatever_is_tried(attempts in prop::collection::vec(attempt(), 1..40)) {
        let mut both = Both::default();
        for attempt in attempts {
            both.try_one(attempt);
        }
        both.check();
    }

    /// Deposits cannot overdraw each other, so their order does not matter.
    #[test]
    fn credits_end_the_same_in_any_order(amounts in prop::collection::vec(1_u64..1000, 1..12), turn in 0_usize..12) {
        let post = |order: &[(usize, u64)]| {
            let mut book = Book::default();
            for (number, units) in order {
                let units = U256::from(*units);
                let transaction = Transaction {
                    organization: OrganizationId::from_bytes([1; 16]),
                    source: Source { kind: SourceKind::Deposit, id: number.to_string() },
                    phase: Phase::Posted,
                    legs: vec![leg((0, true, units, 2)), leg((1, false, units, 2))],
                };
                book.post(transaction).expect("nothing stands against it");
            }
            book.heads().map(|(key, head)| (*key, *head)).collect::<HashMap<_, _>>()
        };
        let order: Vec<_> = amounts.into_iter().enumerate().collect();
        let mut turned = order.clone();
        turned.rotate_left(turn % order.len());
        turned.reverse();
        prop_assert_eq!(post(&order), post(&turned));
    }
}

#[test]
fn a_sum_ends_at_two_to_the_power_of_256() {
    let mut book = Book::default();
    let mut post = |number: u32, units: U256, pending: bool| {
        book.post(Transaction {
            organization: OrganizationId::from_bytes([1; 16]),
            source: Source {
                kind: SourceKind::Deposit,
                id: number.to_string(),
            },
            phase: if pending {
                Phase::Pending
            } else {
                Phase::Posted
            },
            legs: vec![leg((0, true, units, 2)), leg((1, false, units, 2))],
        })
        .map(|posted| posted.id)
    };
    let all_but_one = post(1, U256::MAX - U256::ONE, true).expect("fits");
    assert!(matches!(
        post(2, U256::from(2), false),
        Err(LedgerError::Overflow { .. })
    ));
    assert!(post(3, U256::ONE, false).is_ok());
    assert!(matches!(
        post(4, U256::ONE, true),
        Err(LedgerError::Overflow { .. })
    ));
    let posted = book.post(Transaction {
        organization: OrganizationId::from_bytes([1; 16]),
        source: Source {
            kind: SourceKind::Deposit,
            id: "5".to_owned(),
        },
        phase: Phase::Post { of: all_but_one },
        legs: Vec::new(),
    });
    assert!(
        posted.is_ok(),
        "what was announced fits when it is posted: {posted:?}"
    );
}
