//! A JSON-RPC node that lies: our own test program, a proxy in front of a real node.
//!
//! Without lies it passes everything on, so that one real node behind three of these is "three nodes". Each
//! [`Lie`] is a [`Fault`], said always or in so many of a thousand calls by a seed, in all answers or in those of
//! one method, about everything or about one address. Several at once work one after the other, in the order given;
//! of those that concern the connection, the first wins. Calls in a batch are lied to one by one.
//!
//! [`LyingNode::hold`] keeps calls to one method waiting, so that a test can do something between two questions of
//! the reader it tests, and knows that it came between.
//!
//! It counts, by kind, the lies that made a difference: a test that holds up against none proves nothing.
//!
//! In a test: [`LyingNode::start`] and [`LyingNode::set`]. By hand: `coffer-testkit lying-node --upstream URL --fault lag=3`.
//! A fault is written `name[=value][@method][!address][~permille]`, for instance `hide-logs@eth_getLogs~500`;
//! `fault.rs` lists the names, `bitcoin/` those that only a node of Bitcoin can tell.
//!
//! Bounds: answers are held in memory, save for [`Fault::Huge`]. [`Fault::Fork`] asks for one more header per block of
//! the fork. A proxy does not know what is true: state behind a made-up block is that of the real one.
//! WebSockets and subscriptions are not served.

mod answer;
mod bitcoin;
mod command;
mod fault;
mod forge;
mod fork;
mod header;
mod invent;
mod lag;
mod server;
mod state;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use bitcoin::BitcoinLie;
pub use command::{Args, run};
pub use fault::{Fault, Lie};
pub use forge::FORGED;
pub use header::{header_hash, receipts_bloom, receipts_root};
pub use invent::Invention;

use crate::anvil::Rpc;
use crate::loopback;
use answer::Teller;
use state::State;

const HELD_WITHIN: Duration = Duration::from_secs(30);

/// A running proxy on a loopback port; ends when dropped.
pub struct LyingNode {
    state: Arc<State>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl LyingNode {
    /// An honest node at a free port, until told otherwise.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(upstream_url: &str) -> Result<Self> {
        Self::listen(upstream_url, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 1).await
    }

    /// The same at an address, with a seed for the lies that are told sometimes.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn listen(upstream_url: &str, address: SocketAddr, seed: u64) -> Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(seed));
        let teller = Teller {
            upstream: Rpc::new(upstream_url),
            state: Arc::clone(&state),
            fork: tokio::sync::Mutex::default(),
            branch: tokio::sync::Mutex::default(),
        };
        let server = tokio::spawn(loopback::serve(listener, Arc::new(teller), server::answer));
        Ok(Self {
            state,
            address,
            server,
        })
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// This one lie from now on, and no other.
    pub fn set(&self, lie: impl Into<Lie>) {
        self.state.set(vec![lie.into()]);
    }

    /// This lie, too.
    pub fn add(&self, lie: impl Into<Lie>) {
        self.state.add(lie.into());
    }

    /// Passes everything on from now on.
    pub fn be_honest(&self) {
        self.state.set(Vec::new());
    }

    /// Calls to this method wait from now on, with all others of their batch, until [`Self::release`].
    pub fn hold(&self, method: &str) {
        self.state.hold(Some(method.to_owned()));
    }

    pub fn release(&self) {
        self.state.hold(None);
    }

    /// Waits until a call is being held.
    ///
    /// # Errors
    /// When none comes within half a minute.
    pub async fn held(&self) -> Result<()> {
        let waiting = self.state.wait_for_held();
        let waited = tokio::time::timeout(HELD_WITHIN, waiting).await;
        waited.context("no call to hold came")
    }

    /// Lies that made a difference so far, by [`Fault::name`].
    #[must_use]
    pub fn told(&self) -> BTreeMap<&'static str, u64> {
        self.state.told()
    }

    #[must_use]
    pub fn told_of(&self, fault: &Fault) -> u64 {
        self.told().get(fault.name()).copied().unwrap_or_default()
    }

    /// Calls so far, by method.
    #[must_use]
    pub fn asked(&self) -> BTreeMap<String, u64> {
        self.state.asked()
    }
}

impl Drop for LyingNode {
    fn drop(&mut self) {
        self.server.abort();
    }
}
