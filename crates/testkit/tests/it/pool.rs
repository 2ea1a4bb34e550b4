//! The address pool: every index goes to one wallet, whoever asks and however many at once.

use std::collections::HashSet;

use coffer_domain::wallet::Wallet;
use coffer_platform::batches::parse::Format;
use coffer_platform::{Error, Platform};
use coffer_testkit::{Engine, Installation};
use futures_util::future::join_all;

use crate::scene::{
    Workers, all_wallets, assign, csv, finished, on_both_engines, send, until, upload, without_pool,
};

on_both_engines!(
    a_pool_is_filled_to_its_high_mark,
    fifty_at_once_get_fifty_wallets,
    an_empty_pool_is_filled_on_demand,
    a_customer_has_one_wallet_however_often_asked,
    batches_and_the_pool_share_no_index,
    an_entry_put_back_is_refused,
    an_edited_entry_is_refused,
    watermarks_are_checked,
);

async fn level(installation: &Installation, platform: &Platform) -> u32 {
    platform
        .pool(&installation.admin, installation.vault)
        .await
        .expect("reads")
        .level
}

async fn filled(installation: &Installation, low: u32, high: u32) {
    let platform = &installation.platform;
    platform
        .set_pool(&installation.admin, installation.vault, low, high)
        .await
        .expect("set");
    let workers = Workers::start(platform, 1);
    until("the pool is full", || async {
        (level(installation, platform).await >= high).then_some(())
    })
    .await;
    workers.stop().await;
}

fn assert_distinct(wallets: &[Wallet]) {
    let indexes: HashSet<u32> = wallets.iter().map(|wallet| wallet.index).collect();
    let payloads: HashSet<_> = wallets
        .iter()
        .flat_map(|wallet| &wallet.payloads)
        .map(|payload| (payload.kind().code(), payload.bytes()))
        .collect();
    assert_eq!(
        (indexes.len(), payloads.len()),
        (wallets.len(), wallets.len() * 5)
    );
}

async fn a_pool_is_filled_to_its_high_mark(engine: Engine) {
    let installation = Installation::create(engine).await;
    filled(&installation, 10, 1200).await;
    assert_eq!(level(&installation, &installation.platform).await, 1200);
    let vault = installation
        .platform
        .vault(&installation.admin, installation.vault)
        .await
        .expect("reads");
    assert_eq!(vault.next_index, 1200, "no index was lost");
}

async fn fifty_at_once_get_fifty_wallets(engine: Engine) {
    let installation = Installation::create(engine).await;
    filled(&installation, 60, 60).await;
    let other = installation.reopen().await;
    let names: Vec<String> = (0..50).map(|n| format!("c{n}")).collect();
    let calls = names.iter().enumerate().map(|(n, name)| {
        let platform = if n % 2 == 0 {
            &installation.platform
        } else {
            &other
        };
        assign(platform, &installation.admin, installation.vault, name)
    });
    let wallets: Vec<Wallet> = join_all(calls)
        .await
        .into_iter()
        .map(|assigned| assigned.expect("assigned").wallet)
        .collect();
    assert_distinct(&wallets);
    assert_eq!(level(&installation, &other).await, 10);
    assert_eq!(all_wallets(&other, &installation.admin).await.len(), 50);
}

async fn an_empty_pool_is_filled_on_demand(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    without_pool(platform, admin, installation.vault).await;
    let names: Vec<String> = (0..12).map(|n| format!("e{n}")).collect();
    let calls = names
        .iter()
        .map(|name| assign(platform, admin, installation.vault, name));
    let wallets: Vec<Wallet> = join_all(calls)
        .await
        .into_iter()
        .map(|assigned| assigned.expect("assigned").wallet)
        .collect();
    assert_distinct(&wallets);
}

