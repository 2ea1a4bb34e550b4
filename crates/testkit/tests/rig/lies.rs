//! Each lie about the chain is told, counted, and only where it should be.

use anyhow::{Context, Result};
use coffer_testkit::anvil::{Arg, MULTICALL3, RpcError, number};
use coffer_testkit::lying_node::{
    FORGED, Fault, Invention, Lie, header_hash, receipts_bloom, receipts_root,
};
use serde_json::{Value, json};

use super::{DEPOSITS, OTHER, OURS, Scene};

fn count(value: &Value) -> usize {
    value.as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn an_honest_proxy_changes_nothing() -> Result<()> {
    let scene = Scene::new().await?;
    let calls = [
        ("eth_getBlockByHash", json!([scene.hash, true])),
        ("eth_getBlockReceipts", json!([scene.hash])),
        ("debug_traceBlockByHash", scene.traces()),
        ("eth_getBalance", json!([OURS, { "blockHash": scene.hash }])),
        ("eth_noSuchMethod", json!([])),
    ];
    let through = scene.rpc.batch(&calls).await?;
    assert_eq!(through, scene.anvil.rpc().batch(&calls).await?);
    assert_eq!(through.len(), calls.len());
    let (status, text) = scene.rpc.post_bytes(b"{".to_vec()).await?;
    assert_eq!((status, text.contains("-32600")), (200, true));
    assert!(scene.node.told().is_empty());
    assert_eq!(scene.node.asked()["eth_getBalance"], 1);
    Ok(())
}

#[tokio::test]
async fn three_proxies_are_three_nodes() -> Result<()> {
    let scene = Scene::new().await?;
    let second = coffer_testkit::LyingNode::start(scene.anvil.url()).await?;
    let second_rpc = coffer_testkit::anvil::Rpc::new(&second.url());
    scene.node.set(Fault::ChainId(5));
    let asked = async |rpc: &coffer_testkit::anvil::Rpc| rpc.call("eth_chainId", json!([])).await;
    assert_eq!(asked(&scene.rpc).await?, "0x5");
    assert_eq!(asked(&second_rpc).await?, "0x7a69");
    assert_eq!(scene.rpc.call("net_version", json!([])).await?, "5");
    scene.node.be_honest();
    assert_eq!(asked(&scene.rpc).await?, "0x7a69");
    Ok(())
}

#[tokio::test]
async fn values_are_forged() -> Result<()> {
    let scene = Scene::new().await?;
    let fault = || Fault::ForgeValue;
    let receipts = json!([scene.hash]);
    let (truth, lie) = scene
        .both(fault(), "eth_getBlockReceipts", receipts.clone())
        .await?;
    let value = |receipts: &Value| number(&receipts[0]["logs"][0]["data"]);
    assert_eq!((value(&truth)?, value(&lie)?), (100, 100 + FORGED));
    let block = scene.anvil.block(DEPOSITS).await?;
    let root = |receipts: &Value| receipts_root(receipts.as_array().context("receipts")?);
    assert_eq!(block["receiptsRoot"], root(&truth)?);
    assert_ne!(block["receiptsRoot"], root(&lie)?);

    let (truth, lie) = scene
        .both(fault(), "eth_getBalance", json!([OURS, "latest"]))
        .await?;
    assert_eq!((number(&truth)?, number(&lie)?), (7, 7 + FORGED));
    let (_, lie) = scene
        .both(fault(), "debug_traceBlockByHash", scene.traces())
        .await?;
    assert_eq!(number(&lie[1]["result"]["value"])?, 7 + FORGED);
    let (_, lie) = scene
        .both(fault(), "eth_getBlockByHash", json!([scene.hash, true]))
        .await?;
    assert_eq!(number(&lie["transactions"][1]["value"])?, 7 + FORGED);
    let ask = scene.token.request("balanceOf", &[Arg::address(OURS)])?;
    let (_, lie) = scene
        .both(fault(), "eth_call", json!([ask, "latest"]))
        .await?;
    assert_eq!(number(&lie)?, 100 + FORGED);
    assert_eq!(scene.told(&fault()), 5);

    // About one address only.
    let lie = Lie::from(fault()).about(OTHER);
    let (truth, lie) = scene.both(lie, "eth_getBlockReceipts", receipts).await?;
    assert_eq!(truth[0], lie[0]);
    assert_ne!(truth[2], lie[2]);
    let lie = Lie::from(fault()).about(OTHER);
    let (truth, lie) = scene
        .both(lie, "eth_getBalance", json!([OURS, "latest"]))
        .await?;
    assert_eq!(truth, lie);
    Ok(())
}

#[tokio::test]
async fn headers_are_forged() -> Result<()> {
    let scene = Scene::new().await?;
    let block = json!([scene.hash, false]);
    let (truth, lie) = scene
        .both(Fault::ForgeHeader, "eth_getBlockByHash", block)
        .await?;
    assert_eq!(truth["hash"], lie["hash"]);
    assert_ne!(
        header_hash(&lie)?,
        truth["hash"].as_str().context("a hash")?
    );

    let genesis = json!(["0x0", false]);
    let (truth, lie) = scene
        .both(Fault::Genesis, "eth_getBlockByNumber", genesis)
        .await?;
    assert_ne!(truth["hash"], lie["hash"]);
    assert_eq!(lie["hash"], header_hash(&lie)?);
    assert_eq!(
        (scene.told(&Fault::ForgeHeader), scene.told(&Fault::Genesis)),
        (1, 1)
    );
    Ok(())
}

#[tokio::test]
async fn things_are_hidden() -> Result<()> {
    let scene = Scene::new().await?;
    let receipts = || json!([scene.hash]);
    let (_, lie) = scene
        .both(Fault::HideLogs, "eth_getBlockReceipts", receipts())
        .await?;
    assert_eq!((count(&lie), count(&lie[0]["logs"])), (4, 0));
    let logs = || json!([{ "blockHash": scene.hash }]);
    let (truth, lie) = scene.both(Fault::HideLogs, "eth_getLogs", logs()).await?;
    assert_eq!((count(&truth), count(&lie)), (2, 0));
    let about = Lie::from(Fault::HideLogs).about(OURS);
    let (_, lie) = scene.both(about, "eth_getLogs", logs()).await?;
    assert_eq!(count(&lie), 1);
    assert!(lie.to_string().contains(OTHER.trim_start_matches("0x")));
    let (_, lie) = scene.both(Fault::CapLogs(1), "eth_getLogs", logs()).await?;
    assert_eq!(count(&lie), 1);
    let about = Lie::from(Fault::HideReceipts).about(OURS);
    let (_, lie) = scene
        .both(about, "eth_getBlockReceipts", receipts())
        .await?;
    assert_eq!(count(&lie), 2);
    let block = json!([scene.hash, true]);
    let about = Lie::from(Fault::HideTransactions).about(OTHER);
    let (truth, lie) = scene.both(about, "eth_getBlockByHash", block).await?;
    assert_eq!(
        (count(&truth["transactions"]), count(&lie["transactions"])),
        (4, 2)
    );
    let about = Lie::from(Fault::HideTraces).about(OURS);
    let (truth, lie) = scene
        .both(about, "debug_traceBlockByHash", scene.traces())
        .await?;
    assert_eq!((count(&truth), count(&lie)), (4, 2));
    let (_, lie) = scene
        .both(Fault::HideTraces, "debug_traceBlockByHash", scene.traces())
        .await?;
    assert_eq!(count(&lie), 0);
    let (_, lie) = scene
        .both(Fault::Unknown, "eth_getBlockReceipts", receipts())
        .await?;
    assert_eq!(lie, Value::Null);
    let told = scene.node.told();
    assert_eq!(
        (told["hide-logs"], told["cap-logs"], told["hide-receipts"]),
        (3, 1, 1)
    );
    assert_eq!(
        (
            told["hide-transactions"],
            told["hide-traces"],
            told["unknown"]
        ),
        (1, 2, 1)
    );
    Ok(())
}

#[tokio::test]
async fn the_head_is_another() -> Result<()> {
    let scene = Scene::new().await?;
    assert_eq!(scene.anvil.height().await?, DEPOSITS + 5);
    let head = async || number(&scene.rpc.call("eth_blockNumber", json!([])).await?);
    scene.node.set(Fault::Lag(6));
    let lagging = u128::from(DEPOSITS) - 1;
    assert_eq!(head().await?, lagging);
    let latest = scene
        .rpc
        .call("eth_getBlockByNumber", json!(["latest", false]))
        .await?;
    assert_eq!(number(&latest["number"])?, lagging);
    let balance = scene
        .rpc
        .call("eth_getBalance", json!([OURS, "latest"]))
        .await?;
    assert_eq!(number(&balance)?, 0);
    let questions = [
        ("eth_getBlockByHash", json!([scene.hash, false])),
        ("eth_getBlockReceipts", json!([scene.hash])),
    ];
    for (method, params) in questions {
        assert_eq!(
            scene.rpc.call(method, params).await?,
            Value::Null,
            "{method}"
        );
    }
    let logs = json!([{ "fromBlock": "0x0", "toBlock": "latest", "address": scene.token.address }]);
    // The mint alone.
    assert_eq!(count(&scene.rpc.call("eth_getLogs", logs).await?), 1);

    scene.node.set(Fault::Backwards(4));
    let mut heads = Vec::new();
    for _ in 0..4 {
        heads.push(head().await?);
    }
    let truth = u128::from(DEPOSITS) + 5;
    heads.sort_unstable();
    assert_eq!(heads, [truth - 4, truth - 4, truth, truth]);

    scene.node.set(Fault::Ahead(100));
    assert_eq!(head().await?, truth + 100);
    assert!(scene.told(&Fault::Lag(0)) >= 5);
    assert_eq!(
        (
            scene.told(&Fault::Backwards(0)),
            scene.told(&Fault::Ahead(0))
        ),
        (2, 1)
    );
    Ok(())
}

/// Follows the liar's chain from its head to genesis: every header hashes to its name, every parent is there.
async fn walk(scene: &Scene) -> Result<Vec<Value>> {
    let mut blocks = Vec::new();
    let mut block = scene
        .rpc
        .call("eth_getBlockByNumber", json!(["latest", false]))
        .await?;
    loop {
        assert_eq!(block["hash"], header_hash(&block)?);
        let receipts = scene
            .rpc
            .call("eth_getBlockReceipts", json!([block["hash"]]))
            .await?;
        let receipts = receipts.as_array().context("receipts")?;
        assert_eq!(block["receiptsRoot"], receipts_root(receipts)?);
        assert_eq!(block["logsBloom"], receipts_bloom(receipts));
        assert!(
            receipts
                .iter()
                .all(|receipt| receipt["blockHash"] == block["hash"])
        );
        let height = number(&block["number"])?;
        let parent = json!([block["parentHash"], false]);
        blocks.push(block);
        if height == 0 {
            blocks.reverse();
            return Ok(blocks);
        }
        block = scene.rpc.call("eth_getBlockByHash", parent).await?;
    }
}

#[tokio::test]
async fn a_fork_is_consistent_in_itself() -> Result<()> {
    let scene = Scene::new().await?;
    let mut truth = Vec::new();
    for height in 0..=scene.anvil.height().await? {
        truth.push(scene.anvil.block(height).await?["hash"].clone());
    }
    for (fault, value) in [
        (Fault::Fork(DEPOSITS), 100),
        (Fault::ForgedFork(DEPOSITS), 100 + FORGED),
    ] {
        scene.node.set(fault.clone());
        let chain = walk(&scene).await?;
        assert_eq!(chain.len(), truth.len());
        for (height, (block, truth)) in chain.iter().zip(&truth).enumerate() {
            let forked = height as u64 >= DEPOSITS;
            assert_eq!(block["hash"] != *truth, forked, "block {height}");
        }
        let hash = &chain[DEPOSITS as usize]["hash"];
        let logs = scene
            .rpc
            .call("eth_getLogs", json!([{ "blockHash": hash }]))
            .await?;
        assert_eq!(number(&logs[0]["data"])?, value);
        assert_eq!(logs[0]["blockHash"], *hash);
        let balance = json!([OURS, { "blockHash": hash }]);
        assert_eq!(
            number(&scene.rpc.call("eth_getBalance", balance).await?)?,
            7
        );
        // Six headers, the receipts and the logs of one block.
        assert_eq!(scene.told(&fault), 8);
    }
    // It follows a reorganization of the true chain.
    scene.anvil.reorg(3, &[]).await?;
    assert_eq!(walk(&scene).await?.len(), truth.len());
    Ok(())
}

#[tokio::test]
async fn a_deposit_is_invented() -> Result<()> {
    let scene = Scene::new().await?;
    let invention = || Invention {
        token: scene.token.address.clone(),
        to: OURS.to_owned(),
        units: 5_000,
    };
    let fault = Fault::Invent(invention());
    let receipts = json!([scene.hash]);
    let (truth, lie) = scene.both(fault, "eth_getBlockReceipts", receipts).await?;
    let log = &lie[3]["logs"][0];
    assert_eq!(
        (count(&truth[3]["logs"]), number(&log["data"])?),
        (0, 5_000)
    );
    assert_eq!(
        (&log["logIndex"], &log["transactionHash"]),
        (&json!("0x2"), &truth[3]["transactionHash"])
    );

    scene.node.set(Fault::InventedFork(DEPOSITS, invention()));
    let chain = walk(&scene).await?;
    let block = &chain[DEPOSITS as usize];
    let receipts = scene
        .rpc
        .call("eth_getBlockReceipts", json!([block["hash"]]))
        .await?;
    assert_eq!(number(&receipts[3]["logs"][0]["data"])?, 5_000);
    assert_eq!(receipts[3]["logs"][0]["blockHash"], block["hash"]);
    let logs = scene
        .rpc
        .call("eth_getLogs", json!([{ "blockHash": block["hash"] }]))
        .await?;
    assert_eq!((count(&logs), number(&logs[2]["data"])?), (3, 5_000));
    let told = scene.node.told();
    assert_eq!((told["invent"], told["invented-fork"] > 0), (1, true));
    Ok(())
}

#[tokio::test]
async fn a_reorganization_comes_between_two_questions() -> Result<()> {
    let scene = Scene::new().await?;
    scene.node.hold("eth_getBlockReceipts");
    let block = scene
        .rpc
        .call("eth_getBlockByHash", json!([scene.hash, false]))
        .await?;
    assert_eq!(block["hash"], scene.hash);
    let question = scene.rpc.call("eth_getBlockReceipts", json!([scene.hash]));
    let between = async {
        scene.node.held().await?;
        scene.anvil.reorg(6, &[]).await?;
        scene.node.release();
        anyhow::Ok(())
    };
    let (receipts, between) = tokio::join!(question, between);
    between?;
    assert_eq!(receipts?, Value::Null);
    Ok(())
}

#[tokio::test]
async fn multicall_answers_are_forged_too() -> Result<()> {
    let scene = Scene::new().await?;
    let multicall = scene.anvil.deploy_multicall3().await?;
    let ask = multicall.encode("getEthBalance", &[Arg::address(OURS)])?;
    let calls = Arg::Calls(vec![(MULTICALL3.to_owned(), false, ask)]);
    let request = json!([multicall.request("aggregate3", &[calls])?, "latest"]);
    let (truth, lie) = scene.both(Fault::ForgeValue, "eth_call", request).await?;
    let last = |answer: &Value| -> Result<u128> {
        let text = answer.as_str().context("bytes")?;
        number(&json!(format!("0x{}", &text[text.len() - 64..])))
    };
    assert_eq!((last(&truth)?, last(&lie)?), (7, 7 + FORGED));
    Ok(())
}

#[tokio::test]
async fn errors_and_lies_by_method_and_by_chance() -> Result<()> {
    let scene = Scene::new().await?;
    scene
        .node
        .set(Lie::from(Fault::Error(-32005)).on("eth_getLogs"));
    scene.rpc.call("eth_blockNumber", json!([])).await?;
    let error = scene
        .rpc
        .call("eth_getLogs", json!([{}]))
        .await
        .expect_err("an error");
    assert_eq!(
        error.downcast_ref::<RpcError>().map(|error| error.code),
        Some(-32005)
    );
    assert_eq!(scene.told(&Fault::Error(0)), 1);

    let mut runs = Vec::new();
    for _ in 0..2 {
        let listen = "127.0.0.1:0".parse()?;
        let node = coffer_testkit::LyingNode::listen(scene.anvil.url(), listen, 42).await?;
        node.set("chain-id=5@eth_chainId~300".parse::<Lie>()?);
        let rpc = coffer_testkit::anvil::Rpc::new(&node.url());
        let mut run = Vec::new();
        for _ in 0..100 {
            run.push(rpc.call("eth_chainId", json!([])).await? == "0x5");
        }
        let lies = run.iter().filter(|lie| **lie).count();
        assert_eq!(node.told()["chain-id"], lies as u64);
        assert!((15..45).contains(&lies), "{lies} of 100");
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    Ok(())
}
