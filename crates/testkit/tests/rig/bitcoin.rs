//! The Bitcoin node does what tests ask of it.

use anyhow::Result;
use coffer_testkit::anvil::Rpc;
use coffer_testkit::bitcoind::{Bitcoind, COIN, Options};
use coffer_testkit::lying_node::{BitcoinLie, Fault, LyingNode};
use serde_json::json;

#[tokio::test]
async fn blocks_deposits_and_forks_are_made_as_asked() -> Result<()> {
    let one = Bitcoind::start(&Options::default()).await?;
    one.fund(2).await?;
    assert_eq!(one.head().await?.0, 102);
    let to = one.new_address().await?;
    let sent = one.send(&to, COIN + 1).await?;
    let block = one.mine(1).await?.remove(0);
    let shown = one.rpc().call("getblock", json!([block])).await?;
    assert_eq!(shown["tx"][1], json!(sent));

    one.invalidate(&block).await?;
    assert_eq!(one.head().await?.0, 102);
    let pool = one.rpc().call("getrawmempool", json!([])).await?;
    assert_eq!(pool, json!([sent]));
    let empty = one.mine_only(&[]).await?;
    assert_eq!(one.hash_at(103).await?, empty);
    assert_ne!(empty, block);
    Ok(())
}

#[tokio::test]
async fn two_nodes_part_and_take_the_longer_chain_when_they_meet() -> Result<()> {
    let options = Options::default();
    let (one, two) = tokio::try_join!(Bitcoind::start(&options), Bitcoind::start(&options))?;
    one.join(&two).await?;
    one.mine(3).await?;
    one.join(&two).await?;
    one.part().await?;
    let lost = one.mine(1).await?.remove(0);
    two.mine(2).await?;
    assert_ne!(one.head().await?, two.head().await?);
    one.join(&two).await?;
    assert_eq!(one.head().await?.0, 5);
    assert_ne!(one.hash_at(4).await?, lost);
    Ok(())
}

#[tokio::test]
async fn a_cookie_opens_the_node_as_a_password_does() -> Result<()> {
    let options = Options {
        cookie: true,
        ..Options::default()
    };
    let node = Bitcoind::start(&options).await?;
    assert!(node.credentials().starts_with("__cookie__:"));
    assert_eq!(node.head().await?.0, 0);
    Ok(())
}

/// What each lie is asked about, and what only it says.
#[tokio::test]
async fn every_lie_about_bitcoin_is_really_told() -> Result<()> {
    let node = Bitcoind::start(&Options::default()).await?;
    node.fund(3).await?;
    let to = node.new_address().await?;
    for sats in [20_000, 30_000] {
        node.send(&to, sats).await?;
    }
    let hash = node.mine(1).await?.remove(0);
    let (height, _) = node.head().await?;
    let proxy = LyingNode::start(&node.url_with_credentials()).await?;
    let rpc = Rpc::new(&proxy.url());
    let script = node.rpc().call("validateaddress", json!([to])).await?["scriptPubKey"].clone();
    let ours = script.as_str().expect("a script");
    let scan = json!(["start", [format!("raw({ours})")]]);
    let questions = [
        ("getblockhash", json!([height])),
        ("getblock", json!([hash, 0])),
        ("scantxoutset", scan),
    ];
    let lies = BitcoinLie::all(height, ours);
    assert_eq!(lies.len(), 20);
    for lie in lies {
        let fault = Fault::Bitcoin(lie);
        proxy.set(fault.clone());
        let mut differ = 0;
        for (method, params) in &questions {
            let truth = node.rpc().call(method, params.clone()).await?;
            let told = rpc.call(method, params.clone()).await?;
            differ += u64::from(truth != told);
        }
        assert!(differ > 0, "{}", fault.name());
        assert_eq!(proxy.told_of(&fault), differ, "{}", fault.name());
    }
    proxy.set(Fault::Bitcoin(BitcoinLie::Branch(height, ours.to_owned())));
    a_branch_is_right_in_itself(&rpc, (height, ours)).await?;
    proxy.set(Fault::Lag(2));
    let info = rpc.call("getblockchaininfo", json!([])).await?;
    assert_eq!(info["blocks"], json!(height - 2));
    assert!(rpc.call("getblockhash", json!([height])).await.is_err());
    for (fault, method, params) in [
        (Fault::Ahead(7), "getblockchaininfo", json!([])),
        (Fault::ChainId(1), "getblockchaininfo", json!([])),
        (Fault::Genesis, "getblockhash", json!([0])),
    ] {
        proxy.set(fault.clone());
        rpc.call(method, params).await?;
        assert_eq!(proxy.told_of(&fault), 1, "{}", fault.name());
    }
    Ok(())
}

/// Its block hashes to what it says, with work, has the root of what it holds, and pays whom it should.
async fn a_branch_is_right_in_itself(rpc: &Rpc, (height, ours): (u64, &str)) -> Result<()> {
    let hash = rpc.call("getblockhash", json!([height])).await?;
    let raw = rpc.call("getblock", json!([hash, 0])).await?;
    let raw = raw.as_str().expect("a raw block");
    let block: bitcoin::Block = bitcoin::consensus::encode::deserialize_hex(raw)?;
    assert_eq!(json!(block.block_hash().to_string()), hash);
    assert!(block.header.target().is_met_by(block.block_hash()));
    assert!(block.check_merkle_root() && block.check_witness_commitment());
    let reward = &block.txdata[0].output[0];
    assert_eq!(reward.script_pubkey.to_hex_string(), ours);
    Ok(())
}
