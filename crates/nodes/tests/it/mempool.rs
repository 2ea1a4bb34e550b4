//! Mempools: three nodes of which two must agree, one real node behind all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use coffer_domain::asset::AssetKind;
use coffer_domain::block::TransactionHash;
use coffer_domain::id::AssetId;
use coffer_domain::output::OutputId;
use coffer_domain::unconfirmed::Sight;
use coffer_nodes::{ChainSource, Mempool, NodeError, Scope, Tracked, WatchedAsset};
use coffer_testkit::bitcoind::{BitcoinLiar, Output};
use ruint::aliases::U256;
use serde_json::{Value, json};

use crate::bitcoin::{Bench, Ours};

const INVENTED: &str = "abababababababababababababababababababababababababababababababab";

async fn look_with(bench: &Bench, ours: &Ours, tracked: &[Tracked]) -> Result<Mempool, NodeError> {
    let assets = [WatchedAsset {
        id: AssetId::from_digest(&[0; 32]),
        kind: AssetKind::Native,
    }];
    let scope = Scope {
        assets: &assets,
        watched: ours,
    };
    let tip = bench.tip().await.expect("has a tip");
    let looked = bench.source.mempool(tip, &scope, tracked).await?;
    Ok(looked.expect("Bitcoin nodes have mempools"))
}

async fn look(bench: &Bench, tracked: &[Tracked]) -> Result<Mempool, NodeError> {
    look_with(bench, &bench.ours, tracked).await
}

fn hash(txid: &str) -> TransactionHash {
    let bytes = hex::decode(txid).expect("hexadecimal");
    TransactionHash(bytes.try_into().expect("32 bytes"))
}

fn tracked(txid: &str, coin: &Output) -> Tracked {
    Tracked {
        transaction: hash(txid),
        inputs: vec![OutputId {
            transaction: hash(&coin.txid),
            number: coin.vout,
        }],
    }
}

/// A payment to us of a whole coin; answers its id.
async fn paid(bench: &Bench, coin: &Output, fee: u64) -> Result<String> {
    let outputs = [(bench.address.clone(), coin.sats - fee)];
    let raw = bench
        .node
        .signed(std::slice::from_ref(coin), &outputs)
        .await?;
    bench.node.send_raw(&raw).await
}

async fn coin(bench: &Bench) -> Result<Output> {
    let coins = bench.node.spendable().await?.into_iter();
    coins.last().context("has a coin")
}

/// Answers of this method become another.
fn lie(
    liar: &BitcoinLiar,
    about: &'static str,
    told: impl Fn(&Value) -> Value + Send + Sync + 'static,
) {
    liar.lie(move |method, answer| {
        if method == about {
            answer["result"] = told(&answer["result"]);
        }
    });
}

fn found(mempool: &Mempool) -> Vec<TransactionHash> {
    mempool.found.iter().map(|one| one.transaction).collect()
}

#[tokio::test]
async fn one_liar_neither_invents_nor_hides_a_payment() -> Result<()> {
    let bench = Bench::start().await?;
    let coin = coin(&bench).await?;
    let sent = paid(&bench, &coin, 1_000).await?;
    let own = [tracked(&sent, &coin)];
    let seen = look(&bench, &own).await?;
    assert_eq!((found(&seen), seen.unread), (vec![hash(&sent)], 0));
    assert_eq!(seen.found[0].inputs, own[0].inputs);
    assert_eq!(
        seen.found[0].movements[0].face_units,
        U256::from(coin.sats - 1_000)
    );
    assert_eq!(seen.sights, [Sight::Pooled]);

    lie(&bench.liars[0], "getrawmempool", |_| json!([]));
    assert_eq!(look(&bench, &own).await?, seen);
    // Nobody is asked for what only one names, and it does not live by him.
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    bench.liars[0].lie(move |method, answer| match method {
        "getrawmempool" => {
            let held = answer["result"].as_array_mut().expect("a list");
            held.push(json!(INVENTED));
        }
        "getrawtransaction" => drop(count.fetch_add(1, Ordering::SeqCst)),
        _ => {}
    });
    let both = [own[0].clone(), tracked(INVENTED, &coin)];
    let looked = look(&bench, &both).await?;
    assert_eq!(found(&looked), [hash(&sent)]);
    assert_eq!(looked.sights, [Sight::Pooled, Sight::Replaced(hash(&sent))]);
    assert_eq!(asked.load(Ordering::SeqCst), 0);

    // With one node down, the word of the other two must be the same.
    lie(&bench.liars[0], "getrawmempool", |_| json!([]));
    bench.liars[1].hang_up();
    let looked = look(&bench, &own).await?;
    assert_eq!(
        (found(&looked), looked.sights),
        (vec![], vec![Sight::Unknown])
    );
    bench.liars[2].hang_up();
    let alone = look(&bench, &own).await;
    assert!(
        matches!(alone, Err(NodeError::NoQuorum { .. })),
        "{alone:?}"
    );
    Ok(())
}

