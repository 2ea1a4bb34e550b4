//! What blocks bring, what they spend, and what a reorganization takes back.

use coffer_domain::deposit::DepositState::{Confirmed, Detected, Finalized, Retracted};
use coffer_domain::ledger::AccountKind::{Custody, Customer};
use coffer_platform::{EventFilter, Followed};
use coffer_testkit::Engine;
use coffer_testkit::bitcoind::COIN;

use super::site::Site;
use crate::scene::on_both_engines;

on_both_engines!(
    both_kinds_of_output_are_credited_once,
    a_reward_is_credited_when_it_may_be_spent,
    the_same_transaction_in_another_block_is_one_credit,
    a_double_spend_in_the_other_chain_takes_the_credit_back,
    a_spend_is_recorded_and_given_back,
    a_restart_reads_the_same_again,
);

async fn both_kinds_of_output_are_credited_once(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (wallet, hash, key) = site.wallet("customer").await;
    let (second, other, _) = site.wallet("second").await;
    let outputs = [(hash, 1_000), (key, 2 * COIN + 1), (other, 3_000)];
    let sent = site.node.send_many(&outputs).await.expect("sent");
    site.mine(1).await;
    let deposits = site.deposits().await;
    assert_eq!(deposits.len(), 3);
    assert!(deposits.iter().all(|one| one.state == Detected));
    let of = |id| deposits.iter().filter(|one| one.wallet == id).count();
    assert_eq!((of(wallet.id), of(second.id)), (2, 1));
    let of_this = |transaction: &[u8; 32]| hex::encode(transaction) == sent;
    assert!(
        deposits
            .iter()
            .all(|one| of_this(&one.movement.transaction.0))
    );
    assert_eq!(
        site.posted(Customer).await,
        0,
        "nothing without confirmations"
    );
    site.mine(1).await;
    let deposits = site.deposits().await;
    assert!(deposits.iter().all(|one| one.state == Confirmed));
    assert_eq!(site.posted(Customer).await, 2 * COIN + 4_001);
    site.mine(4).await;
    assert!(
        site.deposits()
            .await
            .iter()
            .all(|one| one.state == Finalized)
    );
    assert_eq!(site.outputs("spent_height IS NULL").await, 3);
    told_with_addresses_of_this_network(&site).await;
}

/// Three deposits in three states each, and their addresses as a wallet of this network writes them.
async fn told_with_addresses_of_this_network(site: &Site) {
    let filter = EventFilter {
        types: vec!["deposit.*".parse().expect("a pattern")],
        subject: None,
    };
    let installation = &site.installation;
    let page = installation
        .platform
        .events(&installation.admin, &filter, 0, 100)
        .await
        .expect("reads");
    assert_eq!(page.items.len(), 9);
    for event in page.items {
        let data: serde_json::Value = serde_json::from_str(&event.data).expect("JSON");
        let address = data["address"].as_str().expect("an address");
        assert!(address.starts_with("bcrt1"), "{address}");
        assert_eq!(data["symbol"], "BTC");
    }
}

async fn a_reward_is_credited_when_it_may_be_spent(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (_, hash, _) = site.wallet("miner").await;
    site.node.mine_to(1, &hash).await.expect("mined");
    site.mine(98).await;
    let deposits = site.deposits().await;
    assert_eq!(deposits.len(), 1);
    assert_eq!(deposits[0].state, Detected, "99 confirmations");
    assert_eq!(deposits[0].movement.part.to_string(), "coinbase:0");
    assert_eq!(site.posted(Customer).await, 0);
    site.mine(1).await;
    assert_eq!(site.deposits().await[0].state, Finalized);
    assert!(site.posted(Customer).await > 0);
}

