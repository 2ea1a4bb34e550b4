//! An installation that follows the chain in memory, with its coin and a token.

use std::num::NonZeroU32;
use std::sync::Arc;

use coffer_domain::address::{AddressKind, AddressPayload};
use coffer_domain::asset::{Asset, AssetState};
use coffer_domain::id::WalletId;
use coffer_domain::network::{Finality, Network, NetworkSettings, NodeUrl};
use coffer_domain::reconciliation::{Reconciliation, ReconciliationState};
use coffer_platform::{
    Answer, Error, Followed, NewAsset, NewNetwork, Platform, ReconciliationFilter, SourceFactory,
    WalletBalance,
};
use coffer_testkit::{Engine, Installation};
use ruint::aliases::U256;

use super::chain::Chain;
use crate::scene::{assign, without_pool};

pub(super) struct Site {
    pub(super) installation: Installation,
    pub(super) chain: Chain,
    pub(super) network: Network,
    pub(super) coin: Asset,
    pub(super) token: Asset,
}

pub(super) fn executed<T>(answer: Answer<T>) -> T {
    match answer {
        Answer::Executed(value) => value,
        Answer::Replayed { .. } => panic!("nothing to replay"),
    }
}

/// A node's URL, and the first block to look at.
type Node = (String, u64);

fn settings((rpc, start_height): Node) -> NetworkSettings {
    let two = NonZeroU32::new(2).expect("not zero");
    NetworkSettings {
        name: "test".to_owned(),
        nodes: vec![NodeUrl {
            rpc,
            websocket: None,
        }],
        quorum: 1,
        confirmations: two,
        finality: Finality::Depth(two),
        start_height,
        genesis: None,
        poll_interval_ms: 50,
    }
}

impl Site {
    /// On a chain in memory. Deposits are credited with their second confirmation.
    pub(super) async fn create(engine: Engine) -> Self {
        let chain = Chain::new();
        let node = ("http://127.0.0.1:1".to_owned(), 1);
        let contract = "0x6B175474E89094C44Da98b954EedeAC495271d0F";
        let sources = Arc::new(chain.clone());
        let site = Self::on(engine, sources, node, contract, 6).await;
        Self { chain, ..site }
    }

    /// On the chain that `sources` lead to; the one in memory is of no use then.
    pub(super) async fn on(
        engine: Engine,
        sources: Arc<dyn SourceFactory>,
        node: Node,
        contract: &str,
        decimals: u8,
    ) -> Self {
        let installation = Installation::create_with(engine, sources).await;
        let (platform, admin) = (&installation.platform, &installation.admin);
        without_pool(platform, admin, installation.vault).await;
        let new = NewNetwork {
            chain: "eip155:31337".parse().expect("a chain"),
            settings: settings(node),
        };
        let network = platform.add_network(admin, new, None).await.expect("added");
        let network = executed(network);
        let coin = ("slip44:60".to_owned(), "ETH", 18);
        let token = (format!("erc20:{contract}"), "TOK", decimals);
        let mut assets = Vec::new();
        for (name, symbol, decimals) in [coin, token] {
            let new = NewAsset {
                name: format!("eip155:31337/{name}").parse().expect("an asset"),
                symbol: symbol.to_owned(),
                decimals,
                deposit_units_min: U256::ZERO,
            };
            let added = platform.add_asset(admin, network.id, new, None).await;
            assets.push(executed(added.expect("added")).asset);
        }
        let token = assets.pop().expect("two");
        let coin = assets.pop().expect("two");
        Self {
            installation,
            chain: Chain::new(),
            network,
            coin,
            token,
        }
    }

    pub(super) fn platform(&self) -> &Platform {
        &self.installation.platform
    }

    /// A customer's wallet, and its address on this chain.
    pub(super) async fn wallet(&self, name: &str) -> (WalletId, AddressPayload) {
        let admin = &self.installation.admin;
        let assigned = assign(self.platform(), admin, self.installation.vault, name).await;
        let wallet = assigned.expect("assigned").wallet;
        let evm = |payload: &&AddressPayload| payload.kind() == AddressKind::Evm;
        let address = *wallet.payloads.iter().find(evm).expect("an EVM address");
        (wallet.id, address)
    }

    /// Follows until there is nothing left to do.
    pub(super) async fn follow(&self) {
        for _ in 0..100 {
            let step = self.platform().follow_once(self.network.id).await;
            match step.expect("a step") {
                Followed::Took(_) | Followed::Undid(_) => {}
                _ => return,
            }
        }
        panic!("the chain does not end");
    }

    /// What the background would do now.
    pub(super) async fn reconcile(&self) -> Result<Option<Vec<Reconciliation>>, Error> {
        self.platform().reconcile_once(self.network.id).await
    }

    /// The states of coin and token in a round that must have been.
    pub(super) async fn states(&self) -> [ReconciliationState; 2] {
        let lines = self
            .reconcile()
            .await
            .expect("a round")
            .expect("a new block");
        [&self.coin, &self.token].map(|asset| {
            let line = lines.iter().find(|line| line.asset == asset.id);
            line.expect("a line for each asset").state
        })
    }

    pub(super) async fn breaker(&self, asset: &Asset) -> AssetState {
        let admin = &self.installation.admin;
        let asset = self.platform().asset(admin, asset.id).await;
        asset.expect("reads").state
    }

    /// All lines that are stored, the newest first.
    pub(super) async fn stored(&self) -> Vec<Reconciliation> {
        let filter = ReconciliationFilter::default();
        let admin = &self.installation.admin;
        let page = self
            .platform()
            .reconciliations(admin, &filter, None, 1000)
            .await;
        page.expect("reads").items
    }

    pub(super) async fn balance(&self, wallet: WalletId, asset: &Asset) -> WalletBalance {
        let admin = &self.installation.admin;
        let balances = self.platform().wallet_balances(admin, wallet).await;
        let mut balances = balances.expect("reads");
        balances.retain(|balance| balance.asset.id == asset.id);
        balances.pop().expect("a line for each asset")
    }

    /// Available and pending.
    pub(super) async fn has(&self, wallet: WalletId, asset: &Asset) -> (u64, u64) {
        let balance = self.balance(wallet, asset).await;
        (balance.available.to(), balance.pending.to())
    }
}