async fn a_customer_has_one_wallet_however_often_asked(engine: Engine) {
    let installation = Installation::create(engine).await;
    filled(&installation, 30, 30).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let calls = (0..20).map(|_| assign(platform, admin, installation.vault, "one"));
    let answers: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .map(|assigned| assigned.expect("assigned"))
        .collect();
    assert_eq!(
        answers.iter().filter(|assigned| !assigned.existing).count(),
        1
    );
    assert!(
        answers
            .iter()
            .all(|assigned| assigned.wallet == answers[0].wallet)
    );
    assert_eq!(
        level(&installation, platform).await,
        29,
        "one entry was taken"
    );
}

async fn batches_and_the_pool_share_no_index(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    platform
        .set_pool(admin, installation.vault, 20, 40)
        .await
        .expect("set");
    let workers = Workers::start(platform, 2);
    let mut batches = Vec::new();
    for round in 0..5 {
        let rows: Vec<String> = (0..20).map(|n| format!("b{round}-{n}")).collect();
        let names: Vec<String> = (0..10).map(|n| format!("p{round}-{n}")).collect();
        let file = csv(&rows);
        let assigning = join_all(
            names
                .iter()
                .map(|name| assign(platform, admin, installation.vault, name)),
        );
        let (batch, assigned) = tokio::join!(
            send(
                platform,
                admin,
                upload(installation.vault, Format::Csv),
                &file
            ),
            assigning
        );
        assert!(assigned.iter().all(Result::is_ok), "{assigned:?}");
        batches.push(batch);
    }
    for batch in &batches {
        assert_eq!(finished(platform, admin, batch.id).await.rows_created, 20);
    }
    workers.stop().await;
    let wallets = all_wallets(platform, admin).await;
    assert_eq!(wallets.len(), 5 * 30);
    assert_distinct(&wallets);
    let mut tx = platform.db().read().await.expect("reads");
    for row in tx
        .fetch("SELECT derivation_index FROM pool_entries", &[])
        .await
        .expect("reads")
    {
        let index = row.u32(0).expect("an index");
        assert!(
            wallets.iter().all(|wallet| wallet.index != index),
            "index {index} waits in the pool and has a wallet"
        );
        assert!(
            batches
                .iter()
                .all(|batch| !(batch.first_index..batch.first_index + 20).contains(&index)),
            "index {index}"
        );
    }
}

async fn an_entry_put_back_is_refused(engine: Engine) {
    let installation = Installation::create(engine).await;
    filled(&installation, 3, 3).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    installation
        .database
        .tamper("CREATE TABLE kept AS SELECT * FROM pool_entries")
        .await;
    let taken = assign(platform, admin, installation.vault, "first")
        .await
        .expect("assigned")
        .wallet;
    // Were it taken again, "second" would get the address that "first" was told.
    installation
        .database
        .tamper(&format!(
            "INSERT INTO pool_entries SELECT * FROM kept WHERE derivation_index = {}; DELETE FROM wallets; DELETE FROM addresses",
            taken.index
        ))
        .await;
    let refused = assign(platform, admin, installation.vault, "second").await;
    assert!(
        matches!(refused, Err(Error::Integrity { .. })),
        "{refused:?}"
    );
}

async fn an_edited_entry_is_refused(engine: Engine) {
    let installation = Installation::create(engine).await;
    filled(&installation, 2, 2).await;
    installation
        .database
        .tamper("UPDATE pool_entries SET payloads = (SELECT p.payloads FROM pool_entries p WHERE p.derivation_index = 1) WHERE derivation_index = 0")
        .await;
    let refused = assign(
        &installation.platform,
        &installation.admin,
        installation.vault,
        "u",
    )
    .await;
    assert!(
        matches!(refused, Err(Error::Integrity { .. })),
        "{refused:?}"
    );
    assert!(
        all_wallets(&installation.platform, &installation.admin)
            .await
            .is_empty()
    );
}

async fn watermarks_are_checked(engine: Engine) {
    let installation = Installation::create(engine).await;
    for (low, high) in [(2, 1), (0, 1_000_001)] {
        let refused = installation
            .platform
            .set_pool(&installation.admin, installation.vault, low, high)
            .await;
        assert!(
            matches!(refused, Err(Error::Validation { field: "high", .. })),
            "{low} {high}"
        );
    }
}
