//! One of three nodes lies: nothing that was not comes to be, and what was is found.

use anyhow::Result;
use coffer_domain::asset::AssetKind;
use coffer_nodes::{ChainSource, NodeError};
use coffer_testkit::anvil::Arg;
use coffer_testkit::lying_node::{Fault, Invention, Lie};
use ruint::aliases::U256;

use crate::bench::{ALICE, BOB, Bench, address, line, short};

/// A block with a coin, a coin from inside of a contract, and a token, for ours; read under each lie, which is told
/// first by the node that is asked first, then by each other.
async fn holds_against(lies: Vec<Lie>) -> Result<()> {
    let mut bench = Bench::start().await?;
    let token = bench.anvil.deploy_token("USD", 6, 1_000_000).await?;
    let sender = bench.anvil.deploy("NativeSender", &[]).await?;
    bench.allow(&token);
    let payer = bench.anvil.accounts[0].clone();
    bench.anvil.send_native(&payer, ALICE, 5).await?;
    bench.anvil.transfer(&token, &payer, BOB, 70).await?;
    bench
        .anvil
        .pay(9, &sender, "send", &[Arg::address(BOB)])
        .await?;
    bench.anvil.mine(1).await?;
    let at = bench.head().await?;
    for lie in lies {
        for node in &bench.nodes {
            node.set(lie.clone());
            let read = bench.read(at).await?;
            node.be_honest();
            assert_eq!(
                short(&read.movements),
                [
                    line("alice", "call:0", 5, 5),
                    line("bob", "log:0", 70, 70),
                    line("bob", "call:1", 9, 9)
                ],
                "{lie:?}"
            );
        }
    }
    let told: u64 = bench
        .nodes
        .iter()
        .flat_map(|node| node.told().into_values())
        .sum();
    assert!(told > 0, "no lie was told");
    Ok(())
}

#[tokio::test]
async fn forged_values_are_not_believed() -> Result<()> {
    let everywhere = Lie::from(Fault::ForgeValue);
    let on = |method: &str| Lie::from(Fault::ForgeValue).on(method);
    holds_against(vec![
        everywhere,
        on("eth_getBlockByHash"),
        on("eth_getBlockReceipts"),
        on("debug_traceBlockByHash"),
        on("eth_getBalance"),
        on("eth_call"),
        Fault::ForgeHeader.into(),
    ])
    .await
}

#[tokio::test]
async fn hidden_things_are_found() -> Result<()> {
    holds_against(vec![
        Fault::HideLogs.into(),
        Fault::HideReceipts.into(),
        Fault::HideTransactions.into(),
        Fault::HideTraces.into(),
        Lie::from(Fault::HideTraces).about(BOB),
        Fault::Unknown.into(),
        Fault::CapLogs(0).into(),
    ])
    .await
}

#[tokio::test]
async fn broken_answers_are_asked_of_another() -> Result<()> {
    holds_against(vec![
        Fault::Error(-32005).into(),
        Fault::WrongId.into(),
        Fault::Missing.into(),
        Fault::Shuffled.into(),
        Fault::Html.into(),
        Fault::Unavailable.into(),
        Fault::Truncated.into(),
        Fault::Cut.into(),
        Fault::Gzip.into(),
        Fault::Gone.into(),
        Fault::Redirect("http://127.0.0.1:9/".to_owned()).into(),
    ])
    .await
}

#[tokio::test]
async fn an_invented_deposit_is_not_seen() -> Result<()> {
    let mut bench = Bench::start().await?;
    let token = bench.anvil.deploy_token("USD", 6, 1_000_000).await?;
    bench.allow(&token);
    let invention = Invention {
        token: token.address.clone(),
        to: ALICE.to_owned(),
        units: 1_000_000,
    };
    let payer = bench.anvil.accounts[0].clone();
    for node in 0..3 {
        bench.nodes[node].set(Fault::Invent(invention.clone()));
        bench.anvil.transfer(&token, &payer, BOB, 3).await?;
        assert_eq!(short(&bench.mined().await?), [line("bob", "log:0", 3, 3)]);
        bench.nodes[node].be_honest();
    }
    Ok(())
}

#[tokio::test]
async fn another_chain_of_one_node_is_outvoted_and_of_two_stops_everything() -> Result<()> {
    let bench = Bench::start().await?;
    let payer = bench.anvil.accounts[0].clone();
    bench.anvil.send_native(&payer, ALICE, 5).await?;
    bench.anvil.mine(1).await?;
    let truth = bench.head().await?;
    bench.nodes[0].set(Fault::ForgedFork(1));
    assert_eq!(bench.head().await?, truth);
    assert_eq!(bench.read(truth).await?.movements.len(), 1);
    bench.nodes[1].set(Fault::Gone);
    let stopped = bench.source.agreed_hash(truth.height).await;
    assert!(
        matches!(
            stopped,
            Err(NodeError::NoQuorum {
                agreeing: 1,
                quorum: 2,
                ..
            })
        ),
        "{stopped:?}"
    );
    Ok(())
}

#[tokio::test]
async fn one_wrong_balance_among_many_spoils_none() -> Result<()> {
    let bench = Bench::start().await?;
    let payer = bench.anvil.accounts[0].clone();
    bench.anvil.send_native(&payer, ALICE, 5).await?;
    bench.anvil.mine(1).await?;
    let at = bench.head().await?;
    bench.nodes[0].set(Lie::from(Fault::ForgeValue).about(ALICE));
    bench.nodes[1].set(Lie::from(Fault::ForgeValue).about(BOB));
    let owners = [address(ALICE), address(BOB)];
    let balances = bench
        .source
        .balances(at, &AssetKind::Native, &owners)
        .await?;
    assert_eq!(balances, [5, 0].map(U256::from));
    Ok(())
}
