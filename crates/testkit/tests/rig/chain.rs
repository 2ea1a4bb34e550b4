use anyhow::{Context, Result};
use coffer_testkit::anvil::{Anvil, Arg, MULTICALL3, Mining, Options, Placed, RpcError, number};
use serde_json::{Value, json};

const SOMEONE: &str = "0x9999999999999999999999999999999999999999";

async fn start() -> Result<Anvil> {
    Anvil::start(&Options::default()).await
}

/// Where a transaction is: height and hash of the block.
async fn place(anvil: &Anvil, transaction: &str) -> Result<Option<(u128, String)>> {
    let Some(receipt) = anvil.receipt(transaction).await? else {
        return Ok(None);
    };
    let hash = receipt["blockHash"].as_str().context("a hash")?.to_owned();
    Ok(Some((number(&receipt["blockNumber"])?, hash)))
}

#[tokio::test]
async fn a_node_ends_with_its_value() -> Result<()> {
    let anvil = start().await?;
    let pid = anvil.pid();
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"))?;
    assert_eq!(name.trim(), "anvil");
    drop(anvil);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    Ok(())
}

#[tokio::test]
async fn options_take_effect() -> Result<()> {
    let options = Options {
        chain_id: 777,
        mining: Mining::Instant,
        genesis_time: Some(1_700_000_000),
        block_seconds: Some(12),
        ..Options::default()
    };
    let (one, two) = (Anvil::start(&options).await?, Anvil::start(&options).await?);
    assert_eq!(
        number(&one.rpc().call("eth_chainId", json!([])).await?)?,
        777
    );
    assert_eq!(one.block(0).await?["hash"], two.block(0).await?["hash"]);
    one.send_native(&one.accounts[0], SOMEONE, 5).await?;
    one.reach(1).await?;
    assert_eq!(number(&one.head().await?["timestamp"])?, 1_700_000_012);
    Ok(())
}

#[tokio::test]
async fn a_deposit_disappears_and_comes_back_in_another_block() -> Result<()> {
    let anvil = start().await?;
    let payment = json!({ "to": SOMEONE, "value": "0x7" });
    let raw = anvil.sign(&anvil.accounts[1], payment).await?;
    let hash = anvil.send_raw(&raw).await?;
    anvil.mine(3).await?;
    let first = place(&anvil, &hash).await?.context("it is in a block")?;
    assert_eq!(first.0, 1);

    anvil.reorg(3, &[]).await?;
    assert_eq!(anvil.height().await?, 3);
    assert_eq!(place(&anvil, &hash).await?, None);
    assert_eq!(anvil.balance(SOMEONE).await?, 0);
    let orphan = anvil
        .rpc()
        .call("eth_getBlockByHash", json!([first.1, false]))
        .await?;
    assert_eq!(orphan, Value::Null);
    let at_orphan = json!([SOMEONE, { "blockHash": first.1 }]);
    let error = anvil
        .rpc()
        .call("eth_getBalance", at_orphan)
        .await
        .expect_err("an orphan");
    assert_eq!(
        error.downcast_ref::<RpcError>().map(|error| error.code),
        Some(-32001)
    );

    anvil
        .reorg(
            2,
            &[Placed {
                raw: raw.clone(),
                block: 1,
            }],
        )
        .await?;
    let second = place(&anvil, &hash).await?.context("it is back")?;
    assert_eq!(second.0, 3);
    assert_ne!(second.1, first.1);
    assert_eq!(anvil.balance(SOMEONE).await?, 7);

    anvil.reorg(1, &[]).await?;
    assert_eq!(anvil.send_raw(&raw).await?, hash);
    anvil.mine(1).await?;
    assert_eq!(place(&anvil, &hash).await?.map(|place| place.0), Some(4));
    Ok(())
}

