//! The ledger as it is stored: posted once, read at any moment, and refused when somebody else wrote to it.

use coffer_domain::id::{AssetId, LedgerAccountId, WalletId};
use coffer_domain::ledger::{AccountKey, AccountKind, Phase, Side};
use coffer_platform::ledger::{
    AccountFilter, NewAdjustment, NewHold, Recorded, Transfer, Transferred,
};
use coffer_platform::{Answer, Caller, Error, Once, Platform};
use coffer_testkit::{Engine, Installation};
use ruint::aliases::U256;

use crate::scene::on_both_engines;

on_both_engines!(
    a_reference_posts_once,
    a_hold_is_resolved_once,
    nobody_spends_what_they_have_not,
    a_released_hold_pays_what_is_owed_first,
    postings_at_the_same_time_lose_nothing,
    the_past_can_be_read,
    a_statement_begins_and_ends_with_the_balance,
    what_was_posted_verifies,
    organizations_do_not_see_each_other,
);

fn asset() -> AssetId {
    AssetId::from_bytes([7; 16])
}

pub(crate) fn wallet(number: u32) -> WalletId {
    let mut bytes = [0xEE; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    WalletId::from_bytes(bytes)
}

pub(crate) fn customer(caller: &Caller, number: u32) -> AccountKey {
    AccountKey {
        organization: caller.organization,
        asset: asset(),
        kind: AccountKind::Customer,
        wallet: Some(wallet(number)),
    }
}

/// Gives customer `number` so much, out of nothing.
pub(crate) async fn fund(platform: &Platform, caller: &Caller, number: u32, units: u64) {
    let new = adjustment(number, units, &format!("fund {number} {units}"));
    executed(platform.post_adjustment(caller, &new, None).await);
}

fn adjustment(number: u32, units: u64, reference: &str) -> NewAdjustment {
    NewAdjustment {
        reference: reference.to_owned(),
        asset: asset(),
        kind: AccountKind::Customer,
        wallet: Some(wallet(number)),
        side: Side::Credit,
        units: U256::from(units),
        reason: "a beginning".to_owned(),
    }
}

pub(crate) fn transfer(
    caller: &Caller,
    reference: &str,
    (from, to): (u32, u32),
    units: u64,
) -> Transfer {
    Transfer {
        reference: reference.to_owned(),
        debit: customer(caller, from),
        credit: customer(caller, to),
        units: U256::from(units),
    }
}

pub(crate) async fn send(
    platform: &Platform,
    caller: &Caller,
    reference: &str,
    parties: (u32, u32),
    units: u64,
) -> Result<Transferred, Error> {
    let transfers = [transfer(caller, reference, parties, units)];
    platform.post_transfers(caller, &transfers).await
}

#[track_caller]
fn executed(answer: Result<Answer<Recorded>, Error>) -> Recorded {
    match answer.expect("posts") {
        Answer::Executed(recorded) => recorded,
        Answer::Replayed { .. } => panic!("nothing to replay"),
    }
}

fn hold(reference: &str, number: u32, units: u64) -> NewHold {
    NewHold {
        reference: reference.to_owned(),
        asset: asset(),
        wallet: wallet(number),
        units: U256::from(units),
    }
}

async fn available(platform: &Platform, caller: &Caller, number: u32) -> u64 {
    let id = customer(caller, number).id();
    let account = platform.ledger_account(caller, id).await.expect("reads");
    account.balance.available().to::<u64>()
}

async fn sound(platform: &Platform, caller: &Caller) -> u64 {
    let report = platform.verify_ledger(caller).await.expect("verifies");
    assert_eq!(report.broken, None);
    report.transactions
}

async fn a_reference_posts_once(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, caller) = (&installation.platform, &installation.admin);
    fund(platform, caller, 1, 100).await;
    let first = send(platform, caller, "order 1", (1, 2), 30)
        .await
        .expect("posts");
    assert_eq!((first.posted, first.existing), (1, 0));
    let again = send(platform, caller, "order 1", (1, 2), 30)
        .await
        .expect("is there");
    assert_eq!((again.posted, again.existing), (0, 1));
    assert_eq!(again.mark, first.mark);
    for (parties, units) in [((1, 2), 31), ((1, 3), 30), ((2, 1), 30)] {
        let refused = send(platform, caller, "order 1", parties, units).await;
        assert!(matches!(refused, Err(Error::Ledger(_))), "{refused:?}");
    }
    let mixed = [
        transfer(caller, "order 1", (1, 2), 30),
        transfer(caller, "order 2", (2, 3), 10),
    ];
    let mixed = platform
        .post_transfers(caller, &mixed)
        .await
        .expect("posts");
    assert_eq!((mixed.posted, mixed.existing), (1, 1));
    let records = platform.audit_records(caller, 0, 100).await.expect("reads");
    let made = records
        .iter()
        .filter(|record| record.action == "ledger.transferred");
    assert_eq!(made.count(), 2, "a repetition leaves no record");
    assert_eq!(available(platform, caller, 1).await, 70);
    assert_eq!(available(platform, caller, 2).await, 20);
    assert_eq!(sound(platform, caller).await, 3);
}

