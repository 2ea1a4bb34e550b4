//! Silence, floods and secrets.

use std::time::{Duration, Instant};

use anyhow::Result;
use coffer_nodes::{ChainSource, NodeError};
use coffer_testkit::lying_node::Fault;

use crate::bench::{Bench, limits, network, open};

#[tokio::test]
async fn a_silent_or_flooding_node_neither_blocks_nor_fills_memory() -> Result<()> {
    let bench = Bench::start().await?;
    bench.anvil.mine(1).await?;
    bench.source.connect().await?;
    for fault in [
        Fault::Silent,
        Fault::Huge(1 << 30),
        Fault::Delay(Duration::from_secs(60)),
    ] {
        bench.nodes[0].set(fault);
        let started = Instant::now();
        bench.source.heads().await?;
        let at = bench.head().await?;
        assert!(started.elapsed() < limits().request_timeout);
        bench.read(at).await?;
        bench.nodes[1].set(Fault::Huge(1 << 30));
        let refused = bench.source.agreed_hash(at.height).await;
        assert!(
            matches!(refused, Err(NodeError::NoQuorum { .. })),
            "{refused:?}"
        );
        bench.nodes.iter().for_each(|node| node.be_honest());
    }
    Ok(())
}

#[tokio::test]
async fn a_url_and_its_secret_appear_nowhere() -> Result<()> {
    let urls: Vec<String> = (1..4)
        .map(|port| format!("http://user:s3cr3t@127.0.0.1:{port}/v3/s3cr3t?key=s3cr3t"))
        .collect();
    let source = open(&network(&urls, 2, 1))?;
    let error = source.heads().await.expect_err("nobody listens there");
    let told = format!("{error} {error:?} {:?}", source.status());
    assert!(!told.contains("s3cr3t"), "{told}");
    assert!(told.contains("http://127.0.0.1:1"), "{told}");
    Ok(())
}

#[test]
fn what_cannot_be_used_is_refused() {
    let check = |url: &str| {
        let refused = open(&network(&[url.to_owned()], 1, 1)).err();
        assert!(
            matches!(refused, Some(NodeError::Configuration(_))),
            "{url}"
        );
    };
    check("");
    check("not a url");
    check("ftp://host/");
    check("file:///etc/passwd");
}
