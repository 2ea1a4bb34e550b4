//! Payments that no block has yet, on a real node: seen, replaced, evicted, double-spent, malleated, included, and
//! back again; credited once, by their block alone.

use coffer_domain::deposit::DepositState::{Confirmed, Detected, Retracted};
use coffer_domain::id::DepositId;
use coffer_domain::ledger::AccountKind::{Custody, Customer};
use coffer_domain::unconfirmed::{Standing, Unconfirmed, UnconfirmedState};
use coffer_platform::{
    AssetChange, EventFilter, Followable, Followed, Looked, UnconfirmedFilter, UnconfirmedPage,
};
use coffer_testkit::Engine;
use coffer_testkit::bitcoind::{COIN, Output};
use ruint::aliases::U256;
use serde_json::{Value, json};

use super::site::{Site, executed};
use crate::scene::on_both_engines;

on_both_engines!(
    a_payment_is_seen_and_then_credited_once_under_the_same_id,
    what_replaces_a_payment_is_named_and_pays_or_does_not,
    an_evicted_payment_comes_back,
    a_double_spend_in_a_block_ends_a_payment_and_taking_it_back_does_not_revive_it,
    a_malleated_payment_is_credited_once_under_its_new_name,
    a_payment_reorganized_away_and_included_again_is_one_credit,
    what_is_too_small_or_not_on_the_list_or_paused_is_not_shown,
    a_flood_is_bounded_and_credited_all_the_same,
    two_processes_and_repeated_looks_show_one_payment,
    an_edited_row_is_refused_and_stops_no_block,
    ended_ones_are_removed_after_a_while,
);

pub(super) async fn look(site: &Site) -> Looked {
    let looked = site.platform().look_at_mempool(site.network.id).await;
    looked.expect("a look")
}

/// A look, and how many it changed.
pub(super) async fn changed(site: &Site) -> usize {
    match look(site).await {
        Looked::Seen { changed, .. } => changed,
        other => panic!("nothing was seen: {other:?}"),
    }
}

async fn page(site: &Site) -> UnconfirmedPage {
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let filter = UnconfirmedFilter::default();
    let page = platform.unconfirmed_deposits(admin, &filter, None, 1000);
    page.await.expect("reads")
}

pub(super) async fn unconfirmed(site: &Site) -> Vec<Unconfirmed> {
    let page = page(site).await;
    assert!(page.refused.is_empty(), "{:?}", page.refused);
    page.items
        .into_iter()
        .map(|view| view.unconfirmed)
        .collect()
}

pub(super) async fn of(site: &Site, txid: &str) -> Unconfirmed {
    let all = unconfirmed(site).await.into_iter();
    let mut of: Vec<_> = all
        .filter(|one| hex::encode(one.movement.transaction.0) == txid)
        .collect();
    assert_eq!(of.len(), 1, "{of:?}");
    of.remove(0)
}

async fn state_of(site: &Site, txid: &str) -> UnconfirmedState {
    of(site, txid).await.standing.state()
}

async fn replaced_by(site: &Site, txid: &str) -> Option<String> {
    let by = of(site, txid).await.standing.replaced_by();
    by.map(|by| hex::encode(by.0))
}

/// What is shown by the id: whether it is unconfirmed, and its state.
async fn shown(site: &Site, id: DepositId) -> (bool, &'static str) {
    let (platform, admin) = (site.platform(), &site.installation.admin);
    match platform.followable(admin, id).await.expect("reads") {
        Followable::Deposit(view) => (false, view.deposit.state.name()),
        Followable::Unconfirmed(view) => (true, view.unconfirmed.standing.state().name()),
    }
}

/// Type and data of what others were told, by pattern.
async fn told(site: &Site, pattern: &str) -> Vec<(String, Value)> {
    let filter = EventFilter {
        types: vec![pattern.parse().expect("a pattern")],
        subject: None,
    };
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let page = platform.events(admin, &filter, 0, 500).await;
    let items = page.expect("reads").items.into_iter();
    items
        .map(|event| {
            let data = serde_json::from_str(&event.data).expect("JSON");
            (event.kind.name().to_owned(), data)
        })
        .collect()
}

