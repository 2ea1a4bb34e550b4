//! Answers of mempools that come late or are lies, between the question and its transaction.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use coffer_domain::address::AddressPayload;
use coffer_domain::asset::AssetKind;
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use coffer_domain::ledger::AccountKind::Customer;
use coffer_domain::movement::ObservedBlock;
use coffer_domain::unconfirmed::{Standing, UnconfirmedState};
use coffer_nodes::{
    ChainSource, Heads, Mempool, NodeError, NodeStatus, Scope, TokenFacts, Tracked,
};
use coffer_platform::{Followed, Looked};
use coffer_testkit::Engine;
use futures_util::future::BoxFuture;
use ruint::aliases::U256;
use tokio::sync::Notify;

use super::mempool::{changed, id_of, look, of, spending, unconfirmed};
use super::site::Site;
use crate::scene::on_both_engines;

on_both_engines!(
    an_answer_from_before_a_block_changes_nothing,
    a_double_spend_from_before_a_block_is_not_shown_as_new,
    what_a_block_has_is_not_unconfirmed_whoever_says_so,
);

type Edit = Box<dyn Fn(&mut Mempool) + Send>;

/// What stands between the nodes' answer and the product.
#[derive(Default)]
struct Gate {
    is_shut: AtomicBool,
    reached: Notify,
    opened: Notify,
    edit: Mutex<Option<Edit>>,
}

struct Gated {
    source: Arc<dyn ChainSource>,
    gate: Arc<Gate>,
}

impl ChainSource for Gated {
    fn mempool<'a>(
        &'a self,
        tip: BlockRef,
        scope: &'a Scope<'a>,
        tracked: &'a [Tracked],
    ) -> BoxFuture<'a, Result<Option<Mempool>, NodeError>> {
        Box::pin(async move {
            let mut answer = self.source.mempool(tip, scope, tracked).await?;
            if self.gate.is_shut.load(Ordering::SeqCst) {
                self.gate.reached.notify_one();
                self.gate.opened.notified().await;
            }
            let edit = self.gate.edit.lock().expect("not poisoned");
            if let (Some(edit), Some(answer)) = (&*edit, &mut answer) {
                edit(answer);
            }
            Ok(answer)
        })
    }

    fn connect(&self) -> BoxFuture<'_, Result<BlockHash, NodeError>> {
        self.source.connect()
    }

    fn heads(&self) -> BoxFuture<'_, Result<Heads, NodeError>> {
        self.source.heads()
    }

    fn agreed_hash(
        &self,
        height: BlockHeight,
    ) -> BoxFuture<'_, Result<Option<BlockHash>, NodeError>> {
        self.source.agreed_hash(height)
    }

    fn agreed_hashes(
        &self,
        heights: RangeInclusive<u64>,
    ) -> BoxFuture<'_, (Vec<BlockRef>, Option<NodeError>)> {
        self.source.agreed_hashes(heights)
    }

    fn block<'a>(
        &'a self,
        block: BlockRef,
        scope: &'a Scope<'a>,
    ) -> BoxFuture<'a, Result<ObservedBlock, NodeError>> {
        self.source.block(block, scope)
    }

    fn balances<'a>(
        &'a self,
        at: BlockRef,
        asset: &'a AssetKind,
        addresses: &'a [AddressPayload],
    ) -> BoxFuture<'a, Result<Vec<U256>, NodeError>> {
        self.source.balances(at, asset, addresses)
    }

    fn token_facts<'a>(
        &'a self,
        contract: &'a AddressPayload,
    ) -> BoxFuture<'a, Result<TokenFacts, NodeError>> {
        self.source.token_facts(contract)
    }

    fn hint(&self) -> BoxFuture<'_, ()> {
        self.source.hint()
    }

    fn status(&self) -> Vec<NodeStatus> {
        self.source.status()
    }
}

async fn gated(engine: Engine) -> (Site, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let between = Arc::clone(&gate);
    let site = Site::create_with(
        engine,
        6,
        Arc::new(move |source| {
            let gate = Arc::clone(&between);
            Arc::new(Gated { source, gate })
        }),
    );
    let site = site.await;
    site.mine(1).await;
    (site, gate)
}

