//! An installation that follows a regtest node, asked as in production.

use std::num::NonZeroU32;
use std::sync::Arc;

use coffer_domain::address::{AddressKind, AddressPayload, BitcoinNetwork};
use coffer_domain::asset::{Asset, AssetState};
use coffer_domain::deposit::{Deposit, DepositState};
use coffer_domain::ledger::{AccountKind, Side};
use coffer_domain::network::{Finality, Network, NetworkSettings, NodeUrl};
use coffer_domain::reconciliation::Reconciliation;
use coffer_domain::wallet::Wallet;
use coffer_nodes::bitcoin::BitcoinSource;
use coffer_nodes::{ChainSource, Limits, NodeError, Random};
use coffer_platform::ledger::AccountFilter;
use coffer_platform::{
    Answer, DepositFilter, Followed, NewAsset, NewNetwork, Platform, SourceFactory,
};
use coffer_testkit::bitcoind::{Bitcoind, Options};
use coffer_testkit::{Engine, Installation};
use ruint::aliases::U256;

use crate::scene::{assign, without_pool};

pub(super) const REGTEST: &str = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328";

pub(super) struct Site {
    pub(super) installation: Installation,
    pub(super) node: Bitcoind,
    pub(super) network: Network,
    pub(super) coin: Asset,
}

/// Something between the product and what it asks.
pub(super) type Between = Arc<dyn Fn(Arc<dyn ChainSource>) -> Arc<dyn ChainSource> + Send + Sync>;

/// Fills the node's login in, as the server does from its folder of secrets.
struct Nodes {
    login: String,
    between: Between,
}

impl SourceFactory for Nodes {
    fn open(&self, network: &Network) -> Result<Arc<dyn ChainSource>, NodeError> {
        let random: Random = Arc::new(|| 4);
        let mut filled = network.clone();
        for node in &mut filled.settings.nodes {
            node.rpc = node.rpc.replace("{secret:login}", &self.login);
        }
        let source = BitcoinSource::open(&filled, Limits::default(), &random)?;
        Ok((self.between)(Arc::new(source)))
    }
}

pub(super) fn executed<T>(answer: Answer<T>) -> T {
    match answer {
        Answer::Executed(value) => value,
        Answer::Replayed { .. } => panic!("nothing to replay"),
    }
}

fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

impl Site {
    /// Two confirmations, final after `finality`; the node has coins to send, and the first block is yet to come.
    pub(super) async fn create(engine: Engine, finality: u32) -> Self {
        Self::create_with(engine, finality, Arc::new(|source| source)).await
    }

    pub(super) async fn create_with(engine: Engine, finality: u32, between: Between) -> Self {
        let node = Bitcoind::start(&Options::default()).await.expect("starts");
        node.fund(5).await.expect("has coins");
        let sources = Arc::new(Nodes {
            login: node.credentials().to_owned(),
            between,
        });
        let installation = Installation::create_with(engine, sources).await;
        let (platform, admin) = (&installation.platform, &installation.admin);
        without_pool(platform, admin, installation.vault).await;
        let (height, _) = node.head().await.expect("answers");
        let settings = NetworkSettings {
            name: "regtest".to_owned(),
            nodes: vec![NodeUrl {
                rpc: node.url().replace("://", "://{secret:login}@"),
                websocket: None,
            }],
            quorum: 1,
            confirmations: count(2),
            finality: Finality::Depth(count(finality)),
            start_height: height + 1,
            genesis: None,
            poll_interval_ms: 50,
        };
        let new = NewNetwork {
            chain: REGTEST.parse().expect("a chain"),
            settings,
        };
        let added = platform.add_network(admin, new, None).await;
        let network = executed(added.expect("added"));
        let new = NewAsset {
            name: format!("{REGTEST}/slip44:0").parse().expect("an asset"),
            symbol: "BTC".to_owned(),
            decimals: 8,
            deposit_units_min: U256::ZERO,
        };
        let added = platform.add_asset(admin, network.id, new, None).await;
        let coin = executed(added.expect("added")).asset;
        Self {
            installation,
            node,
            network,
            coin,
        }
    }

