use std::num::NonZeroU32;

use ruint::aliases::U256;

use super::*;
use crate::address::{AddressKind, AddressPayload};
use crate::block::TransactionHash;
use crate::id::AssetId;
use crate::movement::{MovementId, Part};

fn place() -> Place {
    Place {
        organization: OrganizationId::from_bytes([1; 16]),
        network: NetworkId::from_bytes([2; 16]),
        now_ms: 1,
    }
}

fn movement(transaction: u8, log: u32, units: U256) -> Movement {
    Movement {
        id: MovementId {
            transaction: TransactionHash([transaction; 32]),
            part: Part::Log(log),
        },
        asset: AssetId::from_bytes([3; 16]),
        from: None,
        to: AddressPayload::try_new(AddressKind::Evm, &[7; 20]).expect("20 bytes"),
        face_units: units,
        gained_units: units,
    }
}

fn block(height: u64, movements: Vec<Movement>) -> ObservedBlock {
    ObservedBlock {
        block: BlockRef {
            height: BlockHeight(height),
            hash: BlockHash([u8::try_from(height).expect("small"); 32]),
        },
        parent: BlockHash([0; 32]),
        unix_s: 0,
        transactions: 0,
        logs: 0,
        root: [0; 32],
        movements,
        spends: Vec::new(),
    }
}

fn attribution(_: &Movement) -> Option<Attribution> {
    Some(Attribution {
        wallet: WalletId::from_bytes([4; 16]),
        verdict: Verdict::Credit,
    })
}

fn taken(
    book: &mut Book,
    block: &ObservedBlock,
    known: &[Deposit],
) -> Result<Vec<Deposit>, SyncError> {
    let known = known.iter().map(|d| (d.id, d.clone())).collect();
    include(place(), block, known, &attribution, book).map(|change| change.deposits)
}

fn aged(head: u64, confirmations: u64, finalized: Option<u64>) -> Age {
    Age {
        head: BlockHeight(head),
        confirmations,
        finalized: finalized.map(BlockHeight),
    }
}

fn custody(book: &Book, deposit: &Deposit) -> U256 {
    let head = book.head(&deposit.account(AccountKind::Custody));
    head.balance.position().on(Side::Debit)
}

#[test]
fn a_transaction_that_pays_an_address_twice_is_two_deposits() {
    let mut book = Book::default();
    let twice = block(
        5,
        vec![movement(9, 0, U256::from(3)), movement(9, 1, U256::from(4))],
    );
    let deposits = taken(&mut book, &twice, &[]).expect("taken");
    assert_eq!(deposits.len(), 2);
    assert_ne!(deposits[0].id, deposits[1].id);
    assert_eq!(custody(&book, &deposits[0]), U256::from(7));
}

#[test]
fn one_identity_is_not_included_twice() {
    let mut book = Book::default();
    let same = block(
        5,
        vec![movement(9, 0, U256::from(3)), movement(9, 0, U256::from(3))],
    );
    assert!(matches!(
        taken(&mut book, &same, &[]),
        Err(SyncError::IncludedTwice(_))
    ));
    let mut book = Book::default();
    let once = block(5, vec![movement(9, 0, U256::from(3))]);
    let deposits = taken(&mut book, &once, &[]).expect("taken");
    let again = taken(&mut book, &block(6, once.movements), &deposits);
    assert!(matches!(again, Err(SyncError::IncludedTwice(_))));
}