/// A look whose answer is held up until `meanwhile` is done.
async fn look_around(site: &Site, gate: &Gate, meanwhile: impl Future<Output = ()>) -> Looked {
    gate.is_shut.store(true, Ordering::SeqCst);
    let (looked, ()) = tokio::join!(look(site), async {
        gate.reached.notified().await;
        gate.is_shut.store(false, Ordering::SeqCst);
        meanwhile.await;
        gate.opened.notify_one();
    });
    looked
}

async fn an_answer_from_before_a_block_changes_nothing(engine: Engine) {
    let (site, gate) = gated(engine).await;
    let (_, hash, _) = site.wallet("customer").await;
    let sent = site.node.send(&hash, 5_000).await.expect("sent");
    let mine = async {
        site.mine(1).await;
    };
    let looked = look_around(&site, &gate, mine).await;
    assert!(matches!(
        looked,
        Looked::Waiting(_) | Looked::Seen { changed: 0, .. }
    ));
    assert_eq!(unconfirmed(&site).await, [], "its block had it first");
    let second = site.node.send(&hash, 6_000).await.expect("sent");
    assert_eq!(changed(&site).await, 1);
    let mine = async {
        site.mine(1).await;
    };
    look_around(&site, &gate, mine).await;
    let standing = of(&site, &second).await.standing;
    assert_eq!(standing.state(), UnconfirmedState::Included);
    site.mine(1).await;
    assert_eq!(site.posted(Customer).await, 11_000);
    assert_ne!(sent, second);
}

async fn a_double_spend_from_before_a_block_is_not_shown_as_new(engine: Engine) {
    let (site, gate) = gated(engine).await;
    let (_, hash, _) = site.wallet("customer").await;
    let own = site.node.new_address().await.expect("an address");
    let coin = site.node.spendable().await.expect("has coins").remove(0);
    let first = spending(&site, &coin, &hash, 10_000).await;
    let second = spending(&site, &coin, &own, 9_000).await;
    let first_id = id_of(&site, &first).await;
    site.node.send_raw(&first).await.expect("accepted");
    let double_spend = async {
        site.node.mine_only(&[second]).await.expect("mined");
        assert_eq!(site.follow().await, Followed::Idle);
    };
    let looked = look_around(&site, &gate, double_spend).await;
    assert!(matches!(looked, Looked::Waiting(_)), "{looked:?}");
    assert_eq!(unconfirmed(&site).await, [], "{first_id} can never come");
}

async fn what_a_block_has_is_not_unconfirmed_whoever_says_so(engine: Engine) {
    let (site, gate) = gated(engine).await;
    let (_, hash, _) = site.wallet("customer").await;
    site.node.send(&hash, 5_000).await.expect("sent");
    let kept: Arc<Mutex<Option<Mempool>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let tell_nothing: Edit = Box::new(move |answer| {
        let found = std::mem::take(&mut answer.found);
        let mut keep = keep.lock().expect("not poisoned");
        *keep = Some(Mempool {
            found,
            ..Mempool::default()
        });
    });
    *gate.edit.lock().expect("not poisoned") = Some(tell_nothing);
    assert_eq!(changed(&site).await, 0);
    site.mine(1).await;
    // Now the nodes go on to tell of it, at our own tip.
    let told = kept.lock().expect("not poisoned").take().expect("was told");
    assert_eq!(told.found.len(), 1);
    let again: Edit = Box::new(move |answer| answer.found.clone_from(&told.found));
    *gate.edit.lock().expect("not poisoned") = Some(again);
    assert_eq!(changed(&site).await, 0);
    assert_eq!(unconfirmed(&site).await, []);
    *gate.edit.lock().expect("not poisoned") = None;
    let second = site.node.send(&hash, 6_000).await.expect("sent");
    assert_eq!(changed(&site).await, 1);
    assert_eq!(of(&site, &second).await.standing, Standing::Detected);
}