    pub(super) fn platform(&self) -> &Platform {
        &self.installation.platform
    }

    /// A customer's wallet, its key-hash address and its taproot address.
    pub(super) async fn wallet(&self, name: &str) -> (Wallet, String, String) {
        let admin = &self.installation.admin;
        let assigned = assign(self.platform(), admin, self.installation.vault, name).await;
        let wallet = assigned.expect("assigned").wallet;
        let of = |kind| {
            let found = wallet.payloads.iter().find(|one| one.kind() == kind);
            text(found.expect("an address of the kind"))
        };
        let (hash, key) = (of(AddressKind::BitcoinP2wpkh), of(AddressKind::BitcoinP2tr));
        (wallet, hash, key)
    }

    pub(super) async fn step(&self) -> Followed {
        let step = self.platform().follow_once(self.network.id).await;
        step.expect("a step")
    }

    /// Follows until there is nothing left to do; answers the last step.
    pub(super) async fn follow(&self) -> Followed {
        for _ in 0..1000 {
            match self.step().await {
                Followed::Took(_) | Followed::Undid(_) => {}
                last => return last,
            }
        }
        panic!("the chain does not end");
    }

    pub(super) async fn mine(&self, blocks: u64) -> Vec<String> {
        let hashes = self.node.mine(blocks).await.expect("mines");
        assert_eq!(self.follow().await, Followed::Idle);
        hashes
    }

    pub(super) async fn deposits(&self) -> Vec<Deposit> {
        let admin = &self.installation.admin;
        let filter = DepositFilter::default();
        let page = self.platform().deposits(admin, &filter, None, 1000).await;
        let page = page.expect("reads");
        assert!(page.refused.is_empty(), "{:?}", page.refused);
        page.items.into_iter().map(|view| view.deposit).collect()
    }

    pub(super) async fn deposit_of(&self, txid: &str) -> Deposit {
        let deposits = self.deposits().await.into_iter();
        let mut of: Vec<_> = deposits
            .filter(|deposit| hex::encode(deposit.movement.transaction.0) == txid)
            .collect();
        assert_eq!(of.len(), 1, "{of:?}");
        of.remove(0)
    }

    pub(super) async fn state_of(&self, txid: &str) -> DepositState {
        self.deposit_of(txid).await.state
    }

    /// What is posted on all accounts of a kind together.
    pub(super) async fn posted(&self, kind: AccountKind) -> u64 {
        let filter = AccountFilter {
            asset: Some(self.coin.id),
            kind: Some(kind),
            ..AccountFilter::default()
        };
        let admin = &self.installation.admin;
        let page = self
            .platform()
            .ledger_accounts(admin, &filter, None, 1000)
            .await;
        let page = page.expect("reads");
        let normal: Side = kind.normal_side();
        let balances = page.items.iter();
        let units = balances.map(|account| account.balance.posted().on(normal));
        units.fold(U256::ZERO, |sum, units| sum + units).to::<u64>()
    }

    pub(super) async fn reconcile(&self) -> Reconciliation {
        let admin = &self.installation.admin;
        let lines = self.platform().reconcile_now(admin, self.network.id).await;
        let mut lines = lines.expect("a round");
        assert_eq!(lines.len(), 1);
        lines.remove(0)
    }

    pub(super) async fn asset_state(&self) -> AssetState {
        let admin = &self.installation.admin;
        let asset = self.platform().asset(admin, self.coin.id).await;
        asset.expect("reads").state
    }

    /// Rows of the record of outputs that a condition of SQL is true of.
    pub(super) async fn outputs(&self, condition: &str) -> u64 {
        let sql = format!("UPDATE outputs SET version = version WHERE {condition}");
        self.installation.database.tamper(&sql).await
    }
}

pub(super) fn text(payload: &AddressPayload) -> String {
    coffer_chains::encode(payload, BitcoinNetwork::Regtest)
}
