//! One base unit is found, stops its asset and no other; what is not known stops nothing.

use coffer_domain::asset::{Asset, AssetState};
use coffer_domain::reconciliation::ReconciliationState::{Drift, Matched};
use coffer_platform::Error;
use coffer_testkit::Engine;
use ruint::aliases::U256;

use super::chain::{Chain, Change};
use super::site::{Site, executed};
use crate::scene::on_both_engines;

on_both_engines!(
    deposits_match_at_every_block,
    one_unit_stops_the_asset_alone_until_it_is_explained,
    a_rebasing_token_is_found_and_stopped,
    a_surplus_does_not_hide_a_lack,
    a_reorganization_in_mid_round_is_no_drift,
    a_difference_that_is_gone_when_asked_again_is_none,
    a_block_that_is_gone_concludes_nothing,
    too_few_nodes_conclude_nothing,
    an_edited_custody_account_is_refused,
    a_removed_custody_account_is_a_drift,
    an_asset_off_the_list_is_not_compared,
);

async fn deposits_match_at_every_block(engine: Engine) {
    let site = Site::create(engine).await;
    let (wallet, address) = site.wallet("c1").await;
    site.wallet("c2").await;
    assert_eq!(
        site.reconcile().await.expect("a round"),
        None,
        "no block yet"
    );
    for units in [500, 7] {
        let coin = Change::deposit(site.coin.kind, address, units);
        let token = Change::deposit(site.token.kind, address, units * 10);
        site.chain.grow(&[coin, token]);
        site.follow().await;
        assert_eq!(site.states().await, [Matched, Matched]);
    }
    assert_eq!(site.has(wallet, &site.coin).await, (500, 7));
    let lines = site.stored().await;
    let latest = lines.iter().find(|line| line.asset == site.token.id);
    let latest = latest.expect("a line");
    assert_eq!(
        (latest.ledger_units, latest.chain_units, latest.differing),
        (U256::from(5070), U256::from(5070), 0)
    );
    assert_eq!((latest.addresses, latest.addresses_watched), (2, 2));
    let asked = site.chain.asked();
    assert_eq!(site.reconcile().await.expect("nothing to do"), None);
    assert_eq!(site.chain.asked(), asked, "the block was compared already");
}

async fn close(site: &Site, asset: &Asset) {
    let admin = &site.installation.admin;
    let closed = site
        .platform()
        .close_breaker(admin, asset.id, "the key's owner put it back", None)
        .await;
    assert_eq!(executed(closed.expect("closed")).state, AssetState::Active);
}

async fn one_unit_stops_the_asset_alone_until_it_is_explained(engine: Engine) {
    let site = Site::create(engine).await;
    let (wallet, address) = site.wallet("c1").await;
    site.chain
        .grow(&[Change::untold(site.coin.kind, address, 1)]);
    site.follow().await;
    assert_eq!(site.states().await, [Drift, Matched]);
    assert_eq!(site.breaker(&site.coin).await, AssetState::Tripped);
    assert_eq!(site.breaker(&site.token).await, AssetState::Active);
    let deposits = [&site.coin, &site.token].map(|asset| Change::deposit(asset.kind, address, 9));
    site.chain.grow(&deposits);
    site.chain.grow(&[]);
    site.follow().await;
    assert_eq!(
        site.has(wallet, &site.coin).await,
        (0, 9),
        "seen, not credited"
    );
    assert_eq!(site.has(wallet, &site.token).await, (9, 0));
    assert_eq!(site.states().await, [Drift, Matched]);
    site.chain
        .grow(&[Change::untold(site.coin.kind, address, -1)]);
    site.follow().await;
    assert_eq!(site.states().await, [Matched, Matched]);
    assert_eq!(
        site.breaker(&site.coin).await,
        AssetState::Tripped,
        "a person closes it"
    );
    close(&site, &site.coin).await;
    site.chain.grow(&[]);
    site.follow().await;
    assert_eq!(site.has(wallet, &site.coin).await, (9, 0));
    assert_eq!(site.states().await, [Matched, Matched]);
    assert_eq!(site.breaker(&site.coin).await, AssetState::Active);
    let records = site
        .platform()
        .audit_records(&site.installation.admin, 0, 1000)
        .await
        .expect("reads");
    let drifts: Vec<_> = records
        .iter()
        .filter(|record| record.action == "reconciliation.drift")
        .collect();
    assert_eq!(drifts.len(), 1);
    assert!(drifts[0].payload.contains(&site.coin.id.to_string()));
}

