//! An installation that follows a chain in memory.

use std::num::NonZeroU32;
use std::sync::Arc;

use coffer_domain::address::{AddressKind, AddressPayload};
use coffer_domain::asset::{Asset, AssetName};
use coffer_domain::deposit::{Deposit, DepositState};
use coffer_domain::ledger::{AccountKind, Balance, Side};
use coffer_domain::network::{Finality, Network, NetworkSettings, NodeUrl};
use coffer_domain::wallet::Wallet;
use coffer_platform::ledger::AccountFilter;
use coffer_platform::{
    Answer, DepositFilter, Error, Followed, NewAsset, NewNetwork, Platform, SourceFactory,
};
use coffer_testkit::{Engine, Installation};
use ruint::aliases::U256;

use super::chain::FakeChain;
use crate::scene::{assign, without_pool};

pub(super) struct Site {
    pub(super) installation: Installation,
    pub(super) chain: FakeChain,
    pub(super) network: Network,
    pub(super) coin: Asset,
}

pub(super) fn executed<T>(answer: Answer<T>) -> T {
    match answer {
        Answer::Executed(value) => value,
        Answer::Replayed { .. } => panic!("nothing to replay"),
    }
}

pub(super) fn settings(confirmations: u32, finality: Finality) -> NetworkSettings {
    NetworkSettings {
        name: "test".to_owned(),
        nodes: vec![NodeUrl {
            rpc: "http://127.0.0.1:1".to_owned(),
            websocket: None,
        }],
        quorum: 1,
        confirmations: NonZeroU32::new(confirmations).expect("not zero"),
        finality,
        start_height: 1,
        genesis: None,
        poll_interval_ms: 50,
    }
}

pub(super) fn depth(blocks: u32) -> Finality {
    Finality::Depth(NonZeroU32::new(blocks).expect("not zero"))
}

impl Site {
    /// Two confirmations, final after four.
    pub(super) async fn create(engine: Engine) -> Self {
        Self::with(engine, settings(2, depth(4))).await
    }

    pub(super) async fn with(engine: Engine, settings: NetworkSettings) -> Self {
        let chain = FakeChain::new();
        let site = Self::over(engine, settings, Arc::new(chain.clone())).await;
        Self { chain, ..site }
    }

    /// On whichever chain the factory opens.
    pub(super) async fn over(
        engine: Engine,
        settings: NetworkSettings,
        sources: Arc<dyn SourceFactory>,
    ) -> Self {
        let installation = Installation::create_with(engine, sources).await;
        let (platform, admin) = (&installation.platform, &installation.admin);
        without_pool(platform, admin, installation.vault).await;
        let new = NewNetwork {
            chain: "eip155:31337".parse().expect("a chain"),
            settings,
        };
        let network = platform.add_network(admin, new, None).await.expect("added");
        let network = executed(network);
        let name = "eip155:31337/slip44:60".parse().expect("an asset");
        let coin = add_asset(platform, &installation, &network, (name, "ETH", 18)).await;
        Self {
            installation,
            chain: FakeChain::default(),
            network,
            coin,
        }
    }

    pub(super) fn platform(&self) -> &Platform {
        &self.installation.platform
    }

    pub(super) async fn token(&self, contract: &str) -> Asset {
        let name = format!("eip155:31337/erc20:{contract}").parse();
        let named = (name.expect("an asset"), "TOK", 6);
        add_asset(self.platform(), &self.installation, &self.network, named).await
    }

    /// A customer's wallet, and its address on this chain.
    pub(super) async fn wallet(&self, name: &str) -> (Wallet, AddressPayload) {
        let admin = &self.installation.admin;
        let assigned = assign(self.platform(), admin, self.installation.vault, name).await;
        let wallet = assigned.expect("assigned").wallet;
        let address = evm_address(&wallet);
        (wallet, address)
    }

    pub(super) async fn step(&self) -> Result<Followed, Error> {
        self.platform().follow_once(self.network.id).await
    }

    /// Follows until there is nothing left to do; answers the last step.
    pub(super) async fn follow(&self) -> Followed {
        follow(self.platform(), &self.network).await
    }

    pub(super) async fn deposits(&self) -> Vec<Deposit> {
        let admin = &self.installation.admin;
        let filter = DepositFilter::default();
        let page = self.platform().deposits(admin, &filter, None, 1000).await;
        let page = page.expect("reads");
        assert!(page.refused.is_empty(), "{:?}", page.refused);
        page.items.into_iter().map(|view| view.deposit).collect()
    }

    pub(super) async fn only_deposit(&self) -> Deposit {
        let mut deposits = self.deposits().await;
        assert_eq!(deposits.len(), 1, "{deposits:?}");
        deposits.remove(0)
    }

    pub(super) async fn states(&self) -> Vec<DepositState> {
        let deposits = self.deposits().await;
        deposits.iter().map(|deposit| deposit.state).collect()
    }

    /// What is posted and what is pending on all accounts of a kind together, of the coin.
    pub(super) async fn sums(&self, kind: AccountKind) -> (U256, U256) {
        let filter = AccountFilter {
            asset: Some(self.coin.id),
            kind: Some(kind),
            ..AccountFilter::default()
        };
        let admin = &self.installation.admin;
        let accounts = self
            .platform()
            .ledger_accounts(admin, &filter, None, 1000)
            .await
            .expect("reads");
        let sum = |of: &dyn Fn(&Balance) -> U256| {
            let balances = accounts.items.iter().map(|account| of(&account.balance));
            balances.fold(U256::ZERO, |sum, units| sum + units)
        };
        let normal = kind.normal_side();
        let pending = |balance: &Balance| match normal {
            Side::Debit => balance.pending_debits,
            Side::Credit => balance.pending_credits,
        };
        (sum(&|balance| balance.posted().on(normal)), sum(&pending))
    }

    pub(super) async fn tamper(&self, sql: &str) -> u64 {
        self.installation.database.tamper(sql).await
    }
}

pub(super) async fn follow(platform: &Platform, network: &Network) -> Followed {
    for _ in 0..1000 {
        match platform.follow_once(network.id).await.expect("a step") {
            Followed::Took(_) | Followed::Undid(_) => {}
            last => return last,
        }
    }
    panic!("the chain does not end");
}

pub(super) fn evm_address(wallet: &Wallet) -> AddressPayload {
    let evm = |payload: &&AddressPayload| payload.kind() == AddressKind::Evm;
    *wallet.payloads.iter().find(evm).expect("an EVM address")
}

async fn add_asset(
    platform: &Platform,
    installation: &Installation,
    network: &Network,
    (name, symbol, decimals): (AssetName, &str, u8),
) -> Asset {
    let new = NewAsset {
        name,
        symbol: symbol.to_owned(),
        decimals,
        deposit_units_min: U256::ZERO,
    };
    let added = platform
        .add_asset(&installation.admin, network.id, new, None)
        .await;
    executed(added.expect("added")).asset
}
