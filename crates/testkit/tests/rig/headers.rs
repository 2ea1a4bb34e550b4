//! The second implementation of header hashes and receipts' roots agrees with the node.

use anyhow::{Context, Result};
use coffer_testkit::anvil::{Anvil, Mining, Options};
use coffer_testkit::lying_node::{header_hash, receipts_bloom, receipts_root};
use serde_json::json;

use super::OURS;

#[tokio::test]
async fn hashes_and_roots_agree_with_the_node() -> Result<()> {
    let anvil = Anvil::start(&Options {
        mining: Mining::Manual,
        ..Options::default()
    })
    .await?;
    let token = anvil.deploy_token("USDX", 6, 10_000).await?;
    // Counts at which the trie of receipts changes its shape.
    for count in [0, 1, 2, 16, 17, 127, 128, 129, 200] {
        for number in 0..count {
            let from = &anvil.accounts[number % 10];
            if number % 3 == 0 {
                anvil.transfer(&token, from, OURS, 1).await?;
            } else {
                anvil.send_native(from, OURS, 1).await?;
            }
        }
        anvil.mine(1).await?;
        let block = anvil.head().await?;
        assert_eq!(block["transactions"].as_array().map(Vec::len), Some(count));
        let receipts = json!([block["hash"]]);
        let receipts = anvil.rpc().call("eth_getBlockReceipts", receipts).await?;
        let receipts = receipts.as_array().context("receipts")?;
        let root = receipts_root(receipts)?;
        assert_eq!(block["receiptsRoot"], root, "{count} receipts");
        assert_eq!(block["logsBloom"], receipts_bloom(receipts));
        assert_eq!(block["hash"], header_hash(&block)?);
    }
    let genesis = anvil.block(0).await?;
    assert_eq!(genesis["hash"], header_hash(&genesis)?);
    Ok(())
}