async fn a_rebasing_token_is_found_and_stopped(engine: Engine) {
    let site = Site::create(engine).await;
    let (wallet, address) = site.wallet("c1").await;
    site.chain
        .grow(&[Change::deposit(site.token.kind, address, 100)]);
    site.chain.grow(&[]);
    site.follow().await;
    assert_eq!(site.states().await, [Matched, Matched]);
    // Every block a little more, as interest would come.
    for round in 1..=3 {
        site.chain
            .grow(&[Change::untold(site.token.kind, address, 1)]);
        site.follow().await;
        let lines = site.reconcile().await.expect("a round").expect("a block");
        let line = lines.iter().find(|line| line.asset == site.token.id);
        assert_eq!(line.expect("a line").chain_units, U256::from(100 + round));
        assert_eq!(site.breaker(&site.token).await, AssetState::Tripped);
    }
    assert_eq!(site.has(wallet, &site.token).await, (100, 0));
    let kept = site.stored().await;
    let drifts = kept.iter().filter(|line| line.state == Drift).count();
    assert_eq!(
        drifts, 1,
        "the same difference is not stored at every block"
    );
    close(&site, &site.token).await;
    site.chain.grow(&[]);
    site.follow().await;
    assert_eq!(site.states().await, [Matched, Drift]);
    assert_eq!(
        site.breaker(&site.token).await,
        AssetState::Tripped,
        "nothing was explained"
    );
}

async fn a_surplus_does_not_hide_a_lack(engine: Engine) {
    let site = Site::create(engine).await;
    let (one, two) = (site.wallet("c1").await, site.wallet("c2").await);
    let deposits = [one.1, two.1].map(|address| Change::deposit(site.coin.kind, address, 50));
    site.chain.grow(&deposits);
    site.chain.grow(&[
        Change::untold(site.coin.kind, one.1, 1),
        Change::untold(site.coin.kind, two.1, -1),
    ]);
    site.follow().await;
    assert_eq!(site.states().await, [Drift, Matched]);
    let stored = site.stored().await;
    let line = stored
        .iter()
        .find(|line| line.state == Drift)
        .expect("kept");
    assert_eq!((line.ledger_units, line.differing), (line.chain_units, 2));
    let admin = &site.installation.admin;
    let (_, differences) = site
        .platform()
        .reconciliation(admin, line.id)
        .await
        .expect("reads");
    let mut found: Vec<_> = differences
        .iter()
        .map(|one| {
            (
                one.wallet,
                one.ledger_units.to::<u64>(),
                one.chain_units.to::<u64>(),
            )
        })
        .collect();
    found.sort_unstable_by_key(|(_, _, chain)| *chain);
    assert_eq!(found, [(two.0, 50, 49), (one.0, 50, 51)]);
}

async fn nothing_concluded(site: &Site, lines: usize) {
    assert_eq!(site.stored().await.len(), lines);
    assert_eq!(site.breaker(&site.coin).await, AssetState::Active);
    site.follow().await;
    assert_eq!(site.states().await, [Matched, Matched]);
}

async fn a_reorganization_in_mid_round_is_no_drift(engine: Engine) {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    site.chain
        .grow(&[Change::deposit(site.coin.kind, address, 5)]);
    site.follow().await;
    // The node answers for the head, which holds no deposit any more: a difference of five units.
    site.chain.careless(true);
    site.chain.before_balances(Chain::reorg);
    let round = site.reconcile().await;
    assert!(matches!(round, Err(Error::Nodes(_))), "{round:?}");
    nothing_concluded(&site, 0).await;
}