#[tokio::test]
async fn a_reorganization_can_change_the_index_of_a_log() -> Result<()> {
    let anvil = start().await?;
    let token = anvil.deploy_token("USDX", 6, 1_000).await?;
    let owner = &anvil.accounts[0];
    anvil
        .transfer(&token, owner, &anvil.accounts[2], 100)
        .await?;
    anvil.mine(1).await?;
    let mut raws = Vec::new();
    for from in [owner, &anvil.accounts[2]] {
        let request = token.request("transfer", &[Arg::address(SOMEONE), Arg::Uint(40)])?;
        raws.push(anvil.sign(from, request).await?);
    }
    let mut hashes = Vec::new();
    for raw in &raws {
        hashes.push(anvil.send_raw(raw).await?);
    }
    anvil.mine(1).await?;
    let index = async |hash: &str| -> Result<u128> {
        let receipt = anvil.receipt(hash).await?.context("it is in a block")?;
        number(&receipt["logs"][0]["logIndex"])
    };
    assert_eq!((index(&hashes[0]).await?, index(&hashes[1]).await?), (0, 1));
    let swapped = [1, 0].map(|at: usize| Placed {
        raw: raws[at].clone(),
        block: 0,
    });
    anvil.reorg(1, &swapped).await?;
    assert_eq!((index(&hashes[0]).await?, index(&hashes[1]).await?), (1, 0));
    assert_eq!(anvil.token_balance(&token, SOMEONE).await?, 80);
    Ok(())
}

#[tokio::test]
async fn the_chain_goes_back_by_rollback_and_by_snapshot() -> Result<()> {
    let anvil = start().await?;
    anvil.mine(10).await?;
    let kept = anvil.block(6).await?;
    anvil.rollback(4).await?;
    assert_eq!(anvil.head().await?["hash"], kept["hash"]);
    let mark = anvil.snapshot().await?;
    anvil.send_native(&anvil.accounts[0], SOMEONE, 9).await?;
    anvil.mine(2).await?;
    assert_eq!(anvil.balance(SOMEONE).await?, 9);
    anvil.revert(&mark).await?;
    assert_eq!(
        (anvil.height().await?, anvil.balance(SOMEONE).await?),
        (6, 0)
    );
    Ok(())
}

#[tokio::test]
async fn multicall_reads_many_balances_of_an_old_block() -> Result<()> {
    let anvil = start().await?;
    let multicall = anvil.deploy_multicall3().await?;
    anvil.send_native(&anvil.accounts[0], SOMEONE, 9).await?;
    anvil.mine(1).await?;
    let old = anvil.head().await?["hash"].clone();
    anvil.send_native(&anvil.accounts[0], SOMEONE, 1).await?;
    anvil.mine(1).await?;
    let ask = multicall.encode("getEthBalance", &[Arg::address(SOMEONE)])?;
    let calls = vec![
        (MULTICALL3.to_owned(), false, ask),
        (MULTICALL3.to_owned(), true, vec![1, 2, 3, 4]),
    ];
    let request = multicall.request("aggregate3", &[Arg::Calls(calls)])?;
    let at = json!([request, { "blockHash": old }]);
    let answer = anvil.rpc().call("eth_call", at).await?;
    let words = hex::decode(answer.as_str().context("bytes")?.trim_start_matches("0x"))?;
    // offset, count 2, two offsets, then per result: success, offset, length, data.
    let word = |at: usize| words[at * 32 + 31];
    assert_eq!((word(1), word(4), word(6), word(7)), (2, 1, 32, 9));
    assert_eq!((word(8), word(10)), (0, 0));
    Ok(())
}

#[tokio::test]
async fn whoever_makes_the_block_is_paid() -> Result<()> {
    let anvil = start().await?;
    anvil.set_coinbase(SOMEONE).await?;
    let fields = json!({ "to": anvil.accounts[1], "value": "0x1", "maxPriorityFeePerGas": "0x5" });
    anvil.send(&anvil.accounts[0], fields).await?;
    anvil.mine(1).await?;
    assert_eq!(anvil.balance(SOMEONE).await?, 21_000 * 5);
    Ok(())
}
