mod properties;

use ruint::aliases::U256;

use super::*;
use crate::id::{AssetId, LedgerTransactionId, OrganizationId, WalletId};

fn account(kind: AccountKind) -> AccountKey {
    AccountKey {
        organization: OrganizationId::from_bytes([1; 16]),
        asset: AssetId::from_bytes([2; 16]),
        kind,
        wallet: Some(WalletId::from_bytes([3; 16])),
    }
}

fn transaction(id: &str, phase: Phase, legs: &[(AccountKind, Side, u64)]) -> Transaction {
    Transaction {
        organization: OrganizationId::from_bytes([1; 16]),
        source: Source {
            kind: SourceKind::Deposit,
            id: id.to_owned(),
        },
        phase,
        legs: legs
            .iter()
            .map(|(kind, side, units)| Leg {
                account: account(*kind),
                side: *side,
                units: U256::from(*units),
            })
            .collect(),
    }
}

fn deposit(units: u64) -> [(AccountKind, Side, u64); 2] {
    [
        (AccountKind::Custody, Side::Debit, units),
        (AccountKind::Customer, Side::Credit, units),
    ]
}

#[test]
fn a_pending_transaction_is_resolved_once() {
    let mut book = Book::default();
    let pending = book
        .post(transaction("1", Phase::Pending, &deposit(5)))
        .expect("posts");
    let customer = |book: &Book| book.head(&account(AccountKind::Customer)).balance;
    assert_eq!(customer(&book).available(), U256::ZERO);
    assert_eq!(customer(&book).pending_credits, U256::from(5));
    let post = Phase::Post { of: pending.id };
    book.post(transaction("2", post, &[])).expect("posts");
    assert_eq!(customer(&book).available(), U256::from(5));
    assert_eq!(customer(&book).pending_credits, U256::ZERO);
    for (id, phase) in [("3", post), ("4", Phase::Void { of: pending.id })] {
        let refused = book.post(transaction(id, phase, &[]));
        assert!(
            matches!(refused, Err(LedgerError::NotPending { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn what_does_not_balance_overdraws_or_repeats_changes_nothing() {
    let mut book = Book::default();
    book.post(transaction("1", Phase::Posted, &deposit(5)))
        .expect("posts");
    let before = book.head(&account(AccountKind::Customer));
    let check = |book: &mut Book, legs: &[(AccountKind, Side, u64)], id: &str| {
        book.post(transaction(id, Phase::Posted, legs))
            .expect_err("refused")
    };
    use AccountKind::{Custody, Customer, Suspense};
    use Side::{Credit, Debit};
    let cases: [&[(AccountKind, Side, u64)]; 5] = [
        &[(Custody, Debit, 5), (Customer, Credit, 4)],
        &[(Custody, Debit, 5), (Custody, Credit, 5)],
        &[(Custody, Debit, 0), (Customer, Credit, 0)],
        &[(Customer, Debit, 6), (Custody, Credit, 6)],
        &[(Suspense, Debit, 1), (Customer, Credit, 1)],
    ];
    for (at, legs) in cases.into_iter().enumerate() {
        check(&mut book, legs, &format!("bad {at}"));
    }
    assert!(matches!(
        check(&mut book, &deposit(5), "1"),
        LedgerError::Repeated(_)
    ));
    assert_eq!(book.head(&account(AccountKind::Customer)), before);
}

#[test]
fn a_hold_takes_from_what_is_available() {
    let mut book = Book::default();
    book.post(transaction("1", Phase::Posted, &deposit(5)))
        .expect("posts");
    let hold = [
        (AccountKind::Customer, Side::Debit, 4),
        (AccountKind::Holding, Side::Credit, 4),
    ];
    book.post(transaction("hold", Phase::Pending, &hold))
        .expect("posts");
    let available = |book: &Book| {
        book.head(&account(AccountKind::Customer))
            .balance
            .available()
    };
    assert_eq!(available(&book), U256::from(1));
    let more = [
        (AccountKind::Customer, Side::Debit, 2),
        (AccountKind::Holding, Side::Credit, 2),
    ];
    assert!(matches!(
        book.post(transaction("more", Phase::Pending, &more)),
        Err(LedgerError::Overdrawn { .. })
    ));
    let of: LedgerTransactionId = transaction("hold", Phase::Pending, &hold).id();
    book.post(transaction("release", Phase::Void { of }, &[]))
        .expect("posts");
    assert_eq!(available(&book), U256::from(5));
}

#[test]
fn no_transaction_posts_for_another_organization() {
    let mut stranger = transaction("1", Phase::Posted, &deposit(5));
    stranger.organization = OrganizationId::from_bytes([9; 16]);
    let refused = Book::default().post(stranger);
    assert!(
        matches!(refused, Err(LedgerError::Malformed { .. })),
        "{refused:?}"
    );
}

#[test]
fn what_the_chain_takes_back_is_never_refused() {
    use AccountKind::{Custody, Customer, ReversalDue, Suspense};
    use Side::{Credit, Debit};
    let adjust = |book: &mut Book, id: &str, legs: &[(AccountKind, Side, u64)]| {
        let mut adjustment = transaction(id, Phase::Posted, legs);
        adjustment.source.kind = SourceKind::Adjustment;
        book.post(adjustment)
    };
    let mut book = Book::default();
    book.post(transaction(
        "shelved",
        Phase::Posted,
        &[(Custody, Debit, 5), (Suspense, Credit, 5)],
    ))
    .expect("posts");
    adjust(
        &mut book,
        "given",
        &[(Suspense, Debit, 5), (Customer, Credit, 5)],
    )
    .expect("posts");
    // A person may not take what is not there; a reorganization may.
    let again = adjust(
        &mut book,
        "again",
        &[(Suspense, Debit, 5), (Customer, Credit, 5)],
    );
    assert!(
        matches!(again, Err(LedgerError::Overdrawn { .. })),
        "{again:?}"
    );
    let unshelved = [(Suspense, Debit, 5), (Custody, Credit, 5)];
    book.post(transaction("unshelved", Phase::Posted, &unshelved))
        .expect("posts");
    let spent = [(ReversalDue, Debit, 3), (Custody, Credit, 3)];
    book.post(transaction("spent", Phase::Posted, &spent))
        .expect("posts");
    let custody = book.head(&account(Custody)).balance.position();
    assert_eq!(
        custody,
        Net {
            side: Credit,
            units: U256::from(3)
        }
    );
    // Never a customer's own account.
    let customer = transaction(
        "customer",
        Phase::Posted,
        &[(Customer, Debit, 6), (Custody, Credit, 6)],
    );
    assert!(matches!(
        book.post(customer),
        Err(LedgerError::Overdrawn { .. })
    ));
}

#[test]
fn a_debt_is_paid_from_what_comes_free() {
    use AccountKind::{Custody, Customer, Holding, ReversalDue};
    use Side::{Credit, Debit};
    let mut book = Book::default();
    book.post(transaction("1", Phase::Posted, &deposit(5)))
        .expect("posts");
    let hold = transaction(
        "hold",
        Phase::Pending,
        &[(Customer, Debit, 5), (Holding, Credit, 5)],
    );
    let of = book.post(hold).expect("posts").id;
    let reversed = [(ReversalDue, Debit, 5), (Custody, Credit, 5)];
    book.post(transaction("reversed", Phase::Posted, &reversed))
        .expect("posts");
    let source = Source {
        kind: SourceKind::Hold,
        id: "hold/debt".to_owned(),
    };
    let customer = account(Customer);
    assert_eq!(
        book.debt_payment(&customer, source.clone()),
        None,
        "nothing is free yet"
    );
    book.post(transaction("release", Phase::Void { of }, &[]))
        .expect("posts");
    let payment = book
        .debt_payment(&customer, source.clone())
        .expect("is due");
    book.post(payment).expect("posts");
    assert_eq!(book.head(&customer).balance.available(), U256::ZERO);
    assert_eq!(
        book.head(&account(ReversalDue)).balance.posted().units,
        U256::ZERO
    );
    assert_eq!(book.debt_payment(&customer, source), None);
}
