//! The Bitcoin node does what tests ask of it.

use anyhow::Result;
use coffer_testkit::bitcoind::{Bitcoind, COIN, Options};
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