async fn names(site: &Site, pattern: &str) -> Vec<String> {
    let told = told(site, pattern).await.into_iter();
    told.map(|(name, _)| name).collect()
}

/// The ledger has not been touched at all.
async fn nothing_posted(site: &Site) {
    assert_eq!(names(site, "ledger.*").await, Vec::<String>::new());
    assert_eq!(
        (site.posted(Customer).await, site.posted(Custody).await),
        (0, 0)
    );
}

fn to(address: &str, sats: u64) -> [(String, u64); 1] {
    [(address.to_owned(), sats)]
}

async fn coins(site: &Site) -> Vec<Output> {
    site.node.spendable().await.expect("has coins")
}

/// A transaction that spends the coin wholly to the address, with this fee; not sent.
pub(super) async fn spending(site: &Site, coin: &Output, address: &str, fee: u64) -> String {
    let outputs = to(address, coin.sats - fee);
    let signed = site.node.signed(std::slice::from_ref(coin), &outputs);
    signed.await.expect("signed")
}

pub(super) async fn id_of(site: &Site, raw: &str) -> String {
    let params = json!([raw]);
    let decoded = site.node.rpc().call("decoderawtransaction", params).await;
    let decoded = decoded.expect("decodes");
    decoded["txid"].as_str().expect("an id").to_owned()
}

async fn send_raw(site: &Site, raw: &str) -> String {
    site.node.send_raw(raw).await.expect("accepted")
}

async fn a_payment_is_seen_and_then_credited_once_under_the_same_id(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (wallet, hash, _) = site.wallet("customer").await;
    assert!(matches!(look(&site).await, Looked::Waiting(_)), "no tip");
    site.mine(1).await;
    assert_eq!(changed(&site).await, 0);
    let sent = site.node.send(&hash, 5_000).await.expect("sent");
    assert_eq!(changed(&site).await, 1);
    let seen = of(&site, &sent).await;
    assert_eq!(seen.standing, Standing::Detected);
    assert_eq!((seen.wallet, seen.units), (wallet.id, U256::from(5_000)));
    assert_eq!(shown(&site, seen.id).await, (true, "detected"));
    assert_eq!(site.deposits().await, []);
    nothing_posted(&site).await;
    let events = told(&site, "deposit.*").await;
    assert_eq!(events.len(), 1);
    let (name, data) = &events[0];
    assert_eq!(name, "deposit.unconfirmed");
    assert_eq!(data["id"], json!(seen.id.to_string()));
    assert_eq!(
        (&data["units"], &data["symbol"]),
        (&json!("5000"), &json!("BTC"))
    );
    assert!(
        data["address"]
            .as_str()
            .expect("an address")
            .starts_with("bcrt1")
    );
    // Once is enough.
    assert_eq!(changed(&site).await, 0);
    site.mine(1).await;
    let deposit = site.deposit_of(&sent).await;
    assert_eq!((deposit.id, deposit.state), (seen.id, Detected));
    assert_eq!(state_of(&site, &sent).await, UnconfirmedState::Included);
    assert_eq!(shown(&site, seen.id).await, (false, "detected"));
    assert_eq!(changed(&site).await, 0);
    site.mine(1).await;
    assert_eq!(site.state_of(&sent).await, Confirmed);
    assert_eq!(site.posted(Customer).await, 5_000);
    let expected = [
        "deposit.unconfirmed",
        "deposit.detected",
        "deposit.confirmed",
    ];
    assert_eq!(names(&site, "deposit.*").await, expected);
}

