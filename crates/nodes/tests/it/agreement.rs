//! Heads, hashes and chains, when nodes differ.

use anyhow::Result;
use coffer_domain::block::BlockHeight;
use coffer_domain::network::Finality;
use coffer_nodes::{ChainSource, NodeError};
use coffer_testkit::anvil::{Anvil, Options};
use coffer_testkit::lying_node::Fault;

use crate::bench::{Bench, network, open};

#[tokio::test]
async fn the_head_is_what_k_have_reached() -> Result<()> {
    let bench = Bench::start().await?;
    bench.anvil.mine(100).await?;
    let heads = bench.source.heads().await?;
    assert_eq!(
        (heads.agreed, heads.highest),
        (BlockHeight(100), BlockHeight(100))
    );
    assert_eq!(heads.finalized, Some(BlockHeight(36)));
    bench.nodes[0].set(Fault::Ahead(1_000));
    let heads = bench.source.heads().await?;
    assert_eq!(
        (heads.agreed, heads.highest),
        (BlockHeight(100), BlockHeight(1_100))
    );
    bench.nodes[0].set(Fault::Lag(90));
    bench.nodes[1].set(Fault::Lag(10));
    let heads = bench.source.heads().await?;
    assert_eq!(
        (heads.agreed, heads.highest),
        (BlockHeight(90), BlockHeight(100))
    );
    assert_eq!(bench.source.agreed_hash(BlockHeight(101)).await?, None);
    bench.nodes[1].be_honest();
    bench.anvil.rollback(30).await?;
    assert_eq!(bench.source.heads().await?.agreed, BlockHeight(70));
    let heads: Vec<_> = bench.source.status().iter().map(|node| node.head).collect();
    assert_eq!(heads[2], Some(BlockHeight(70)));
    Ok(())
}

#[tokio::test]
async fn with_two_of_three_down_nothing_is_believed() -> Result<()> {
    let bench = Bench::start().await?;
    bench.anvil.mine(1).await?;
    let at = bench.head().await?;
    for fault in [Fault::Gone, Fault::Unavailable, Fault::Html] {
        bench.nodes[0].set(fault.clone());
        assert_eq!(bench.source.heads().await?.agreed, BlockHeight(1));
        bench.nodes[1].set(fault);
        let heads = bench.source.heads().await;
        assert!(
            matches!(heads, Err(NodeError::NoQuorum { quorum: 2, .. })),
            "{heads:?}"
        );
        let hash = bench.source.agreed_hash(at.height).await;
        assert!(matches!(hash, Err(NodeError::NoQuorum { .. })), "{hash:?}");
        bench.nodes.iter().for_each(|node| node.be_honest());
        // Paced: the nodes rest for at most 50 ms after failures.
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_node_on_another_chain_is_down_until_it_is_back() -> Result<()> {
    let bench = Bench::start().await?;
    bench.anvil.mine(1).await?;
    let genesis = bench.source.connect().await?;
    for fault in [Fault::ChainId(1), Fault::Genesis] {
        bench.nodes[0].set(fault.clone());
        assert_eq!(bench.source.connect().await?, genesis);
        let status = bench.source.status().remove(0);
        let reason = status.last_error.unwrap_or_default();
        assert!(reason.contains("another chain"), "{reason}");
        bench.nodes[1].set(fault);
        let refused = bench.source.connect().await;
        assert!(
            matches!(refused, Err(NodeError::WrongChain(_))),
            "{refused:?}"
        );
        bench.nodes.iter().for_each(|node| node.be_honest());
        assert_eq!(bench.source.connect().await?, genesis);
    }
    Ok(())
}

#[tokio::test]
async fn a_chain_exchanged_behind_the_same_url_is_noticed() -> Result<()> {
    let bench = Bench::start().await?;
    bench.anvil.mine(1).await?;
    bench.source.connect().await?;
    bench.nodes[0].set(Fault::ChainId(1));
    bench.nodes[1].set(Fault::ChainId(1));
    let heads = bench.source.heads().await;
    assert!(matches!(heads, Err(NodeError::WrongChain(_))), "{heads:?}");
    let hash = bench.source.agreed_hash(BlockHeight(1)).await;
    assert!(hash.is_err(), "{hash:?}");
    bench.nodes.iter().for_each(|node| node.be_honest());
    assert_eq!(bench.source.heads().await?.agreed, BlockHeight(1));
    Ok(())
}

#[tokio::test]
async fn a_configured_genesis_is_held_to() -> Result<()> {
    let anvil = Anvil::start(&Options::default()).await?;
    let mut network = network(&[anvil.url().to_owned()], 1, 31337);
    network.settings.finality = Finality::Depth(std::num::NonZeroU32::MIN);
    let genesis = open(&network)?.connect().await?;
    network.settings.genesis = Some(genesis);
    assert_eq!(open(&network)?.connect().await?, genesis);
    network.settings.genesis = Some(coffer_domain::block::BlockHash([1; 32]));
    let refused = open(&network)?.connect().await;
    assert!(
        matches!(refused, Err(NodeError::WrongChain(_))),
        "{refused:?}"
    );
    let heads = open(&network)?.heads().await;
    assert!(heads.is_err(), "{heads:?}");
    Ok(())
}

#[tokio::test]
async fn a_block_that_was_reorganized_away_is_gone() -> Result<()> {
    let bench = Bench::start().await?;
    bench.anvil.mine(5).await?;
    let at = bench.head().await?;
    bench.anvil.reorg(2, &[]).await?;
    let gone = bench.read(at).await;
    assert!(matches!(gone, Err(NodeError::BlockGone { .. })), "{gone:?}");
    let owners = [crate::bench::address(crate::bench::ALICE)];
    let kind = coffer_domain::asset::AssetKind::Native;
    let gone = bench.source.balances(at, &kind, &owners).await;
    assert!(matches!(gone, Err(NodeError::BlockGone { .. })), "{gone:?}");
    Ok(())
}