async fn a_hold_is_resolved_once(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, caller) = (&installation.platform, &installation.admin);
    fund(platform, caller, 1, 100).await;
    let render = |recorded: &Recorded| (201, recorded.transaction.to_string());
    let once = || Once {
        key: "k",
        fingerprint: [1; 32],
        render: &render,
    };
    let first = executed(
        platform
            .hold(caller, &hold("payout 1", 1, 60), Some(once()))
            .await,
    );
    let again = platform
        .hold(caller, &hold("payout 1", 1, 60), Some(once()))
        .await;
    let replayed = Answer::Replayed {
        status: 201,
        body: first.transaction.to_string(),
    };
    assert_eq!(again.expect("is there"), replayed);
    assert!(executed(platform.hold(caller, &hold("payout 1", 1, 60), None).await).existing);
    assert_eq!(available(platform, caller, 1).await, 40);
    let other = executed(platform.hold(caller, &hold("payout 2", 1, 40), None).await);
    executed(platform.release_hold(caller, first.transaction, None).await);
    executed(platform.post_hold(caller, other.transaction, None).await);
    for hold in [first.transaction, other.transaction] {
        let twice = [
            platform.release_hold(caller, hold, None).await,
            platform.post_hold(caller, hold, None).await,
        ];
        let existing = twice
            .iter()
            .filter(|answer| matches!(answer, Ok(Answer::Executed(recorded)) if recorded.existing));
        let refused = twice
            .iter()
            .filter(|answer| matches!(answer, Err(Error::StateConflict(_))));
        assert_eq!((existing.count(), refused.count()), (1, 1), "{twice:?}");
    }
    assert_eq!(available(platform, caller, 1).await, 60);
    let no_hold = platform
        .release_hold(caller, customer_transaction(platform, caller).await, None)
        .await;
    assert!(
        matches!(no_hold, Err(Error::NotFound { .. })),
        "{no_hold:?}"
    );
    assert_eq!(sound(platform, caller).await, 5);
}

async fn customer_transaction(
    platform: &Platform,
    caller: &Caller,
) -> coffer_domain::id::LedgerTransactionId {
    let page = platform
        .ledger_transactions(caller, 0, 1)
        .await
        .expect("reads");
    assert_eq!(page.items[0].phase, Phase::Posted);
    page.items[0].id
}