async fn what_replaces_a_payment_is_named_and_pays_or_does_not(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (_, hash, key) = site.wallet("customer").await;
    site.mine(1).await;
    let coin = coins(&site).await.remove(0);
    let own = site.node.new_address().await.expect("an address");
    let first = send_raw(&site, &spending(&site, &coin, &hash, 10_000).await).await;
    assert_eq!(changed(&site).await, 1);
    let second = send_raw(&site, &spending(&site, &coin, &key, 20_000).await).await;
    assert_eq!(changed(&site).await, 2);
    assert_eq!(replaced_by(&site, &first).await, Some(second.clone()));
    assert_eq!(state_of(&site, &first).await, UnconfirmedState::Replaced);
    assert_eq!(state_of(&site, &second).await, UnconfirmedState::Detected);
    let third = send_raw(&site, &spending(&site, &coin, &own, 30_000).await).await;
    assert_eq!(changed(&site).await, 1);
    assert_eq!(replaced_by(&site, &second).await, Some(third.clone()));
    nothing_posted(&site).await;
    let block = site.mine(1).await.remove(0);
    for ended in [&first, &second] {
        let standing = of(&site, ended).await.standing;
        let Standing::DoubleSpent { by, block: at } = standing else {
            panic!("{standing:?}");
        };
        assert_eq!(
            (hex::encode(by.0), hex::encode(at.hash.0)),
            (third.clone(), block.clone())
        );
    }
    site.mine(2).await;
    assert_eq!(site.deposits().await, []);
    nothing_posted(&site).await;
    let events = told(&site, "deposit.*").await;
    let told: Vec<_> = events
        .iter()
        .map(|(name, data)| (name.as_str(), data["state"].as_str().expect("a state")))
        .collect();
    let expected = [
        ("deposit.unconfirmed", "detected"),
        ("deposit.dropped", "replaced"),
        ("deposit.unconfirmed", "detected"),
        ("deposit.dropped", "replaced"),
        ("deposit.dropped", "double_spent"),
        ("deposit.dropped", "double_spent"),
    ];
    let mut sorted = told.clone();
    sorted.sort_unstable();
    let mut wanted = expected;
    wanted.sort_unstable();
    assert_eq!(sorted, wanted, "{told:?}");
    let last = &events.last().expect("some").1;
    assert_eq!(last["replaced_by"], json!(format!("0x{third}")));
    assert_eq!(last["replaced_in"]["hash"], json!(format!("0x{block}")));
}

async fn an_evicted_payment_comes_back(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (_, hash, _) = site.wallet("customer").await;
    site.mine(1).await;
    let coins = coins(&site).await;
    let own = site.node.new_address().await.expect("an address");
    let raw = spending(&site, &coins[0], &hash, 10_000).await;
    let sent = send_raw(&site, &raw).await;
    assert_eq!(changed(&site).await, 1);
    // Nodes forget after 14 days what no block takes, when the next transaction comes.
    let now = site.installation.clock_ms() / 1000;
    let later = now + 15 * 24 * 3600;
    let clock = |at: i64| site.node.rpc().call("setmocktime", json!([at]));
    clock(later).await.expect("set");
    send_raw(&site, &spending(&site, &coins[1], &own, 10_000).await).await;
    assert_eq!(changed(&site).await, 1);
    assert_eq!(of(&site, &sent).await.standing, Standing::Evicted);
    assert_eq!(changed(&site).await, 0);
    send_raw(&site, &raw).await;
    assert_eq!(changed(&site).await, 1);
    assert_eq!(of(&site, &sent).await.standing, Standing::Detected);
    nothing_posted(&site).await;
    site.mine(2).await;
    assert_eq!(site.state_of(&sent).await, Confirmed);
    assert_eq!(site.posted(Customer).await, coins[0].sats - 10_000);
    let expected = [
        "deposit.unconfirmed",
        "deposit.dropped",
        "deposit.unconfirmed",
        "deposit.detected",
        "deposit.confirmed",
    ];
    assert_eq!(names(&site, "deposit.*").await, expected);
}

