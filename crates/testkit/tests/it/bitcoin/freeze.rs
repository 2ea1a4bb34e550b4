//! Two nodes that part and meet again, within finality and beneath it.

use coffer_domain::deposit::DepositState::{Confirmed, Finalized, Retracted};
use coffer_domain::ledger::AccountKind::Customer;
use coffer_domain::network::NetworkState;
use coffer_platform::{Followed, Scope};
use coffer_testkit::Engine;
use coffer_testkit::bitcoind::{Bitcoind, Options};

use super::site::Site;
use crate::scene::{colleague, on_both_engines};

on_both_engines!(
    a_healed_partition_takes_back_what_the_longer_chain_does_not_have,
    deeper_than_finality_freezes_until_two_people_resume,
);

/// Another node with the same chain, connected.
async fn partner(site: &Site) -> Bitcoind {
    let other = Bitcoind::start(&Options::default()).await.expect("starts");
    site.node.join(&other).await.expect("join");
    other
}

async fn a_healed_partition_takes_back_what_the_longer_chain_does_not_have(engine: Engine) {
    let site = Site::create(engine, 20).await;
    let (_, hash, _) = site.wallet("customer").await;
    let other = partner(&site).await;
    site.node.part().await.expect("parted");
    let sent = site.node.send(&hash, 9_000).await.expect("sent");
    site.mine(2).await;
    assert_eq!(site.state_of(&sent).await, Confirmed);
    other.mine(3).await.expect("mined");
    site.node.join(&other).await.expect("healed");
    assert_eq!(site.follow().await, Followed::Idle);
    assert_eq!(site.state_of(&sent).await, Retracted);
    assert_eq!(site.posted(Customer).await, 0);
    // It went back into the pool of the node that knew it.
    site.mine(2).await;
    let deposit = site.deposit_of(&sent).await;
    assert_eq!((deposit.state, deposit.inclusion), (Confirmed, 2));
    assert_eq!(site.posted(Customer).await, 9_000);
}

async fn deeper_than_finality_freezes_until_two_people_resume(engine: Engine) {
    let site = Site::create(engine, 3).await;
    let (_, hash, _) = site.wallet("customer").await;
    let other = partner(&site).await;
    site.node.part().await.expect("parted");
    let sent = site.node.send(&hash, 9_000).await.expect("sent");
    site.mine(4).await;
    assert_eq!(site.state_of(&sent).await, Finalized);
    other.mine(6).await.expect("mined");
    site.node.join(&other).await.expect("healed");
    assert_eq!(site.follow().await, Followed::Frozen);
    assert_eq!(site.state_of(&sent).await, Finalized, "nothing was undone");
    assert_eq!(site.posted(Customer).await, 9_000);
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let second = colleague(platform, admin, &[Scope::NetworksWrite]).await;
    let resume = |caller| platform.resume_network(caller, site.network.id, None);
    let _ = resume(admin).await.expect("the first");
    assert_eq!(site.follow().await, Followed::Frozen);
    assert!(resume(admin).await.is_err(), "the same person twice");
    let _ = resume(&second).await.expect("the second");
    assert_eq!(site.follow().await, Followed::Idle);
    assert_eq!(site.state_of(&sent).await, Retracted);
    let network = platform.network(admin, site.network.id).await;
    assert_eq!(network.expect("reads").state, NetworkState::Active);
}
