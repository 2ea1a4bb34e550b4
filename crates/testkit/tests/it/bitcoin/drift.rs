//! One satoshi between ledger and chain, too many or too few, is found by the background within two blocks and stops
//! the asset; every row is as Coffer wrote and sealed it.

use coffer_domain::address::{AddressKind, AddressPayload};
use coffer_domain::asset::AssetState;
use coffer_domain::deposit::DepositState::{Confirmed, Detected};
use coffer_domain::reconciliation::ReconciliationState::{Drift, Matched};
use coffer_domain::reconciliation::{Difference, Reconciliation};
use coffer_domain::wallet::Wallet;
use coffer_platform::AssetChange;
use coffer_testkit::Engine;
use ruint::aliases::U256;
use serde_json::json;

use super::reconcile::signed_outside;
use super::site::{Site, executed};
use crate::scene::on_both_engines;

on_both_engines!(
    a_satoshi_too_many_on_the_chain_is_found_within_two_blocks,
    a_satoshi_too_few_on_the_chain_is_found_within_two_blocks,
);

const DEPOSITED: u64 = 7_000;
/// Blocks within which a difference must be found.
const WITHIN: u32 = 2;

/// A confirmed deposit, at which ledger and chain are equal, and an observer whose wallet stays empty.
async fn begin(engine: Engine) -> (Site, Wallet, [String; 2]) {
    let site = Site::create(engine, 6).await;
    let (wallet, hash, key) = site.wallet("customer").await;
    site.wallet("other").await;
    let sent = site.node.send(&hash, DEPOSITED).await.expect("sent");
    site.mine(2).await;
    assert_eq!(site.state_of(&sent).await, Confirmed);
    assert_eq!(background(&site).await.expect("a round").state, Matched);
    (site, wallet, [hash, key])
}

/// What the background does after a block.
async fn background(site: &Site) -> Option<Reconciliation> {
    let lines = site.platform().reconcile_once(site.network.id).await;
    let mut lines = lines.expect("a round")?;
    assert_eq!(lines.len(), 1);
    Some(lines.remove(0))
}

/// A block that pays one satoshi: less than any node would pass on, and yet valid in a block.
async fn pay_a_satoshi(site: &Site, address: &str) {
    let coin = site.node.spendable().await.expect("has coins").remove(0);
    let outputs = [
        (address.to_owned(), 1),
        (fresh(site).await, coin.sats - 10_001),
    ];
    let signed = site
        .node
        .signed(std::slice::from_ref(&coin), &outputs)
        .await;
    site.node
        .mine_only(&[signed.expect("signed")])
        .await
        .expect("mined");
}

async fn fresh(site: &Site) -> String {
    site.node.new_address().await.expect("an address")
}

async fn set_listed(site: &Site, enabled: bool) {
    let change = AssetChange {
        enabled: Some(enabled),
        ..AssetChange::default()
    };
    let admin = &site.installation.admin;
    let set = site.platform().set_asset(admin, site.coin.id, change).await;
    set.expect("set");
}

/// Makes blocks until the breaker trips; answers the line that tripped it.
async fn found_within_two_blocks(site: &Site) -> Reconciliation {
    for _ in 0..WITHIN {
        if let Some(line) = background(site).await
            && line.state == Drift
        {
            assert_eq!(site.asset_state().await, AssetState::Tripped);
            return line;
        }
        assert_eq!(site.asset_state().await, AssetState::Active);
        site.mine(1).await;
    }
    panic!("not found within {WITHIN} blocks");
}

/// The one difference of a line: whose it is, at which address, and both amounts.
async fn the_difference(site: &Site, line: &Reconciliation) -> Difference {
    let admin = &site.installation.admin;
    let (_, mut differences) = site
        .platform()
        .reconciliation(admin, line.id)
        .await
        .expect("reads");
    assert_eq!(differences.len(), 1);
    differences.remove(0)
}

fn named(wallet: &Wallet, ledger: u64, chain: u64) -> Difference {
    let hash = |payload: &&AddressPayload| payload.kind() == AddressKind::BitcoinP2wpkh;
    Difference {
        wallet: wallet.id,
        address: *wallet.payloads.iter().find(hash).expect("an address"),
        ledger_units: U256::from(ledger),
        chain_units: U256::from(chain),
    }
}

/// A later payment is seen and not credited, until a person has closed the breaker on equal sides.
async fn nothing_is_credited(site: &Site, address: &str) {
    let sent = site.node.send(address, 5_000).await.expect("sent");
    site.mine(3).await;
    assert_eq!(site.state_of(&sent).await, Detected);
}

async fn a_satoshi_too_many_on_the_chain_is_found_within_two_blocks(engine: Engine) {
    let (site, wallet, [hash, key]) = begin(engine).await;
    // While the asset is off the list nothing is looked for, and nothing is compared.
    set_listed(&site, false).await;
    pay_a_satoshi(&site, &key).await;
    site.follow().await;
    set_listed(&site, true).await;
    let line = found_within_two_blocks(&site).await;
    let difference = the_difference(&site, &line).await;
    assert_eq!(difference, named(&wallet, DEPOSITED, DEPOSITED + 1));
    nothing_is_credited(&site, &hash).await;
}

async fn a_satoshi_too_few_on_the_chain_is_found_within_two_blocks(engine: Engine) {
    let (site, wallet, [hash, _]) = begin(engine).await;
    pay_a_satoshi(&site, &hash).await;
    site.mine(1).await;
    assert_eq!(background(&site).await.expect("a round").state, Matched);
    let deposits = site.deposits().await;
    let satoshi = deposits.iter().find(|one| one.units == U256::ONE);
    let satoshi = satoshi.expect("a deposit of one satoshi");
    assert_eq!(satoshi.state, Confirmed);
    // Whoever has the customer's key gives it to the block's maker.
    let spend = signed_outside(&site, satoshi, json!([{ "data": "c0ffee" }])).await;
    site.node.mine_only(&[spend]).await.expect("mined");
    site.follow().await;
    let line = found_within_two_blocks(&site).await;
    let difference = the_difference(&site, &line).await;
    assert_eq!(difference, named(&wallet, DEPOSITED + 1, DEPOSITED));
    assert_eq!(site.outputs("spent_height IS NOT NULL").await, 1);
    nothing_is_credited(&site, &hash).await;
    a_breaker_closed_in_haste_trips_again(&site).await;
}

/// A person who closes the breaker although the satoshi is still gone sees it trip at the next block.
async fn a_breaker_closed_in_haste_trips_again(site: &Site) {
    let admin = &site.installation.admin;
    let closed = site
        .platform()
        .close_breaker(admin, site.coin.id, "looked at in haste", None)
        .await;
    assert_eq!(executed(closed.expect("closed")).state, AssetState::Active);
    site.mine(1).await;
    found_within_two_blocks(site).await;
}
