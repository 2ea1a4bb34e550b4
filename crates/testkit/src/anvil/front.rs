//! A door before the node through which nobody asks while a block is made.
//!
//! anvil locks its state for each question and for each block, and a question beside a block can stop both for ever
//! ([foundry#10452](https://github.com/foundry-rs/foundry/issues/10452)); and for a moment it answers for the
//! block before with the state of the one it makes. Neither is what these tests are about.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use hyper::{Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::RwLock;
use tokio::task::JoinHandle;

use super::Rpc;
use crate::loopback::{Body, serve, whole};

/// A running proxy; ends when dropped.
pub(super) struct Front {
    address: SocketAddr,
    server: JoinHandle<()>,
}

struct Door {
    node: Rpc,
    /// Held by many who ask, or by one who changes something.
    chain: RwLock<()>,
}

impl Front {
    /// At a loopback port; at any that is free for 0.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub(super) async fn start(node_url: &str, port: u16) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        let door = Door {
            node: Rpc::new(node_url),
            chain: RwLock::new(()),
        };
        let server = tokio::spawn(serve(listener, Arc::new(door), pass));
        Ok(Self { address, server })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn pass(door: Arc<Door>, body: Bytes) -> Result<Response<Body>, io::Error> {
    let answer = if only_asks(&body) {
        let _others_may_ask = door.chain.read().await;
        door.node.post_bytes(body.to_vec()).await
    } else {
        let _alone = door.chain.write().await;
        door.node.post_bytes(body.to_vec()).await
    };
    match answer {
        Ok((status, text)) => whole(StatusCode::from_u16(status).unwrap_or_default(), text),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Whether no call of the body changes the node; one that is not known does.
fn only_asks(body: &[u8]) -> bool {
    let asks = |call: &Value| {
        let method = call["method"].as_str().unwrap_or_default();
        let (family, name) = method.split_once('_').unwrap_or_default();
        match family {
            "eth" => !name.starts_with("send"),
            "debug" | "net" | "trace" | "txpool" | "web3" => true,
            _ => false,
        }
    };
    match serde_json::from_slice(body) {
        Ok(Value::Array(calls)) => calls.iter().all(asks),
        Ok(call) => asks(&call),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_the_node_is_alone() {
        let body = |methods: &[&str]| {
            let calls: Vec<_> = methods
                .iter()
                .map(|method| serde_json::json!({ "id": 1, "method": method }))
                .collect();
            serde_json::to_vec(&calls).expect("it is JSON")
        };
        assert!(only_asks(&body(&["eth_call", "debug_traceBlockByHash"])));
        for method in ["anvil_mine", "evm_mine", "eth_sendRawTransaction", "new"] {
            assert!(!only_asks(&body(&["eth_call", method])), "{method}");
        }
        assert!(!only_asks(b"no JSON"));
    }
}
