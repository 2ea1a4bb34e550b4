//! The same on a real node, asked as in production: native coin, a token, value moved inside a contract.

use std::sync::Arc;

use coffer_domain::deposit::DepositState::{Confirmed, Retracted};
use coffer_domain::ledger::AccountKind::Customer;
use coffer_domain::network::{Network, NodeUrl};
use coffer_nodes::evm::EvmSource;
use coffer_nodes::{ChainSource, Limits, NodeError};
use coffer_platform::{Followed, SourceFactory};
use coffer_testkit::Engine;
use coffer_testkit::anvil::{Anvil, Arg, Options, Placed};
use ruint::aliases::U256;

use super::site::{Site, depth, settings};
use crate::scene::on_both_engines;

on_both_engines!(coin_token_and_internal_value_through_a_reorganization);

struct Nodes;

impl SourceFactory for Nodes {
    fn open(&self, network: &Network) -> Result<Arc<dyn ChainSource>, NodeError> {
        let random = Arc::new(|| 4);
        let source = EvmSource::open(network, Limits::default(), random)?;
        Ok(Arc::new(source))
    }
}

async fn coin_token_and_internal_value_through_a_reorganization(engine: Engine) {
    let anvil = Anvil::start(&Options::default()).await.expect("starts");
    let token = anvil.deploy_token("TOK", 6, 1_000_000).await.expect("deployed");
    let sender = anvil.deploy("NativeSender", &[]).await.expect("deployed");
    let mut settings = settings(2, depth(20));
    settings.nodes = vec![NodeUrl {
        rpc: anvil.url().to_owned(),
        websocket: None,
    }];
    let site = Site::over(engine, settings, Arc::new(Nodes)).await;
    let listed = site.token(&token.address).await;
    let (_, address) = site.wallet("customer").await;
    let to = format!("0x{}", hex::encode(address.bytes()));
    site.follow().await;
    let owner = anvil.accounts[0].clone();
    anvil.send_native(&owner, &to, 1000).await.expect("sent");
    anvil.transfer(&token, &owner, &to, 55).await.expect("sent");
    anvil
        .pay(300, &sender, "send", &[Arg::address(&to)])
        .await
        .expect("sent");
    // It stays out of the chain until the reorganization brings it back.
    let raw = anvil
        .sign(&anvil.accounts[1], serde_json::json!({ "to": to, "value": "0x7d0" }))
        .await
        .expect("signed");
    anvil.send_raw(&raw).await.expect("sent");
    anvil.mine(2).await.expect("mined");
    assert_eq!(site.follow().await, Followed::Idle);
    let mut units: Vec<U256> = site.deposits().await.iter().map(|d| d.units).collect();
    units.sort_unstable();
    assert_eq!(units, [55, 300, 1000, 2000].map(U256::from));
    assert_eq!(site.states().await, [Confirmed; 4]);
    assert_eq!(site.sums(Customer).await.0, U256::from(3300));

    let back = Placed { raw, block: 1 };
    anvil.reorg(2, &[back]).await.expect("reorganized");
    anvil.mine(1).await.expect("mined");
    assert_eq!(site.follow().await, Followed::Idle);
    let deposits = site.deposits().await;
    let confirmed: Vec<_> = deposits.iter().filter(|d| d.state == Confirmed).collect();
    assert_eq!(confirmed.len(), 1, "{deposits:?}");
    assert_eq!((confirmed[0].units, confirmed[0].inclusion), (U256::from(2000), 2));
    assert_eq!(deposits.iter().filter(|d| d.state == Retracted).count(), 3);
    assert_eq!(site.sums(Customer).await, (U256::from(2000), U256::ZERO));
    let held: Vec<_> = deposits.iter().filter(|d| d.asset == listed.id).collect();
    assert_eq!(held.len(), 1);
}
