//! Webhooks of the whole server, through its HTTP API and its own receiver: killed at each step that leaves the
//! process, nothing is lost; and no secret of a webhook is where it does not belong.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use coffer_testkit::Engine;
use coffer_testkit::programs::program;
use coffer_testkit::receiver::Receiver;
use coffer_testkit::serving::{Api, ApiError, Programs, Server, Site, Template};
use serde_json::{Value, json};

use crate::until;

const WALLETS: usize = 12;
const WITHIN: Duration = Duration::from_secs(90);

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment what there is"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn programs() -> Programs {
    let folder: PathBuf = program("coffer")
        .parent()
        .expect("a program lies in a folder")
        .to_owned();
    Programs::in_folder(&folder).expect("the programs are built")
}

/// As `cargo xtask test --engine` chooses.
fn is_asked_for(engine: &str) -> bool {
    environment("COFFER_TEST_ENGINES")
        .is_none_or(|engines| engines.split(',').any(|name| name == engine))
}

/// Receivers of tests listen on loopback.
fn configured(site: &Site) -> Vec<String> {
    let path = site.folder().join("webhooks.toml");
    let text = "[webhooks]\nallow = [\"127.0.0.0/8\"]\nhttp = true\nports = [\"1024-65535\"]\n";
    std::fs::write(&path, text).expect("writes");
    vec!["--config".to_owned(), path.display().to_string()]
}

/// A server that may die, and is started again without its failpoint when it did.
struct Mortal<'a> {
    programs: &'a Programs,
    site: &'a Site,
    more: Vec<String>,
    server: Server,
    deaths: u32,
}

impl Mortal<'_> {
    async fn revive(&mut self) {
        let ended = self.server.ended_within(Duration::from_secs(20)).await;
        assert!(
            ended.is_some(),
            "no answer, and it lives:\n{}",
            self.server.log_tail()
        );
        self.deaths += 1;
        let again = Server::start_armed(self.programs, self.site, None, &self.more).await;
        self.server = again.expect("it starts again");
    }

    /// A call under a key, sent until it has its answer.
    async fn post(&mut self, path: &str, key: &str, body: &Value) -> Value {
        for _ in 0..3 {
            let api = Api::new(&self.server.url, &self.site.token).expect("a client");
            match api.post(path, key, body).await {
                Ok(answer) => return answer,
                Err(ApiError::NoAnswer(_)) => self.revive().await,
                Err(refused) => panic!("{path}: {refused}"),
            }
        }
        panic!("{path} is never answered")
    }

    async fn get(&mut self, path: &str) -> Value {
        for _ in 0..3 {
            let api = Api::new(&self.server.url, &self.site.token).expect("a client");
            match api.get(path).await {
                Ok(answer) => return answer,
                Err(ApiError::NoAnswer(_)) => self.revive().await,
                Err(refused) => panic!("{path}: {refused}"),
            }
        }
        panic!("{path} is never answered")
    }
}

/// Every event that the server ever had, by id.
async fn truth(server: &mut Mortal<'_>) -> HashMap<String, Value> {
    let (mut all, mut cursor) = (HashMap::new(), String::from("0"));
    loop {
        let page = server
            .get(&format!("/v1/events?limit=1000&cursor={cursor}"))
            .await;
        let items = page["items"].as_array().expect("items").clone();
        for event in items {
            all.insert(event["id"].as_str().expect("an id").to_owned(), event);
        }
        let next = &page["next_cursor"];
        let next = next
            .as_str()
            .map_or_else(|| next.to_string(), str::to_owned);
        if page["more"] != true || next == cursor {
            return all;
        }
        cursor = next;
    }
}

fn ids(receiver: &Receiver) -> HashSet<String> {
    receiver.events().into_iter().map(|one| one.id).collect()
}