async fn nobody_spends_what_they_have_not(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, caller) = (&installation.platform, &installation.admin);
    fund(platform, caller, 1, 10).await;
    let transfers = [
        transfer(caller, "a", (1, 2), 10),
        transfer(caller, "b", (1, 2), 1),
    ];
    let refused = platform.post_transfers(caller, &transfers).await;
    assert!(matches!(refused, Err(Error::Ledger(_))), "{refused:?}");
    let refused = platform.hold(caller, &hold("h", 1, 11), None).await;
    assert!(
        matches!(refused, Err(Error::StateConflict(_))),
        "{refused:?}"
    );
    let refused = platform.hold(caller, &hold("h", 1, 0), None).await;
    assert!(
        matches!(refused, Err(Error::Validation { .. })),
        "{refused:?}"
    );
    let mut new = adjustment(1, 1, "x");
    new.reason = " ".to_owned();
    let refused = platform.post_adjustment(caller, &new, None).await;
    assert!(
        matches!(refused, Err(Error::Validation { .. })),
        "{refused:?}"
    );
    assert_eq!(available(platform, caller, 1).await, 10);
    assert_eq!(sound(platform, caller).await, 1);
}

/// A debt as a reversed deposit leaves it: the money was held when its block went away.
async fn a_released_hold_pays_what_is_owed_first(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, caller) = (&installation.platform, &installation.admin);
    fund(platform, caller, 1, 100).await;
    let held = executed(platform.hold(caller, &hold("h", 1, 100), None).await);
    let mut debt = adjustment(1, 70, "debt");
    debt.kind = AccountKind::ReversalDue;
    debt.side = Side::Debit;
    executed(platform.post_adjustment(caller, &debt, None).await);
    assert_eq!(available(platform, caller, 1).await, 0);
    executed(platform.release_hold(caller, held.transaction, None).await);
    assert_eq!(available(platform, caller, 1).await, 30);
    executed(
        platform
            .post_adjustment(caller, &adjustment(1, 5, "more"), None)
            .await,
    );
    assert_eq!(available(platform, caller, 1).await, 35);
    sound(platform, caller).await;
}

