//! The test rig itself, on a real node: the chain does what a test asks of it, the contracts do what is written
//! above them, and every lie of the lying node is really told.

mod bitcoin;
mod chain;
mod contracts;
mod headers;
mod lies;
mod wire;

use anyhow::Result;
use coffer_testkit::anvil::{Anvil, Contract, Options, Rpc};
use coffer_testkit::lying_node::{Fault, Lie, LyingNode};
use serde_json::{Value, json};

/// A deposit address of the tests.
const OURS: &str = "0x9999999999999999999999999999999999999999";
const OTHER: &str = "0x8888888888888888888888888888888888888888";

/// A node with some deposits in its block 4, five blocks above it, and a proxy before it.
struct Scene {
    anvil: Anvil,
    node: LyingNode,
    /// By way of the proxy.
    rpc: Rpc,
    token: Contract,
    /// Of the block with the deposits.
    hash: Value,
}

/// Height of the block with the deposits.
const DEPOSITS: u64 = 3;

impl Scene {
    async fn new() -> Result<Self> {
        let anvil = Anvil::start(&Options::default()).await?;
        let token = anvil.deploy_token("USDX", 6, 1_000).await?;
        let owner = &anvil.accounts[0];
        for to in [OURS, OTHER] {
            anvil.transfer(&token, owner, to, 100).await?;
            anvil.send_native(owner, to, 7).await?;
        }
        anvil.mine(1).await?;
        let block = anvil.head().await?;
        assert_eq!(block["number"], format!("{DEPOSITS:#x}"));
        anvil.mine(5).await?;
        let node = LyingNode::start(anvil.url()).await?;
        let rpc = Rpc::new(&node.url());
        let hash = block["hash"].clone();
        Ok(Self {
            anvil,
            node,
            rpc,
            token,
            hash,
        })
    }

    /// The truth and the proxy's answer, after the lie was set.
    async fn both(
        &self,
        lie: impl Into<Lie>,
        method: &str,
        params: Value,
    ) -> Result<(Value, Value)> {
        self.node.set(lie);
        let truth = self.anvil.rpc().call(method, params.clone()).await?;
        Ok((truth, self.rpc.call(method, params).await?))
    }

    fn told(&self, fault: &Fault) -> u64 {
        self.node.told_of(fault)
    }

    fn traces(&self) -> Value {
        json!([self.hash, { "tracer": "callTracer" }])
    }
}
