//! The same with a real node: balances that somebody sets, a token that rebases, a chain that reorganizes.

use std::sync::Arc;

use coffer_domain::asset::AssetState;
use coffer_domain::network::Network;
use coffer_domain::reconciliation::ReconciliationState::{Drift, Matched};
use coffer_nodes::evm::EvmSource;
use coffer_nodes::{ChainSource, Limits, NodeError};
use coffer_platform::{Answer, Error, SourceFactory};
use coffer_testkit::Engine;
use coffer_testkit::anvil::{Anvil, Arg, Contract, Options, hex_number};
use serde_json::json;

use super::site::Site;
use crate::scene::on_both_engines;

on_both_engines!(
    one_wei_from_nowhere_is_found_at_the_next_block,
    a_rebasing_contract_is_found_and_stopped,
    a_reorganized_block_concludes_nothing,
);

struct Nodes;

impl SourceFactory for Nodes {
    fn open(&self, network: &Network) -> Result<Arc<dyn ChainSource>, NodeError> {
        let source = EvmSource::open(network, Limits::default(), Arc::new(|| 4))?;
        Ok(Arc::new(source))
    }
}

struct Real {
    anvil: Anvil,
    token: Contract,
    site: Site,
    wallet: coffer_domain::id::WalletId,
    address: String,
    payer: String,
}

impl Real {
    /// A wallet that got a token and a coin; matched.
    async fn create(engine: Engine) -> Self {
        let anvil = Anvil::start(&Options::default()).await.expect("starts");
        anvil.deploy_multicall3().await.expect("deployed");
        let token = anvil
            .deploy("RebasingToken", &[Arg::text("TOK")])
            .await
            .expect("deployed");
        let start = anvil.height().await.expect("a height") + 1;
        let node = (anvil.url().to_owned(), start);
        let site = Site::on(engine, Arc::new(Nodes), node, &token.address, 18).await;
        let (wallet, payload) = site.wallet("c1").await;
        let payer = anvil.accounts[0].clone();
        let address = format!("0x{}", hex::encode(payload.bytes()));
        let real = Self {
            anvil,
            token,
            site,
            wallet,
            address,
            payer,
        };
        let mint = [Arg::address(&real.payer), Arg::Uint(1_000_000)];
        real.execute("mint", &mint).await;
        real.deposit(700).await;
        real.anvil.mine(1).await.expect("mined");
        real.site.follow().await;
        assert_eq!(real.site.states().await, [Matched, Matched]);
        assert_eq!(real.site.has(wallet, &real.site.coin).await, (700, 0));
        assert_eq!(real.site.has(wallet, &real.site.token).await, (700, 0));
        real
    }

    async fn execute(&self, function: &str, arguments: &[Arg]) {
        let sent = self
            .anvil
            .execute(&self.payer, &self.token, function, arguments)
            .await;
        sent.expect("sent");
    }

    /// As much of the coin and of the token, in one block.
    async fn deposit(&self, units: u128) {
        let sent = self.anvil.send_native(&self.payer, &self.address, units);
        sent.await.expect("sent");
        self.execute("transfer", &[Arg::address(&self.address), Arg::Uint(units)])
            .await;
        self.anvil.mine(1).await.expect("mined");
    }
}

async fn one_wei_from_nowhere_is_found_at_the_next_block(engine: Engine) {
    let real = Real::create(engine).await;
    let site = &real.site;
    let balance = real.anvil.balance(&real.address).await.expect("a balance");
    let set = |wei: u128| {
        let request = json!([real.address, hex_number(wei)]);
        let anvil = &real.anvil;
        async move {
            anvil
                .rpc()
                .call("anvil_setBalance", request)
                .await
                .expect("set")
        }
    };
    set(balance + 1).await;
    real.anvil.mine(1).await.expect("mined");
    site.follow().await;
    assert_eq!(site.states().await, [Drift, Matched]);
    assert_eq!(site.breaker(&site.coin).await, AssetState::Tripped);
    assert_eq!(site.breaker(&site.token).await, AssetState::Active);
    real.deposit(30).await;
    real.anvil.mine(1).await.expect("mined");
    site.follow().await;
    assert_eq!(site.has(real.wallet, &site.coin).await, (700, 30));
    assert_eq!(site.has(real.wallet, &site.token).await, (730, 0));
    set(balance + 30).await;
    real.anvil.mine(1).await.expect("mined");
    site.follow().await;
    assert_eq!(site.states().await, [Matched, Matched]);
    let admin = &site.installation.admin;
    let closed = site
        .platform()
        .close_breaker(admin, site.coin.id, "the surplus was taken away", None)
        .await
        .expect("closed");
    assert!(matches!(closed, Answer::Executed(_)));
    real.anvil.mine(1).await.expect("mined");
    site.follow().await;
    assert_eq!(site.states().await, [Matched, Matched]);
    assert_eq!(site.has(real.wallet, &site.coin).await, (730, 0));
}

async fn a_rebasing_contract_is_found_and_stopped(engine: Engine) {
    let real = Real::create(engine).await;
    let site = &real.site;
    real.execute("rebase", &[Arg::Uint(110)]).await;
    real.anvil.mine(1).await.expect("mined");
    site.follow().await;
    assert_eq!(site.states().await, [Matched, Drift]);
    assert_eq!(site.breaker(&site.token).await, AssetState::Tripped);
    real.deposit(30).await;
    real.anvil.mine(1).await.expect("mined");
    site.follow().await;
    assert_eq!(site.has(real.wallet, &site.coin).await, (730, 0));
    let (available, pending) = site.has(real.wallet, &site.token).await;
    assert_eq!(available, 700);
    assert!((28..=33).contains(&pending), "seen: {pending}");
}

async fn a_reorganized_block_concludes_nothing(engine: Engine) {
    let real = Real::create(engine).await;
    let site = &real.site;
    real.deposit(5).await;
    site.follow().await;
    let before = site.stored().await.len();
    real.anvil.reorg(1, &[]).await.expect("reorganized");
    let round = site.reconcile().await;
    assert!(matches!(round, Err(Error::Nodes(_))), "{round:?}");
    assert_eq!(site.stored().await.len(), before);
    site.follow().await;
    assert_eq!(site.states().await, [Matched, Matched]);
    assert_eq!(site.has(real.wallet, &site.coin).await, (700, 0));
}
