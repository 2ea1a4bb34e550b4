//! The program itself, killed where it stores what mempools said and where a block settles it.

use std::path::PathBuf;
use std::time::Duration;

use coffer_testkit::Engine;
use coffer_testkit::bitcoind::{BitcoinLiar, Bitcoind, Options};
use coffer_testkit::programs::program;
use coffer_testkit::serving::{Api, Programs, Server, Site, Template};
use serde_json::{Value, json};

use super::site::REGTEST;
use crate::scene::{on_both_engines, until};

on_both_engines!(a_payment_is_told_and_credited_once_wherever_it_is_killed);

const DIES_WITHIN: Duration = Duration::from_secs(60);

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment where the server is"
)]
fn postgres_url() -> Option<String> {
    std::env::var("COFFER_TEST_POSTGRES_URL").ok()
}

struct Scene {
    programs: Programs,
    template: Template,
    site: Site,
    node: Bitcoind,
    _front: BitcoinLiar,
    address: String,
    network: String,
}

impl Scene {
    /// An installation that follows a node and has one customer; not running.
    async fn set(engine: Engine) -> Self {
        let folder: PathBuf = program("coffer").parent().expect("in a folder").into();
        let programs = Programs::in_folder(&folder).expect("built");
        let url = postgres_url().filter(|_| engine == Engine::Postgres);
        let template = Template::make(&programs, engine, url.as_deref()).await;
        let template = template.expect("made");
        let site = template.copy().await.expect("copied");
        let node = Bitcoind::start(&Options::default()).await.expect("starts");
        node.fund(5).await.expect("has coins");
        // It has the node's login, so that the installation needs none.
        let front = BitcoinLiar::start(&node.url_with_credentials()).await;
        let front = front.expect("listens");
        let server = Server::start(&programs, &site, None).await.expect("runs");
        let api = Api::new(&server.url, &site.token).expect("a client");
        let (height, _) = node.head().await.expect("answers");
        let network = json!({
            "chain": REGTEST, "name": "regtest", "nodes": [{ "rpc": front.url() }], "quorum": 1,
            "confirmations": 2, "finality": { "rule": "depth", "blocks": 20 },
            "start_height": height + 1, "poll_interval_ms": 50,
        });
        let network = api.post("/v1/networks", "network", &network).await;
        let network = network.expect("added")["id"].clone();
        let network = network.as_str().expect("an id").to_owned();
        let asset =
            json!({ "name": format!("{REGTEST}/slip44:0"), "symbol": "BTC", "decimals": 8 });
        let path = format!("/v1/networks/{network}/assets");
        api.post(&path, "asset", &asset).await.expect("added");
        let csv = b"external_id\ncustomer\n".to_vec();
        let batch = api.upload(csv, "bitcoin", "customer").await.expect("taken");
        let batch = format!("/v1/batches/{}", batch["id"].as_str().expect("an id"));
        until("the batch is done", async || {
            let state = api.get(&batch).await.expect("reads")["state"].clone();
            (state == "completed").then_some(())
        })
        .await;
        let listed = api.get("/v1/wallets").await.expect("reads");
        let text = listed.to_string();
        let from = text
            .find("bcrt1")
            .or_else(|| text.find("bc1"))
            .expect("an address");
        let address = text[from..].split('"').next().expect("text").to_owned();
        server.stop().await.expect("ends");
        let address = on_regtest(&address);
        Self {
            programs,
            template,
            site,
            node,
            _front: front,
            address,
            network,
        }
    }

    async fn start(&self, failpoint: Option<&str>) -> (Server, Api) {
        let server = Server::start(&self.programs, &self.site, failpoint).await;
        let server = server.expect("runs");
        let api = Api::new(&server.url, &self.site.token).expect("a client");
        (server, api)
    }

    /// Until the installation stands where the node stands.
    async fn caught_up(&self, api: &Api) {
        let (height, _) = self.node.head().await.expect("answers");
        let path = format!("/v1/networks/{}", self.network);
        until("the installation has caught up", async || {
            let network = api.get(&path).await.expect("reads");
            (network["progress"]["height"] == json!(height)).then_some(())
        })
        .await;
    }
}

/// The address of the same key on regtest.
fn on_regtest(address: &str) -> String {
    let parsed = coffer_chains::parse(address).expect("an address").payload;
    super::site::text(&parsed)
}

async fn unconfirmed(api: &Api, txid: &str) -> Option<Value> {
    let page = api.get("/v1/deposits/unconfirmed").await.expect("reads");
    let items = page["items"].as_array().expect("a list").clone();
    let own = |item: &Value| item["transaction"] == json!(format!("0x{txid}"));
    let mut own: Vec<Value> = items.into_iter().filter(own).collect();
    assert!(own.len() < 2, "{own:?}");
    own.pop()
}

/// How often each type of event was told of an object.
async fn told(api: &Api, id: &str) -> Vec<String> {
    let page = api.get("/v1/events?limit=1000").await.expect("reads");
    let items = page["items"].as_array().expect("a list").iter();
    let of = items.filter(|event| event["subject"] == json!(id));
    let types = of.map(|event| event["type"].as_str().expect("a type").to_owned());
    types.collect()
}

async fn a_payment_is_told_and_credited_once_wherever_it_is_killed(engine: Engine) {
    let scene = Scene::set(engine).await;
    scene.node.mine(1).await.expect("mined");
    let mut payments = Vec::new();
    for point in ["mempool.before_commit", "mempool.after_commit"] {
        let (mut server, api) = scene.start(Some(&format!("{point}:1:kill"))).await;
        scene.caught_up(&api).await;
        let sent = scene.node.send(&scene.address, 5_000).await.expect("sent");
        assert!(server.ended_within(DIES_WITHIN).await.is_some(), "{point}");
        let (server, api) = scene.start(None).await;
        let seen = until("it is seen", async || unconfirmed(&api, &sent).await).await;
        assert_eq!(seen["state"], json!("detected"));
        payments.push(seen["id"].as_str().expect("an id").to_owned());
        server.stop().await.expect("ends");
    }
    let (mut server, api) = scene.start(Some("block.before_commit:1:kill")).await;
    for id in &payments {
        let shown = api.get(&format!("/v1/deposits/{id}")).await.expect("reads");
        let what = (
            &shown["unconfirmed"],
            &shown["block"],
            &shown["confirmations"],
        );
        assert_eq!(what, (&json!(true), &Value::Null, &json!(0)));
        assert_eq!(
            (&shown["state"], &shown["amount"]),
            (&json!("detected"), &json!("0.00005"))
        );
    }
    scene.node.mine(1).await.expect("mined");
    assert!(server.ended_within(DIES_WITHIN).await.is_some());
    let (server, api) = scene.start(None).await;
    scene.node.mine(1).await.expect("mined");
    scene.caught_up(&api).await;
    for id in &payments {
        let shown = api.get(&format!("/v1/deposits/{id}")).await.expect("reads");
        let what = (&shown["unconfirmed"], &shown["state"]);
        assert_eq!(what, (&json!(false), &json!("confirmed")));
        let expected = [
            "coffer.deposit.unconfirmed",
            "coffer.deposit.detected",
            "coffer.deposit.confirmed",
        ];
        assert_eq!(told(&api, id).await, expected);
        let page = api.get("/v1/deposits/unconfirmed?state=included").await;
        let page = page.expect("reads");
        let items = page["items"].as_array().expect("a list");
        assert!(
            items.iter().any(|item| item["id"] == json!(id)),
            "{items:?}"
        );
    }
    server.stop().await.expect("ends");
    scene.template.discard(scene.site).await;
}
