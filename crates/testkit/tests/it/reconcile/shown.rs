//! Balances beside the ledger: what the chain showed is shown, with its age, and decides nothing.

use coffer_domain::asset::AssetState;
use coffer_domain::reconciliation::ReconciliationState::Matched;
use coffer_testkit::Engine;
use ruint::aliases::U256;

use super::chain::Change;
use super::site::Site;
use crate::scene::on_both_engines;

on_both_engines!(
    balances_are_shown_with_block_and_age,
    an_edited_snapshot_changes_what_is_shown_and_nothing_else,
);

async fn balances_are_shown_with_block_and_age(engine: Engine) {
    let site = Site::create(engine).await;
    let (wallet, address) = site.wallet("c1").await;
    assert_eq!(site.balance(wallet, &site.coin).await.on_chain, None);
    let block = site
        .chain
        .grow(&[Change::deposit(site.coin.kind, address, 40)]);
    site.follow().await;
    site.reconcile().await.expect("a round").expect("a block");
    site.installation.clock.advance_ms(5_000);
    let balance = site.balance(wallet, &site.coin).await;
    assert_eq!(
        (balance.available, balance.pending),
        (U256::ZERO, U256::from(40))
    );
    assert_eq!(
        (balance.held, balance.reversal_due),
        (U256::ZERO, U256::ZERO)
    );
    let shown = balance.on_chain.expect("a snapshot");
    assert_eq!((shown.units, shown.block), (U256::from(40), block));
    assert!((5_000..60_000).contains(&shown.age_ms), "{}", shown.age_ms);
    let none = site.balance(wallet, &site.token).await;
    assert_eq!(none.on_chain, None, "nothing was ever there");
    // The next block is reconciled, its balances are not written again so soon; asking writes them.
    let next = site
        .chain
        .grow(&[Change::deposit(site.coin.kind, address, 2)]);
    site.follow().await;
    site.reconcile().await.expect("a round").expect("a block");
    let shown = site.balance(wallet, &site.coin).await.on_chain;
    assert_eq!(shown.expect("a snapshot").block, block);
    let admin = &site.installation.admin;
    site.platform()
        .reconcile_now(admin, site.network.id)
        .await
        .expect("a round");
    let shown = site.balance(wallet, &site.coin).await.on_chain;
    let shown = shown.expect("a snapshot");
    assert_eq!((shown.units, shown.block), (U256::from(42), next));
}

async fn an_edited_snapshot_changes_what_is_shown_and_nothing_else(engine: Engine) {
    let site = Site::create(engine).await;
    let (wallet, address) = site.wallet("c1").await;
    site.chain
        .grow(&[Change::deposit(site.coin.kind, address, 40)]);
    site.follow().await;
    assert_eq!(site.states().await, [Matched, Matched]);
    let sql = match engine {
        Engine::Sqlite => "UPDATE balance_snapshots SET units = x'ffff'",
        Engine::Postgres => "UPDATE balance_snapshots SET units = '\\xffff'",
    };
    assert_eq!(site.installation.database.tamper(sql).await, 1);
    let balance = site.balance(wallet, &site.coin).await;
    assert_eq!(balance.on_chain.expect("shown").units, U256::from(0xffff));
    assert_eq!(balance.pending, U256::from(40));
    site.chain.grow(&[]);
    site.follow().await;
    assert_eq!(
        site.has(wallet, &site.coin).await,
        (40, 0),
        "credited as ever"
    );
    assert_eq!(site.states().await, [Matched, Matched]);
    site.installation
        .database
        .tamper("DELETE FROM balance_snapshots")
        .await;
    site.chain
        .grow(&[Change::deposit(site.coin.kind, address, 1)]);
    site.chain.grow(&[]);
    site.follow().await;
    assert_eq!(site.states().await, [Matched, Matched]);
    assert_eq!(site.has(wallet, &site.coin).await, (41, 0));
    assert_eq!(site.breaker(&site.coin).await, AssetState::Active);
}