/// Sums only grow: what is reorganized away and comes again counts twice in them.
#[test]
fn more_than_the_ledger_can_count_is_rejected_and_does_not_stop_the_network() {
    let mut book = Book::default();
    let all = block(5, vec![movement(9, 0, U256::MAX)]);
    let mut deposits = taken(&mut book, &all, &[]).expect("taken");
    assert_eq!(deposits[0].state, DepositState::Detected);
    deposits = mature(deposits, aged(5, 1, None), &|_| true, 2, &mut book)
        .expect("grows")
        .deposits;
    assert_eq!(deposits[0].state, DepositState::Confirmed);
    deposits = undo(deposits, 3, &mut book).expect("undone").deposits;
    let again = block(
        5,
        vec![movement(9, 0, U256::MAX), movement(8, 0, U256::ZERO)],
    );
    let before = book
        .heads()
        .map(|(key, head)| (*key, *head))
        .collect::<HashMap<_, _>>();
    let deposits = taken(&mut book, &again, &deposits).expect("taken");
    assert_eq!(deposits[0].state, DepositState::Rejected);
    assert_eq!(
        (deposits[0].units, deposits[0].face_units),
        (U256::ZERO, U256::MAX)
    );
    assert!(deposits[0].reason.is_some());
    assert_eq!(deposits.len(), 2, "the next one is looked at");
    let after = book
        .heads()
        .map(|(key, head)| (*key, *head))
        .collect::<HashMap<_, _>>();
    assert_eq!(before, after);
    let undone = undo(deposits, 4, &mut book).expect("undone");
    assert!(undone.posted.is_empty());
}

#[test]
fn what_grew_old_is_credited_and_stays() {
    let check = |height: u64, age: Age, expected: &[DepositState]| {
        let mut book = Book::default();
        let first = taken(
            &mut book,
            &block(height, vec![movement(9, 0, U256::from(3))]),
            &[],
        );
        let change = mature(first.expect("taken"), age, &|_| true, 2, &mut book).expect("grows");
        let states: Vec<_> = change
            .deposits
            .iter()
            .map(|deposit| deposit.state)
            .collect();
        assert_eq!(states, expected, "{height} {age:?}");
    };
    use DepositState::{Confirmed, Finalized};
    // Its own block is the first confirmation.
    check(5, aged(5, 1, None), &[Confirmed]);
    check(5, aged(5, 2, None), &[]);
    check(5, aged(6, 2, None), &[Confirmed]);
    check(5, aged(4, 1, None), &[]);
    check(5, aged(u64::MAX, u64::MAX - 5, None), &[Confirmed]);
    // The finalized height itself stays.
    check(5, aged(9, 3, Some(4)), &[Confirmed]);
    check(5, aged(9, 3, Some(5)), &[Confirmed, Finalized]);
    // Finality does not make up for confirmations.
    check(5, aged(6, 3, Some(5)), &[]);
}

#[test]
fn what_the_breaker_refuses_waits_and_is_credited_once_it_is_closed() {
    let mut book = Book::default();
    let open = taken(
        &mut book,
        &block(5, vec![movement(9, 0, U256::from(3))]),
        &[],
    )
    .expect("taken");
    let age = aged(99, 3, Some(90));
    let refused = mature(open.clone(), age, &|_| false, 2, &mut book).expect("grows");
    assert_eq!(refused, Change::default());
    let credited = mature(open, age, &|_| true, 2, &mut book).expect("grows");
    assert_eq!(credited.deposits.len(), 2);
    let confirmed_again = mature(
        credited.deposits[1..].to_vec(),
        age,
        &|_| true,
        3,
        &mut book,
    );
    assert_eq!(confirmed_again, Ok(Change::default()));
}

#[test]
fn an_undone_block_gives_back_the_latest_first() {
    let mut book = Book::default();
    let two = block(
        5,
        vec![movement(9, 0, U256::from(3)), movement(9, 1, U256::from(4))],
    );
    let deposits = taken(&mut book, &two, &[]).expect("taken");
    let undone = undo(deposits.clone(), 2, &mut book).expect("undone");
    let ids = |deposits: &[Deposit]| deposits.iter().map(|d| d.id).collect::<Vec<_>>();
    let mut latest_first = ids(&deposits);
    latest_first.reverse();
    assert_eq!(ids(&undone.deposits), latest_first);
    assert!(
        undo(undone.deposits, 3, &mut book)
            .expect("nothing is left")
            .posted
            .is_empty()
    );
}

#[test]
fn a_block_follows_only_its_parent() {
    let tip = block(5, Vec::new()).block;
    assert!(follows(None, BlockHash([9; 32])));
    assert!(follows(Some(&tip), tip.hash));
    assert!(!follows(Some(&tip), BlockHash([9; 32])));
}