/// A node that makes a block at this moment answers for the tip with the new block's state.
async fn a_difference_that_is_gone_when_asked_again_is_none(engine: Engine) {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    let coin = |units| Change::deposit(site.coin.kind, address, units);
    site.chain.grow(&[coin(500)]);
    site.follow().await;
    site.chain.grow(&[coin(7)]);
    let too_early = |chain: &Chain| {
        chain.careless(true);
        chain.before_balances(|chain| chain.careless(false));
    };
    site.chain.before_balances(too_early);
    assert_eq!(site.states().await, [Matched, Matched]);
    assert_eq!(site.breaker(&site.coin).await, AssetState::Active);
}

async fn a_block_that_is_gone_concludes_nothing(engine: Engine) {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    site.chain
        .grow(&[Change::deposit(site.coin.kind, address, 5)]);
    site.follow().await;
    site.chain.before_balances(Chain::reorg);
    let round = site.reconcile().await;
    assert!(matches!(round, Err(Error::Nodes(_))), "{round:?}");
    nothing_concluded(&site, 0).await;
}

async fn too_few_nodes_conclude_nothing(engine: Engine) {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    site.chain
        .grow(&[Change::untold(site.coin.kind, address, 0)]);
    site.follow().await;
    site.chain.silence(true);
    let admin = &site.installation.admin;
    let asked = site.platform().reconcile_now(admin, site.network.id).await;
    assert!(matches!(asked, Err(Error::Nodes(_))), "{asked:?}");
    assert!(matches!(site.reconcile().await, Err(Error::Nodes(_))));
    site.chain.silence(false);
    nothing_concluded(&site, 0).await;
}

async fn an_edited_custody_account_is_refused(engine: Engine) {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    site.chain
        .grow(&[Change::deposit(site.coin.kind, address, 5)]);
    site.follow().await;
    let sql = match engine {
        Engine::Sqlite => {
            "UPDATE ledger_accounts SET pending_debits = x'06' WHERE kind = 'custody'"
        }
        Engine::Postgres => {
            "UPDATE ledger_accounts SET pending_debits = '\\x06' WHERE kind = 'custody'"
        }
    };
    assert_eq!(site.installation.database.tamper(sql).await, 1);
    let round = site.reconcile().await;
    assert!(matches!(round, Err(Error::Integrity { .. })), "{round:?}");
    assert!(site.stored().await.is_empty());
    assert_eq!(site.breaker(&site.coin).await, AssetState::Active);
}

async fn a_removed_custody_account_is_a_drift(engine: Engine) {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    site.chain
        .grow(&[Change::deposit(site.coin.kind, address, 5)]);
    site.follow().await;
    let sql = "DELETE FROM ledger_accounts WHERE kind = 'custody'";
    assert_eq!(site.installation.database.tamper(sql).await, 1);
    assert_eq!(site.states().await, [Drift, Matched]);
    assert_eq!(site.breaker(&site.coin).await, AssetState::Tripped);
}

async fn an_asset_off_the_list_is_not_compared(engine: Engine) {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    let change = coffer_platform::AssetChange {
        enabled: Some(false),
        reason: Some("not ours".to_owned()),
        ..Default::default()
    };
    let admin = &site.installation.admin;
    let off = site
        .platform()
        .set_asset(admin, site.token.id, change)
        .await;
    assert_eq!(off.expect("set").state, AssetState::Disabled);
    site.chain
        .grow(&[Change::deposit(site.token.kind, address, 5)]);
    site.follow().await;
    let lines = site.reconcile().await.expect("a round").expect("a block");
    let assets: Vec<_> = lines.iter().map(|line| line.asset).collect();
    assert_eq!(assets, [site.coin.id]);
}