async fn killed_at(engine: Engine, template: &Template, failpoint: &str, passing: u32) {
    let programs = programs();
    let receiver = Receiver::start().await;
    let site = template.copy().await.expect("a copy");
    let more = configured(&site);
    let armed = format!("{failpoint}:{passing}:kill");
    let server = Server::start_armed(&programs, &site, Some(&armed), &more).await;
    let mut server = Mortal {
        programs: &programs,
        site: &site,
        more,
        server: server.expect("it starts"),
        deaths: 0,
    };
    let body = json!({ "url": receiver.url, "after": 0 });
    let created = server.post("/v1/webhooks", "hook", &body).await;
    assert!(created["id"].is_string());
    for number in 0..WALLETS {
        let body = json!({ "external_id": format!("w-{number}"), "chains": ["evm"] });
        server
            .post("/v1/wallets", &format!("w-{number}"), &body)
            .await;
    }
    let deadline = tokio::time::Instant::now() + WITHIN;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    // Events come by themselves, too (pools that fill), so the truth is a moving one.
    let told = loop {
        let told = truth(&mut server).await;
        let arrived = ids(&receiver);
        let missing = told.iter().find(|(id, _)| !arrived.contains(*id));
        let Some((_, event)) = missing.or_else(|| {
            // The armed step may be one that a lease's renewal passes later.
            (server.deaths == 0).then(|| told.iter().next()).flatten()
        }) else {
            break told;
        };
        let late = tokio::time::Instant::now() >= deadline;
        assert!(
            !late,
            "{engine:?} {armed}: {event}, after {} deaths",
            server.deaths
        );
        tick.tick().await;
    };
    assert_eq!(server.deaths, 1, "{armed}");
    assert!(told.len() >= WALLETS, "{} events", told.len());
    let (arrived, deliveries) = (ids(&receiver), receiver.events().len());
    let told = truth(&mut server).await;
    assert!(
        arrived.iter().all(|id| told.contains_key(id)),
        "{armed}: an event that is none"
    );
    assert!(
        deliveries <= 2 * told.len(),
        "{armed}: {deliveries} deliveries"
    );
    server.server.stop().await.expect("it stops well");
    template.discard(site).await;
}

