//! Ledger, our own record of outputs and the node's set of unspent outputs say the same, or the breaker trips.

use std::str::FromStr;

use bitcoin::bip32::{DerivationPath, Xpriv};
use bitcoin::secp256k1::Secp256k1;
use coffer_domain::asset::AssetState;
use coffer_domain::deposit::Deposit;
use coffer_domain::reconciliation::ReconciliationState::{Drift, Matched};
use coffer_testkit::Engine;
use coffer_testkit::bitcoind::COIN;
use ruint::aliases::U256;
use serde_json::json;

use super::site::Site;
use crate::scene::on_both_engines;

on_both_engines!(
    ledger_record_and_node_agree_to_the_satoshi,
    a_coin_that_somebody_else_spends_is_a_drift,
    one_satoshi_too_many_in_the_record_is_a_drift,
    an_output_that_no_block_of_ours_made_is_a_drift,
    a_block_that_the_node_went_on_from_is_compared_by_our_own_record,
);

/// BIP-39 seed of the words that every installation of the tests has.
const SEED: &str = "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc19a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4";

/// Spends the customer's only output with the customer's key, past Coffer; answers the transaction.
pub(super) async fn spend_outside(site: &Site, sats: u64) -> String {
    let deposit = site.deposits().await.remove(0);
    let to = site.node.new_address().await.expect("an address");
    let amount = format!("{}.{:08}", sats / COIN, sats % COIN);
    let raw = signed_outside(site, &deposit, json!([{ to: amount }])).await;
    site.node.send_raw(&raw).await.expect("sent")
}

/// A transaction that spends a deposit's output with the customer's key, past Coffer; nobody saw it yet.
pub(super) async fn signed_outside(
    site: &Site,
    deposit: &Deposit,
    outputs: serde_json::Value,
) -> String {
    let index = deposit.wallet.index_in(site.installation.vault);
    let index = index.expect("a wallet of the vault");
    let seed = hex::decode(SEED).expect("hexadecimal");
    let master = Xpriv::new_master(bitcoin::Network::Regtest, &seed).expect("a seed");
    let path = format!("m/84'/0'/0'/0/{index}");
    let path = DerivationPath::from_str(&path).expect("a path");
    let key = master
        .derive_priv(&Secp256k1::new(), &path)
        .expect("derives");
    let input = json!([{
        "txid": hex::encode(deposit.movement.transaction.0),
        "vout": deposit.movement.part.output().expect("an output"),
    }]);
    let rpc = site.node.rpc();
    let raw = rpc.call("createrawtransaction", json!([input, outputs]));
    let raw = raw.await.expect("made");
    let keys = json!([raw, [key.to_priv().to_wif()]]);
    let signed = rpc.call("signrawtransactionwithkey", keys).await;
    let signed = signed.expect("signed");
    assert_eq!(signed["complete"], json!(true), "{signed}");
    signed["hex"].as_str().expect("a text").to_owned()
}

async fn ledger_record_and_node_agree_to_the_satoshi(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (_, hash, key) = site.wallet("customer").await;
    let (_, other, _) = site.wallet("other").await;
    let outputs = [(hash, 12_345_678), (key, 9_999), (other, 7_001)];
    site.node.send_many(&outputs).await.expect("sent");
    site.mine(1).await;
    let line = site.reconcile().await;
    assert_eq!(line.state, Matched);
    assert_eq!(line.addresses, 2, "wallets, each with its two addresses");
    let sum = U256::from(12_345_678 + 9_999 + 7_001);
    assert_eq!((line.ledger_units, line.chain_units), (sum, sum));
}

async fn a_coin_that_somebody_else_spends_is_a_drift(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (_, hash, _) = site.wallet("customer").await;
    site.node.send(&hash, 7_000).await.expect("sent");
    site.mine(2).await;
    assert_eq!(site.reconcile().await.state, Matched);
    spend_outside(&site, 6_000).await;
    site.mine(1).await;
    let line = site.reconcile().await;
    assert_eq!((line.state, line.differing), (Drift, 1));
    assert_eq!(line.chain_units, U256::ZERO);
    assert_eq!(site.asset_state().await, AssetState::Tripped);
    // Nothing more is credited until a person has looked.
    let sent = site.node.send(&hash, 8_000).await.expect("sent");
    site.mine(3).await;
    let state = site.state_of(&sent).await;
    assert_eq!(state, coffer_domain::deposit::DepositState::Detected);
}

async fn one_satoshi_too_many_in_the_record_is_a_drift(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (_, hash, _) = site.wallet("customer").await;
    site.node.send(&hash, 7_000).await.expect("sent");
    site.mine(2).await;
    // A row that was edited is refused, and a row that was taken away is missed.
    let units = match engine {
        Engine::Sqlite => "x'1b59'",
        Engine::Postgres => "'\\x1b59'",
    };
    let edited = format!("UPDATE outputs SET units = {units}");
    assert_eq!(site.installation.database.tamper(&edited).await, 1);
    let admin = &site.installation.admin;
    let round = site.platform().reconcile_now(admin, site.network.id).await;
    assert!(round.is_err(), "{round:?}");
    let removed = site
        .installation
        .database
        .tamper("DELETE FROM outputs")
        .await;
    assert_eq!(removed, 1);
    let line = site.reconcile().await;
    assert_eq!((line.state, line.differing), (Drift, 1));
    assert_eq!(site.asset_state().await, AssetState::Tripped);
}

async fn an_output_that_no_block_of_ours_made_is_a_drift(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (_, hash, _) = site.wallet("customer").await;
    // Before the first block that is looked at there is no room; the watcher is led past one instead.
    site.node.send(&hash, 7_000).await.expect("sent");
    site.mine(1).await;
    site.node.send(&hash, 1_000).await.expect("sent");
    site.node.mine(1).await.expect("mined");
    let admin = &site.installation.admin;
    let off = coffer_platform::AssetChange {
        enabled: Some(false),
        ..coffer_platform::AssetChange::default()
    };
    let set = site.platform().set_asset(admin, site.coin.id, off).await;
    set.expect("off the list");
    site.follow().await;
    let on = coffer_platform::AssetChange {
        enabled: Some(true),
        ..coffer_platform::AssetChange::default()
    };
    let set = site.platform().set_asset(admin, site.coin.id, on).await;
    set.expect("on the list again");
    let line = site.reconcile().await;
    assert_eq!((line.state, line.differing), (Drift, 1));
    assert_eq!(line.chain_units, U256::from(8_000));
}

async fn a_block_that_the_node_went_on_from_is_compared_by_our_own_record(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (_, hash, _) = site.wallet("customer").await;
    site.node.send(&hash, 7_000).await.expect("sent");
    site.mine(1).await;
    site.node.mine(1).await.expect("mined");
    let line = site.reconcile().await;
    assert_eq!(line.state, Matched);
    assert_eq!(line.chain_units, U256::from(7_000));
    let removed = site
        .installation
        .database
        .tamper("DELETE FROM outputs")
        .await;
    assert_eq!(removed, 1);
    assert_eq!(site.reconcile().await.state, Drift);
}