#[test]
fn finality_counts_its_own_block_and_never_falls() {
    let depth = |blocks| Finality::Depth(NonZeroU32::new(blocks).expect("not zero"));
    let check = |rule, tip, tag: Option<u64>, before: Option<u64>, expected: Option<u64>| {
        let got = finalized(
            rule,
            BlockHeight(tip),
            tag.map(BlockHeight),
            before.map(BlockHeight),
        );
        assert_eq!(
            got,
            expected.map(BlockHeight),
            "{rule:?} {tip} {tag:?} {before:?}"
        );
    };
    check(depth(1), 9, None, None, Some(9));
    check(depth(3), 9, None, None, Some(7));
    check(depth(10), 9, None, None, Some(0));
    check(depth(11), 9, None, None, None);
    check(depth(3), 9, Some(9), Some(8), Some(8));
    check(Finality::Tag, 9, Some(7), None, Some(7));
    check(Finality::Tag, 9, Some(70), None, Some(9));
    check(Finality::Tag, 9, None, Some(4), Some(4));
    check(Finality::Tag, 9, Some(3), Some(4), Some(4));
}

/// Our chain from `start` with `ours` blocks; the nodes' has the first `common` of them and `theirs` of its own.
#[derive(Debug, Clone, Copy)]
struct Chains {
    start: u64,
    ours: u64,
    common: u64,
    theirs: u64,
    finalized: Option<u64>,
}

impl Chains {
    fn all() -> impl Iterator<Item = Self> {
        let finalities = |start: u64, ours: u64| {
            std::iter::once(None).chain((start.saturating_sub(1)..=start + ours).map(Some))
        };
        [0, 1, 5].into_iter().flat_map(move |start| {
            (1..=8_u64).flat_map(move |ours| {
                (0..=ours).flat_map(move |common| {
                    (0..=8 - common).flat_map(move |theirs| {
                        finalities(start, ours).map(move |finalized| Self {
                            start,
                            ours,
                            common,
                            theirs,
                            finalized,
                        })
                    })
                })
            })
        })
    }

    fn tip(&self) -> u64 {
        self.start + self.ours - 1
    }

    fn begin(&self) -> Option<Step> {
        let blocks = self.common + self.theirs;
        let head = (self.start + blocks).checked_sub(1)?;
        let finalized = self.finalized.map(BlockHeight);
        Some(Walk::begin(
            BlockHeight(self.tip()),
            BlockHeight(self.start),
            finalized,
            BlockHeight(head),
        ))
    }

    /// What the nodes say of a height at which both have a block.
    fn says(&self, height: BlockHeight) -> Agreement {
        assert!(height.0 >= self.start && height.0 <= self.tip());
        assert!(
            height.0 < self.start + self.common + self.theirs,
            "{self:?}"
        );
        if height.0 < self.start + self.common {
            Agreement::Same
        } else {
            Agreement::Other
        }
    }

    /// Written without a walk, from what is known of both chains.
    fn expected(&self) -> Step {
        let (tip, parting) = (self.tip(), self.start + self.common);
        let nodes_head = parting + self.theirs;
        if self.common == self.ours {
            return Step::Extend;
        }
        if self.theirs == 0 {
            return Step::Wait;
        }
        match self.finalized {
            Some(finalized) if finalized >= parting => Step::Freeze {
                depth: tip + 1 - finalized.min(tip).min(nodes_head - 1),
            },
            _ => Step::Undo {
                ancestor: (self.common > 0).then(|| BlockHeight(parting - 1)),
                depth: self.ours - self.common,
            },
        }
    }
}

#[test]
fn every_small_pair_of_chains() {
    let mut pairs = 0;
    for chains in Chains::all() {
        let Some(mut step) = chains.begin() else {
            continue;
        };
        let mut asked = 0;
        while let Step::Ask(walk) = step {
            assert_eq!(walk.answer(Agreement::Unknown), Step::Wait, "{chains:?}");
            step = walk.answer(chains.says(walk.height()));
            asked += 1;
            assert!(asked <= chains.ours, "{chains:?}");
        }
        assert_eq!(step, chains.expected(), "{chains:?}");
        pairs += 1;
    }
    assert!(pairs > 5_000, "{pairs}");
}