async fn a_double_spend_in_a_block_ends_a_payment_and_taking_it_back_does_not_revive_it(
    engine: Engine,
) {
    let site = Site::create(engine, 20).await;
    let (_, hash, key) = site.wallet("customer").await;
    site.mine(1).await;
    let coin = coins(&site).await.remove(0);
    let first = send_raw(&site, &spending(&site, &coin, &hash, 10_000).await).await;
    assert_eq!(changed(&site).await, 1);
    let second = spending(&site, &coin, &key, 9_000).await;
    let second_id = id_of(&site, &second).await;
    let block = site.node.mine_only(&[second]).await.expect("mined");
    assert_eq!(site.follow().await, Followed::Idle);
    assert_eq!(replaced_by(&site, &first).await, Some(second_id.clone()));
    assert_eq!(state_of(&site, &first).await, UnconfirmedState::DoubleSpent);
    site.mine(1).await;
    assert_eq!(site.posted(Customer).await, coin.sats - 9_000);
    // What comes after a block says nothing against it.
    assert_eq!(changed(&site).await, 0);

    site.node.invalidate(&block).await.expect("taken back");
    for _ in 0..3 {
        site.node.mine_only(&[]).await.expect("mined");
    }
    assert_eq!(site.follow().await, Followed::Idle);
    assert_eq!(site.state_of(&second_id).await, Retracted);
    assert_eq!(site.posted(Customer).await, 0);
    assert_eq!(of(&site, &first).await.standing, Standing::Evicted);
    // The node has the second one back.
    assert_eq!(changed(&site).await, 2);
    assert_eq!(
        state_of(&site, &second_id).await,
        UnconfirmedState::Detected
    );
    assert_eq!(replaced_by(&site, &first).await, Some(second_id.clone()));
    site.mine(2).await;
    assert_eq!(state_of(&site, &first).await, UnconfirmedState::DoubleSpent);
    assert_eq!(site.posted(Customer).await, coin.sats - 9_000);
}

/// A script that anybody may satisfy: it drops what it is given. What is given is not signed by anybody.
const ANYBODY: &str = "7551";

/// The raw transaction with this pushed before the script, as its only input's proof.
fn proven(raw: &str, given: &str) -> String {
    // Version, one input, its output's id and number.
    let at = 2 * (4 + 1 + 32 + 4);
    assert_eq!(&raw[at..at + 2], "00", "an input without its proof");
    let script = format!("02{given}02{ANYBODY}");
    format!(
        "{}{:02x}{script}{}",
        &raw[..at],
        script.len() / 2,
        &raw[at + 2..]
    )
}

async fn a_malleated_payment_is_credited_once_under_its_new_name(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (_, hash, _) = site.wallet("customer").await;
    let script = site.node.rpc().call("decodescript", json!([ANYBODY])).await;
    let open = script.expect("decodes")["p2sh"]
        .as_str()
        .expect("text")
        .to_owned();
    let parent = site.node.send(&open, COIN).await.expect("sent");
    site.mine(1).await;
    let raw = site
        .node
        .rpc()
        .call("getrawtransaction", json!([parent, 1]))
        .await;
    let shown_tx = match raw {
        Ok(shown) => shown,
        Err(_) => {
            let tip = site.node.head().await.expect("answers").1;
            let params = json!([parent, 1, tip]);
            let found = site.node.rpc().call("getrawtransaction", params).await;
            found.expect("in the tip")
        }
    };
    let outputs = shown_tx["vout"].as_array().expect("outputs");
    let vout = outputs
        .iter()
        .position(|one| one["scriptPubKey"]["address"] == json!(open));
    let inputs = json!([{ "txid": parent, "vout": vout.expect("paid") }]);
    let params = json!([inputs, [{ hash.as_str(): "0.99990000" }]]);
    let raw = site.node.rpc().call("createrawtransaction", params).await;
    let raw = raw.expect("made").as_str().expect("text").to_owned();
    let (first, second) = (proven(&raw, "aabb"), proven(&raw, "ccdd"));
    let first = send_raw(&site, &first).await;
    let second_id = id_of(&site, &second).await;
    assert_ne!(first, second_id);
    assert_eq!(changed(&site).await, 1);
    site.node.mine_only(&[second]).await.expect("mined");
    assert_eq!(site.follow().await, Followed::Idle);
    assert_eq!(state_of(&site, &first).await, UnconfirmedState::DoubleSpent);
    assert_eq!(replaced_by(&site, &first).await, Some(second_id.clone()));
    site.mine(1).await;
    assert_eq!(site.deposits().await.len(), 1);
    assert_eq!(site.state_of(&second_id).await, Confirmed);
    assert_eq!(site.posted(Customer).await, 99_990_000);
}