async fn the_same_transaction_in_another_block_is_one_credit(engine: Engine) {
    let site = Site::create(engine, 20).await;
    let (_, hash, _) = site.wallet("customer").await;
    let sent = site.node.send(&hash, 5_000).await.expect("sent");
    let blocks = site.mine(2).await;
    assert_eq!(site.state_of(&sent).await, Confirmed);
    site.node.invalidate(&blocks[0]).await.expect("taken back");
    // One block without it, then one with it.
    site.node.mine_only(&[]).await.expect("mined");
    site.mine(2).await;
    let deposit = site.deposit_of(&sent).await;
    assert_eq!((deposit.state, deposit.inclusion), (Confirmed, 2));
    assert_eq!(site.posted(Customer).await, 5_000);
    assert_eq!(site.posted(Custody).await, 5_000);
    assert_eq!(site.outputs("spent_height IS NULL").await, 1);
}

async fn a_double_spend_in_the_other_chain_takes_the_credit_back(engine: Engine) {
    let site = Site::create(engine, 20).await;
    let (_, hash, key) = site.wallet("customer").await;
    let coin = site.node.spendable().await.expect("has coins").remove(0);
    let to = |address: &str, sats| [(address.to_owned(), sats)];
    let inputs = std::slice::from_ref(&coin);
    let first = to(&hash, coin.sats - 10_000);
    let first = site.node.signed(inputs, &first).await.expect("signed");
    let second = to(&key, coin.sats - 20_000);
    let second = site.node.signed(inputs, &second).await.expect("signed");
    let block = site.node.mine_only(&[first]).await.expect("mined");
    site.mine(1).await;
    assert_eq!(site.posted(Customer).await, coin.sats - 10_000);
    site.node.invalidate(&block).await.expect("taken back");
    site.node.mine_only(&[second]).await.expect("mined");
    site.mine(2).await;
    let mut states: Vec<_> = site.deposits().await.iter().map(|one| one.state).collect();
    states.sort_unstable_by_key(|state| state.name());
    assert_eq!(states, [Confirmed, Retracted]);
    assert_eq!(site.posted(Customer).await, coin.sats - 20_000);
    assert_eq!(site.outputs("1 = 1").await, 1);
}

async fn a_spend_is_recorded_and_given_back(engine: Engine) {
    let site = Site::create(engine, 20).await;
    let (_, hash, _) = site.wallet("customer").await;
    site.node.send(&hash, 7_000).await.expect("sent");
    site.mine(2).await;
    // The customer's key, as the signer derives it from the words of all installations of tests.
    let spend = super::reconcile::spend_outside(&site, 6_000).await;
    let block = site.mine(1).await.remove(0);
    assert_eq!(site.outputs("spent_height IS NOT NULL").await, 1);
    site.node.invalidate(&block).await.expect("taken back");
    site.node.mine_only(&[]).await.expect("mined");
    site.node.mine_only(&[]).await.expect("mined");
    assert_eq!(site.follow().await, Followed::Idle);
    assert_eq!(site.outputs("spent_height IS NULL").await, 1, "{spend}");
    site.mine(1).await;
    assert_eq!(site.outputs("spent_height IS NOT NULL").await, 1);
}

async fn a_restart_reads_the_same_again(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (_, hash, key) = site.wallet("customer").await;
    site.node.send(&hash, 5_000).await.expect("sent");
    site.mine(1).await;
    site.node.send(&key, 6_000).await.expect("sent");
    site.mine(3).await;
    let before = (site.deposits().await, site.posted(Customer).await);
    let (head, _) = site.node.head().await.expect("answers");
    let first = site.network.settings.start_height;
    for from in [first, first + 1, head] {
        let admin = &site.installation.admin;
        let heights = (
            coffer_domain::block::BlockHeight(from),
            coffer_domain::block::BlockHeight(head),
        );
        let asked = site
            .platform()
            .request_rescan(admin, site.network.id, heights, None)
            .await;
        let _ = asked.expect("taken");
        while site
            .platform()
            .rescan_once(site.network.id)
            .await
            .expect("a step")
        {}
        let after = (site.deposits().await, site.posted(Customer).await);
        assert_eq!(after, before);
        assert_eq!(site.outputs("spent_height IS NULL").await, 2);
    }
}
