//! What blocks bring, told by honest nodes.

use anyhow::Result;
use coffer_domain::asset::AssetKind;
use coffer_nodes::ChainSource;
use coffer_testkit::anvil::Arg;
use ruint::aliases::U256;

use crate::bench::{ALICE, BOB, Bench, address, line, short};

#[tokio::test]
async fn coins_and_tokens_arrive_in_the_order_of_execution() -> Result<()> {
    let mut bench = Bench::start().await?;
    let token = bench.anvil.deploy_token("USD", 6, 1_000_000).await?;
    let other = bench.anvil.deploy_token("USD", 6, 1_000_000).await?;
    bench.allow(&token);
    let payer = bench.anvil.accounts[0].clone();
    bench.anvil.send_native(&payer, ALICE, 5).await?;
    bench.anvil.transfer(&token, &payer, BOB, 70).await?;
    bench.anvil.transfer(&other, &payer, BOB, 99).await?;
    bench.anvil.transfer(&token, &payer, ALICE, 0).await?;
    bench.anvil.send_native(&payer, BOB, 0).await?;
    let movements = bench.mined().await?;
    assert_eq!(
        short(&movements),
        [line("alice", "call:0", 5, 5), line("bob", "log:0", 70, 70)]
    );
    assert_eq!(movements[0].from, Some(address(&payer)));
    let kind = AssetKind::Token(address(&token.address));
    let at = bench.head().await?;
    let owners = [address(BOB), address(ALICE), address(&payer)];
    let balances = bench.source.balances(at, &kind, &owners).await?;
    assert_eq!(balances, [70, 0, 999_930].map(U256::from));
    let facts = bench.source.token_facts(&address(&token.address)).await?;
    assert_eq!((facts.decimals, facts.symbol.as_deref()), (6, Some("USD")));
    Ok(())
}

#[tokio::test]
async fn coins_from_inside_of_contracts_arrive_and_undone_ones_do_not() -> Result<()> {
    let bench = Bench::start().await?;
    let sender = bench.anvil.deploy("NativeSender", &[]).await?;
    bench
        .anvil
        .pay(9, &sender, "send", &[Arg::address(ALICE)])
        .await?;
    let movements = bench.mined().await?;
    assert_eq!(short(&movements), [line("alice", "call:1", 9, 9)]);
    assert_eq!(movements[0].from, Some(address(&sender.address)));
    bench
        .anvil
        .pay(9, &sender, "sendAndFail", &[Arg::address(ALICE)])
        .await?;
    assert_eq!(short(&bench.mined().await?), []);
    let both = Arg::Addresses(vec![ALICE.to_owned(), BOB.to_owned(), ALICE.to_owned()]);
    bench
        .anvil
        .pay(30, &sender, "sendMany", &[both, Arg::Uint(10)])
        .await?;
    assert_eq!(
        short(&bench.mined().await?),
        [
            line("alice", "call:1", 10, 10),
            line("bob", "call:2", 10, 10),
            line("alice", "call:3", 10, 10)
        ]
    );
    let odd = [Arg::address(ALICE), Arg::address(BOB), Arg::Uint(4)];
    bench.anvil.pay(8, &sender, "sendOneUndone", &odd).await?;
    let movements = bench.mined().await?;
    assert_eq!(movements.len(), 1, "{movements:?}");
    assert_eq!(movements[0].to, address(BOB));
    Ok(())
}

#[tokio::test]
async fn balances_are_the_same_with_and_without_multicall() -> Result<()> {
    let bench = Bench::start().await?;
    let payer = bench.anvil.accounts[0].clone();
    // Beyond the precompiled contracts, which refuse coins.
    let numbers = 0xabc_001..=0xabc_258;
    let owners: Vec<String> = numbers.map(|number| format!("0x{number:040x}")).collect();
    for (wei, owner) in (1..).zip(owners.iter().take(5)) {
        bench.anvil.send_native(&payer, owner, wei).await?;
    }
    bench.anvil.mine(1).await?;
    let without = bench.head().await?;
    bench.anvil.deploy_multicall3().await?;
    bench.anvil.mine(1).await?;
    let with = bench.head().await?;
    let payloads: Vec<_> = owners.iter().map(|owner| address(owner)).collect();
    let one = bench
        .source
        .balances(without, &AssetKind::Native, &payloads);
    let other = bench.source.balances(with, &AssetKind::Native, &payloads);
    let (one, other) = (one.await?, other.await?);
    assert_eq!(one, other);
    assert_eq!(one[..6], [1, 2, 3, 4, 5, 0].map(U256::from));
    Ok(())
}