async fn postings_at_the_same_time_lose_nothing(engine: Engine) {
    let installation = Installation::create(engine).await;
    let other = installation.reopen().await;
    let caller = &installation.admin;
    let mut tasks = Vec::new();
    for number in 0..24_u32 {
        let platform = [&installation.platform, &other][number as usize % 2].clone();
        let caller = caller.clone();
        tasks.push(tokio::spawn(async move {
            // The first ones begin the ledger, all at once.
            let new = adjustment(number % 3, 10, &format!("f{}", number / 2));
            platform.post_adjustment(&caller, &new, None).await.is_ok()
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += u32::from(task.await.expect("ends"));
    }
    // Of two with one reference but another account the later is refused.
    assert!((12..=24).contains(&done), "{done}");
    assert_eq!(sound(&installation.platform, caller).await, 12);
}

async fn the_past_can_be_read(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, caller) = (&installation.platform, &installation.admin);
    let start = installation.clock_ms();
    let mut moments = vec![(start - 1000, 0)];
    installation.clock.advance_ms(10_000);
    fund(platform, caller, 1, 1000).await;
    moments.push((installation.clock_ms(), 0));
    for step in 1..=20_u64 {
        installation.clock.advance_ms(10_000);
        let reference = format!("s{step}");
        send(platform, caller, &reference, (1, 2), step)
            .await
            .expect("posts");
        moments.push((installation.clock_ms(), step * (step + 1) / 2));
    }
    let only = AccountFilter {
        wallet: Some(wallet(2)),
        ..AccountFilter::default()
    };
    for (at, sum) in moments {
        let then = platform
            .ledger_balances(caller, &only, Some(at))
            .await
            .expect("reads");
        let credits = then
            .first()
            .map_or(0, |of| of.totals.posted_credits.to::<u64>());
        assert_eq!(credits, sum, "at {at}");
        let all = platform
            .ledger_balances(caller, &AccountFilter::default(), Some(at))
            .await
            .expect("reads");
        assert!(all.iter().all(|of| of.totals.is_balanced()));
    }
    let now = platform
        .ledger_balances(caller, &only, None)
        .await
        .expect("reads");
    assert_eq!(now[0].totals.posted_credits.to::<u64>(), 210);
    assert_eq!(now[0].kinds.len(), 1);
}

async fn a_statement_begins_and_ends_with_the_balance(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, caller) = (&installation.platform, &installation.admin);
    fund(platform, caller, 1, 10_000).await;
    installation.clock.advance_ms(60_000);
    let from = installation.clock_ms();
    let many: Vec<Transfer> = (0..1200)
        .map(|number| transfer(caller, &format!("m{number}"), (1, 2), 2))
        .collect();
    platform.post_transfers(caller, &many).await.expect("posts");
    let to = installation.clock_ms() + 1;
    installation.clock.advance_ms(60_000);
    send(platform, caller, "later", (1, 2), 5)
        .await
        .expect("posts");
    let id = customer(caller, 1).id();
    let mut statement = platform
        .statement(caller, id, from, to)
        .await
        .expect("reads");
    assert_eq!(statement.entries(), 1200);
    assert_eq!(statement.opening.available(), U256::from(10_000));
    assert_eq!(statement.closing.available(), U256::from(7_600));
    let mut last = statement.opening;
    let mut count = 0;
    while let Some(entries) = statement.next().await.expect("reads") {
        for entry in entries {
            assert_eq!(
                entry.balance.posted_debits,
                last.posted_debits + U256::from(2)
            );
            last = entry.balance;
            count += 1;
        }
    }
    assert_eq!((count, last), (1200, statement.closing));
}

async fn what_was_posted_verifies(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, caller) = (&installation.platform, &installation.admin);
    assert_eq!(sound(platform, caller).await, 0);
    fund(platform, caller, 1, 5000).await;
    let many: Vec<Transfer> = (0..2500)
        .map(|number| {
            transfer(
                caller,
                &format!("m{number}"),
                (1 + number % 7, 2 + number % 7),
                1,
            )
        })
        .collect();
    let first = platform.post_transfers(caller, &many[..7]).await;
    assert!(first.is_ok(), "{first:?}");
    platform
        .post_transfers(caller, &many[7..])
        .await
        .expect("posts");
    let report = platform.verify_ledger(caller).await.expect("verifies");
    assert_eq!(report.broken, None);
    assert_eq!((report.transactions, report.entries), (2501, 5002));
    assert_eq!((report.marks, report.accounts), (3, 9));
    assert!(report.assets.iter().all(|of| of.totals.is_balanced()));
    let page = platform
        .ledger_transactions(caller, 2499, 10)
        .await
        .expect("reads");
    assert_eq!(page.items.len(), 2);
    assert_eq!(page.items[1].hash, report.end.hash);
}

async fn organizations_do_not_see_each_other(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, caller) = (&installation.platform, &installation.admin);
    fund(platform, caller, 1, 5).await;
    let mut stranger = caller.clone();
    stranger.organization = coffer_domain::id::OrganizationId::from_bytes([9; 16]);
    let id: LedgerAccountId = customer(caller, 1).id();
    let seen = platform.ledger_account(&stranger, id).await;
    assert!(matches!(seen, Err(Error::NotFound { .. })), "{seen:?}");
    let transaction = customer_transaction(platform, caller).await;
    let seen = platform.ledger_transaction(&stranger, transaction).await;
    assert!(matches!(seen, Err(Error::NotFound { .. })), "{seen:?}");
    let page = platform
        .ledger_transactions(&stranger, 0, 10)
        .await
        .expect("reads");
    assert!(page.items.is_empty());
    let theirs = [transfer(caller, "t", (1, 2), 1)];
    let refused = platform.post_transfers(&stranger, &theirs).await;
    assert!(
        matches!(refused, Err(Error::Validation { .. })),
        "{refused:?}"
    );
}