async fn no_kill_loses_an_event(engine: Engine) {
    let server_url = environment("COFFER_TEST_POSTGRES_URL").filter(|_| engine == Engine::Postgres);
    let template = Template::make(&programs(), engine, server_url.as_deref()).await;
    let template = template.expect("an installation");
    let failpoints = coffer_failpoint::NAMES
        .iter()
        .filter(|name| name.starts_with("webhook."));
    let failpoints: Vec<_> = failpoints.collect();
    assert_eq!(failpoints.len(), 5);
    for failpoint in failpoints {
        let passing = if *failpoint == "webhook.claimed" {
            1
        } else {
            2
        };
        killed_at(engine, &template, failpoint, passing).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_loses_an_event_on_sqlite() {
    if is_asked_for("sqlite") {
        no_kill_loses_an_event(Engine::Sqlite).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_loses_an_event_on_postgresql() {
    if is_asked_for("postgres") {
        no_kill_loses_an_event(Engine::Postgres).await;
    }
}

/// The whole way of a developer: a webhook made, the program's own listener, events printed, a forgery refused.
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_programs_own_listener_takes_what_is_genuine_and_once() {
    let programs = programs();
    let template = Template::make(&programs, Engine::Sqlite, None)
        .await
        .expect("an installation");
    let site = template.copy().await.expect("a copy");
    let server = Server::start_with(&programs, &site, &configured(&site))
        .await
        .expect("it starts");
    let coffer = |arguments: &[&str]| {
        let mut command = Command::new(&programs.coffer);
        command
            .args(arguments)
            .args(["--json", "--server", &server.url]);
        command.env("COFFER_API_KEY", &site.token);
        command
    };
    let answer = |arguments: &[&str]| -> Value {
        let output = coffer(arguments).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let api = Api::new(&server.url, &site.token).expect("a client");
    // The port is free again when the listener takes it; nobody else is told of it.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("bound")
        .port();
    let address = format!("127.0.0.1:{port}");
    let url = format!("http://{address}/");
    let refused = coffer(&["webhook", "create", &url])
        .output()
        .expect("it runs");
    assert_eq!(refused.status.code(), Some(4), "nobody answers there");
    let created = answer(&[
        "webhook",
        "create",
        &url,
        "--no-check",
        "--type",
        "wallet.*",
        "--idempotency-key",
        "k",
    ]);
    let again = answer(&[
        "webhook",
        "create",
        &url,
        "--no-check",
        "--type",
        "wallet.*",
        "--idempotency-key",
        "k",
    ]);
    assert_eq!(
        (&again["id"], &again["secret"]),
        (&created["id"], &Value::Null)
    );
    let (id, secret) = (
        created["id"].as_str().expect("an id"),
        created["secret"].as_str().expect("shown"),
    );
    let file = site.folder().join("secret");
    std::fs::write(&file, secret).expect("writes");

    let mut listening = coffer(&[
        "webhook",
        "listen",
        "--listen",
        &address,
        "--count",
        "2",
        "--secret-file",
        &file.display().to_string(),
    ])
    .stdout(Stdio::piped())
    .spawn()
    .expect("it runs");
    let mut lines = BufReader::new(listening.stdout.take().expect("piped")).lines();
    let mut next = || -> Value {
        let line = lines.next().expect("a line").expect("text");
        serde_json::from_str(&line).expect("JSON")
    };
    assert_eq!(next()["listening"], url);
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let forged = client
        .post(&url)
        .header("webhook-id", "evt_1")
        .header("webhook-timestamp", "1")
        .header("webhook-signature", "v1,AAAA");
    assert_eq!(
        forged.body("{}").send().await.expect("an answer").status(),
        401
    );
    let check = answer(&["webhook", "test", id]);
    assert_eq!(
        (&check["success"], &check["status"]),
        (&json!(true), &json!(200))
    );
    assert_eq!(next()["type"], "coffer.webhook.test");
    let wallet = json!({ "external_id": "w", "chains": ["evm"] });
    let wallet = api.post("/v1/wallets", "w", &wallet).await.expect("made");
    let event = next();
    assert_eq!(
        (&event["type"], &event["subject"]),
        (&json!("coffer.wallet.created"), &wallet["id"])
    );
    assert!(listening.wait().expect("it ends").success());

    let deliveries = format!("/v1/webhooks/{id}/deliveries");
    let log = until("it is written down", || async {
        let log = api.get(&deliveries).await.expect("reads");
        (log["items"]
            .as_array()
            .is_some_and(|items| !items.is_empty()))
        .then_some(log)
    })
    .await;
    assert_eq!(log["items"][0]["result"], "delivered");
    let shown = answer(&["webhook", "deliveries", id, "--result", "delivered"]);
    assert_eq!(shown["data"][0]["event_id"], event["id"]);
    let rotated = answer(&["webhook", "rotate", id, "--overlap-hours", "0"]);
    let next_secret = rotated["secret"].as_str().expect("shown");
    assert!(next_secret.starts_with("whsec_") && next_secret != secret);
    let disabled = answer(&["webhook", "disable", id, "--reason", "moving house"]);
    assert_eq!(
        (&disabled["state"], &disabled["reason"]),
        (&json!("disabled"), &json!("moving house"))
    );
    let event_id = event["id"].as_str().expect("an id");
    let again = answer(&[
        "webhook",
        "redeliver",
        id,
        "--event",
        event_id,
        "--idempotency-key",
        "again",
    ]);
    assert_eq!(again["first"], log["items"][0]["event_sequence"]);
    let receiver = Receiver::start().await;
    let moved = answer(&[
        "webhook",
        "set",
        id,
        "--url",
        &receiver.url,
        "--description",
        "new house",
    ]);
    assert_eq!(
        (&moved["url"], &moved["description"]),
        (&json!(receiver.url), &json!("new house"))
    );
    assert_eq!(answer(&["webhook", "enable", id])["state"], "enabled");
    let came = until("it is sent again, to the new house", || async {
        receiver.events().into_iter().next()
    })
    .await;
    assert_eq!(came.id, event_id);
    assert!(came.is_signed_with(next_secret) && !came.is_signed_with(secret));
    let evil = "http://169.254.169.254:8080/";
    let forbidden = coffer(&["webhook", "set", id, "--url", evil])
        .output()
        .expect("it runs");
    assert_eq!(forbidden.status.code(), Some(4));
    let metrics = api.get_bytes("/metrics").await.expect("served");
    let metrics = String::from_utf8(metrics).expect("text");
    for line in [
        "coffer_webhook_deliveries_total{result=\"delivered\"} 2",
        "coffer_webhook_delivery_seconds_count 2",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
    answer(&["webhook", "delete", id]);
    assert_eq!(answer(&["webhook", "list"])["data"], json!([]));
    server.stop().await.expect("it stops well");
    for entry in std::fs::read_dir(site.data()).expect("reads").flatten() {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        let found = bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "the secret lies in {}", entry.path().display());
    }
    let log = std::fs::read(site.folder().join("serve.log")).expect("reads");
    assert!(
        !log.windows(20)
            .any(|window| secret.as_bytes().starts_with(window))
    );
    template.discard(site).await;
}