#[tokio::test]
async fn bytes_that_are_not_the_transaction_are_asked_of_the_next_node() -> Result<()> {
    let bench = Bench::start().await?;
    let coin = coin(&bench).await?;
    let other = [(bench.address.clone(), coin.sats - 5_000)];
    let other = bench
        .node
        .signed(std::slice::from_ref(&coin), &other)
        .await?;
    let sent = paid(&bench, &coin, 1_000).await?;
    for liar in &bench.liars {
        let other = other.clone();
        lie(liar, "getrawtransaction", move |_| json!(other));
    }
    let nothing = look(&bench, &[]).await?;
    assert_eq!(found(&nothing), [], "a right transaction under a wrong id");
    lie(&bench.liars[0], "getrawtransaction", |_| json!("00"));
    bench.liars[2].be_honest();
    assert_eq!(found(&look(&bench, &[]).await?), [hash(&sent)]);
    Ok(())
}

#[tokio::test]
async fn a_node_at_another_block_has_no_say() -> Result<()> {
    let bench = Bench::start().await?;
    let coin = coin(&bench).await?;
    let sent = paid(&bench, &coin, 1_000).await?;
    let own = [tracked(&sent, &coin)];
    let (before, _) = bench.node.head().await?;
    let older = bench.node.hash_at(before - 1).await?;
    for liar in &bench.liars[..2] {
        let seen = look(&bench, &own).await?;
        assert_eq!(
            (found(&seen), seen.sights),
            (vec![hash(&sent)], vec![Sight::Pooled])
        );
        let older = older.clone();
        liar.lie(move |method, answer| match method {
            "getbestblockhash" => answer["result"] = json!(older),
            "getrawmempool" => answer["result"] = json!([]),
            _ => {}
        });
    }
    let elsewhere = look(&bench, &own).await;
    assert!(
        matches!(elsewhere, Err(NodeError::Elsewhere { .. })),
        "{elsewhere:?}"
    );
    Ok(())
}

/// A node that takes a block between its list and the end of the look.
#[tokio::test]
async fn a_node_that_moves_on_meanwhile_has_no_say() -> Result<()> {
    let bench = Bench::start().await?;
    let coin = coin(&bench).await?;
    let sent = paid(&bench, &coin, 1_000).await?;
    for liar in &bench.liars {
        let asked = AtomicUsize::new(0);
        liar.lie(move |method, answer| match method {
            "getbestblockhash" if asked.fetch_add(1, Ordering::SeqCst) % 2 == 1 => {
                answer["result"] = json!(INVENTED);
            }
            "getrawmempool" => answer["result"] = json!([]),
            _ => {}
        });
    }
    let elsewhere = look(&bench, &[tracked(&sent, &coin)]).await;
    assert!(
        matches!(elsewhere, Err(NodeError::Elsewhere { .. })),
        "{elsewhere:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_replaced_a_payment_is_what_two_name() -> Result<()> {
    let bench = Bench::start().await?;
    let coin = coin(&bench).await?;
    let first = paid(&bench, &coin, 1_000).await?;
    let second = paid(&bench, &coin, 5_000).await?;
    let own = [tracked(&first, &coin)];
    let replaced = Sight::Replaced(hash(&second));
    let seen = look(&bench, &own).await?;
    assert_eq!(
        (found(&seen), seen.sights),
        (vec![hash(&second)], vec![replaced])
    );
    let other = |told: &Value| {
        let mut told = told.clone();
        told[0]["spendingtxid"] = json!(INVENTED);
        told
    };
    lie(&bench.liars[0], "gettxspendingprevout", other);
    assert_eq!(look(&bench, &own).await?.sights, [replaced]);
    lie(&bench.liars[1], "gettxspendingprevout", |_| json!([]));
    assert_eq!(look(&bench, &own).await?.sights, [Sight::Gone]);
    // Neither has one who lists it still.
    let still = first.clone();
    bench.liars[1].be_honest();
    lie(&bench.liars[0], "getrawmempool", move |_| json!([still]));
    assert_eq!(look(&bench, &own).await?.sights, [replaced]);
    Ok(())
}

#[tokio::test]
async fn an_address_issued_and_paid_during_a_look_is_found_by_the_next() -> Result<()> {
    let bench = Bench::start().await?;
    let coin = coin(&bench).await?;
    let nobody = Ours(std::collections::HashSet::new());
    let sent = paid(&bench, &coin, 1_000).await?;
    assert_eq!(found(&look_with(&bench, &nobody, &[]).await?), []);
    assert_eq!(found(&look(&bench, &[]).await?), [hash(&sent)]);
    bench.node.mine(1).await?;
    assert_eq!(found(&look(&bench, &[]).await?), []);
    Ok(())
}