async fn a_payment_reorganized_away_and_included_again_is_one_credit(engine: Engine) {
    let site = Site::create(engine, 20).await;
    let (_, hash, _) = site.wallet("customer").await;
    site.mine(1).await;
    let sent = site.node.send(&hash, 5_000).await.expect("sent");
    assert_eq!(changed(&site).await, 1);
    let blocks = site.mine(2).await;
    assert_eq!(site.posted(Customer).await, 5_000);
    site.node.invalidate(&blocks[0]).await.expect("taken back");
    for _ in 0..3 {
        site.node.mine_only(&[]).await.expect("mined");
    }
    assert_eq!(site.follow().await, Followed::Idle);
    let taken_back = of(&site, &sent).await;
    assert_eq!(taken_back.standing, Standing::Evicted, "no node said more");
    assert_eq!(changed(&site).await, 1);
    assert_eq!(of(&site, &sent).await.standing, Standing::Detected);
    assert_eq!(shown(&site, taken_back.id).await, (false, "retracted"));
    assert_eq!(site.posted(Customer).await, 0);
    site.mine(2).await;
    let deposit = site.deposit_of(&sent).await;
    assert_eq!((deposit.id, deposit.inclusion), (taken_back.id, 2));
    assert_eq!(state_of(&site, &sent).await, UnconfirmedState::Included);
    assert_eq!(site.posted(Customer).await, 5_000);
    assert_eq!(site.posted(Custody).await, 5_000);
    let expected = [
        "deposit.unconfirmed",
        "deposit.detected",
        "deposit.confirmed",
        "deposit.retracted",
        "deposit.unconfirmed",
        "deposit.detected",
        "deposit.confirmed",
    ];
    assert_eq!(names(&site, "deposit.*").await, expected);
}

async fn what_is_too_small_or_not_on_the_list_or_paused_is_not_shown(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (_, hash, _) = site.wallet("customer").await;
    site.mine(1).await;
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let minimum = AssetChange {
        deposit_units_min: Some(U256::from(5_000)),
        ..AssetChange::default()
    };
    let set = platform.set_asset(admin, site.coin.id, minimum).await;
    set.expect("set");
    site.node.send(&hash, 4_999).await.expect("sent");
    let enough = site.node.send(&hash, 5_000).await.expect("sent");
    assert_eq!(changed(&site).await, 1);
    assert_eq!(state_of(&site, &enough).await, UnconfirmedState::Detected);
    let paused = platform.pause_network(admin, site.network.id, "a test", None);
    let _ = executed(paused.await.expect("paused"));
    let more = site.node.send(&hash, 6_000).await.expect("sent");
    assert!(matches!(look(&site).await, Looked::Waiting(_)));
    assert_eq!(unconfirmed(&site).await.len(), 1);
    let resumed = platform.resume_network(admin, site.network.id, None);
    let _ = executed(resumed.await.expect("resumed"));
    assert_eq!(changed(&site).await, 1);
    assert_eq!(state_of(&site, &more).await, UnconfirmedState::Detected);
    let off = AssetChange {
        enabled: Some(false),
        reason: Some("a test".to_owned()),
        ..AssetChange::default()
    };
    let set = platform.set_asset(admin, site.coin.id, off).await;
    set.expect("off");
    site.node.send(&hash, 7_000).await.expect("sent");
    assert_eq!(changed(&site).await, 0);
    assert_eq!(unconfirmed(&site).await.len(), 2);
}

async fn a_flood_is_bounded_and_credited_all_the_same(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (_, hash, key) = site.wallet("customer").await;
    let (_, other, _) = site.wallet("other").await;
    site.mine(1).await;
    let coins = coins(&site).await;
    for coin in &coins[..4] {
        chain_of_payments(&site, coin, (&hash, &key)).await;
    }
    assert_eq!(changed(&site).await, 96);
    chain_of_payments(&site, &coins[4], (&hash, &key)).await;
    site.node.send(&other, 5_000).await.expect("sent");
    assert_eq!(
        changed(&site).await,
        5,
        "four more of the flooded wallet, and the other's"
    );
    assert_eq!(changed(&site).await, 0);
    site.mine(2).await;
    assert_eq!(site.deposits().await.len(), 5 * 24 + 1);
    assert!(
        site.deposits()
            .await
            .iter()
            .all(|one| one.state == Confirmed)
    );
}

/// Twelve transactions, each spending the rest of the one before and paying both addresses. Nodes take no longer chain
/// than 25.
async fn chain_of_payments(site: &Site, coin: &Output, (one, two): (&str, &str)) {
    let own = site.node.new_address().await.expect("an address");
    let (mut coin, sats) = (coin.clone(), 1_000);
    for _ in 0..12 {
        let rest = coin.sats - 2 * sats - 2_000;
        let outputs = [
            (own.clone(), rest),
            (one.to_owned(), sats),
            (two.to_owned(), sats),
        ];
        let signed = site
            .node
            .signed(std::slice::from_ref(&coin), &outputs)
            .await;
        let txid = send_raw(site, &signed.expect("signed")).await;
        coin = Output {
            txid,
            vout: 0,
            sats: rest,
        };
    }
}

async fn two_processes_and_repeated_looks_show_one_payment(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (_, hash, _) = site.wallet("customer").await;
    site.mine(1).await;
    let other = site.installation.reopen().await;
    let sent = site.node.send(&hash, 5_000).await.expect("sent");
    let id = site.network.id;
    let both = tokio::join!(
        site.platform().look_at_mempool(id),
        other.look_at_mempool(id),
        site.platform().look_at_mempool(id),
    );
    let seen = |looked: Result<Looked, _>| match looked.expect("a look") {
        Looked::Seen { changed, .. } => changed,
        Looked::Waiting(_) | Looked::Unsupported => 0,
    };
    assert_eq!(seen(both.0) + seen(both.1) + seen(both.2), 1);
    assert_eq!(of(&site, &sent).await.version, 1);
    assert_eq!(names(&site, "deposit.*").await, ["deposit.unconfirmed"]);
}

async fn an_edited_row_is_refused_and_stops_no_block(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (_, hash, _) = site.wallet("customer").await;
    site.mine(1).await;
    let sent = site.node.send(&hash, 5_000).await.expect("sent");
    assert_eq!(changed(&site).await, 1);
    let id = of(&site, &sent).await.id;
    let database = &site.installation.database;
    let edit = "UPDATE unconfirmed_deposits SET wallet_id = network_id";
    assert_eq!(database.tamper(edit).await, 1);
    let page = page(&site).await;
    assert_eq!((page.items.len(), page.refused), (0, vec![id]));
    let (platform, admin) = (site.platform(), &site.installation.admin);
    assert!(platform.followable(admin, id).await.is_err());
    assert_eq!(changed(&site).await, 0, "it is left alone");
    site.mine(2).await;
    assert_eq!(site.state_of(&sent).await, Confirmed);
    assert_eq!(site.posted(Customer).await, 5_000);
    assert_eq!(shown(&site, id).await, (false, "confirmed"));
}

async fn ended_ones_are_removed_after_a_while(engine: Engine) {
    let site = Site::create(engine, 6).await;
    let (_, hash, _) = site.wallet("customer").await;
    site.mine(1).await;
    let first = site.node.send(&hash, 5_000).await.expect("sent");
    assert_eq!(changed(&site).await, 1);
    site.mine(1).await;
    const DAY_MS: i64 = 24 * 3600 * 1000;
    site.installation.clock.advance_ms(13 * DAY_MS);
    let second = site.node.send(&hash, 6_000).await.expect("sent");
    assert_eq!(changed(&site).await, 1);
    assert_eq!(state_of(&site, &first).await, UnconfirmedState::Included);
    site.mine(1).await;
    site.installation.clock.advance_ms(2 * DAY_MS);
    let third = site.node.send(&hash, 7_000).await.expect("sent");
    assert_eq!(changed(&site).await, 1);
    let mut left: Vec<_> = unconfirmed(&site)
        .await
        .iter()
        .map(|one| hex::encode(one.movement.transaction.0))
        .collect();
    left.sort_unstable();
    let mut expected = [second, third];
    expected.sort_unstable();
    assert_eq!(left, expected);
    let count = "UPDATE unconfirmed_inputs SET output_number = output_number";
    let kept = site.installation.database.tamper(count).await;
    let inputs: usize = unconfirmed(&site)
        .await
        .iter()
        .map(|one| one.inputs.len())
        .sum();
    assert_eq!(kept, inputs as u64);
    assert_eq!(site.state_of(&first).await, Confirmed, "its deposit stays");
}
