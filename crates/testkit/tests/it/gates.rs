//! The four gates, the hook with a real HTTP service on this host.

#![expect(
    clippy::too_many_lines,
    reason = "a test tells one story from its beginning to its end"
)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_domain::id::{VaultId, WalletId};
use coffer_domain::vault::{Gate, GateMode};
use coffer_domain::wallet::{Decision, Wallet, WalletState};
use coffer_platform::batches::parse::Format;
use coffer_platform::batches::{ResultRow, RowStatus};
use coffer_platform::{Answer, Caller, Error, Platform, Scope};
use coffer_testkit::{Engine, Installation};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::scene::{
    Workers, assign, colleague, csv, external_id, on_both_engines, results, run, until, upload,
    without_pool,
};

on_both_engines!(
    an_automatic_gate_lets_everybody_in,
    an_allow_list_lets_the_listed_in,
    a_forged_allow_list_entry_is_refused,
    a_manual_gate_wants_another_actor,
    addresses_of_pending_wallets_are_not_shown,
    a_hook_approves_rejects_or_asks_for_review,
    a_hook_that_fails_is_asked_again,
    a_hook_that_never_answers_is_given_up,
    an_answer_to_a_gate_that_changed_does_not_count,
    a_new_hook_is_asked_about_those_who_wait,
);

pub(crate) async fn set(installation: &Installation, mode: GateMode) {
    let gate = Gate {
        mode,
        hook_url: None,
    };
    let set = installation
        .platform
        .set_gate(&installation.admin, installation.vault, gate)
        .await
        .expect("set");
    assert!(set.hook_secret.is_none());
}

async fn born(installation: &Installation, id: &str) -> Wallet {
    assign(
        &installation.platform,
        &installation.admin,
        installation.vault,
        id,
    )
    .await
    .expect("assigned")
    .wallet
}

async fn state(installation: &Installation, id: WalletId) -> WalletState {
    installation
        .platform
        .wallet(&installation.admin, id)
        .await
        .expect("reads")
        .state
}

async fn decide(
    platform: &Platform,
    caller: &Caller,
    id: WalletId,
    decision: Decision,
    reason: Option<&str>,
) -> Result<Wallet, Error> {
    match platform
        .decide_wallet(caller, id, decision, reason.map(str::to_owned), None)
        .await?
    {
        Answer::Executed(wallet) => Ok(wallet),
        Answer::Replayed { .. } => panic!("nothing to replay"),
    }
}

async fn an_automatic_gate_lets_everybody_in(engine: Engine) {
    let installation = Installation::create(engine).await;
    assert_eq!(born(&installation, "a").await.state, WalletState::Active);
}

async fn an_allow_list_lets_the_listed_in(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin, vault) = (
        &installation.platform,
        &installation.admin,
        installation.vault,
    );
    without_pool(platform, admin, vault).await;
    set(&installation, GateMode::AllowList).await;
    let [a, b, c] = ["a", "b", "c"].map(external_id);
    let added = platform
        .allow(admin, vault, &[a.clone(), a.clone()])
        .await
        .expect("added");
    assert_eq!(
        (added.changed, added.activated),
        (1, 0),
        "an id given twice is one"
    );
    let batch = run(
        platform,
        admin,
        upload(vault, Format::Csv),
        &csv(["a", "b", "c"]),
    )
    .await;
    let wallets: Vec<Wallet> = results(platform, admin, batch.id)
        .await
        .into_iter()
        .filter_map(|row| row.wallet)
        .collect();
    let states: Vec<_> = wallets.iter().map(|wallet| wallet.state).collect();
    assert_eq!(
        states,
        [
            WalletState::Active,
            WalletState::Pending,
            WalletState::Pending
        ]
    );
    let added = platform
        .allow(admin, vault, &[a.clone(), b.clone(), b.clone()])
        .await
        .expect("added");
    assert_eq!(
        (added.changed, added.activated),
        (1, 1),
        "a later addition activates"
    );
    assert_eq!(
        state(&installation, wallets[1].id).await,
        WalletState::Active
    );
    assert_eq!(
        state(&installation, wallets[2].id).await,
        WalletState::Pending
    );
    let removed = platform
        .disallow(admin, vault, &[a, b, c])
        .await
        .expect("removed");
    assert_eq!(removed.changed, 2);
    assert_eq!(
        state(&installation, wallets[0].id).await,
        WalletState::Active,
        "what is active stays so"
    );
    assert_eq!(born(&installation, "d").await.state, WalletState::Pending);
    assert!(
        platform
            .allow_list(admin, vault, [0; 16], 10)
            .await
            .expect("reads")
            .is_empty()
    );
    assert!(matches!(
        platform.allow(admin, vault, &[]).await,
        Err(Error::Validation { .. })
    ));
    let records = platform.audit_records(admin, 0, 500).await.expect("reads");
    assert_eq!(
        records
            .iter()
            .filter(|record| record.actor == "gate:allow-list")
            .count(),
        1
    );
}

async fn a_forged_allow_list_entry_is_refused(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin, vault) = (
        &installation.platform,
        &installation.admin,
        installation.vault,
    );
    set(&installation, GateMode::AllowList).await;
    platform
        .allow(admin, vault, &[external_id("honest")])
        .await
        .expect("added");
    let key = hex::encode(external_id("thief").key(admin.organization));
    let blob = match engine {
        Engine::Sqlite => format!("x'{key}'"),
        Engine::Postgres => format!("'\\x{key}'::bytea"),
    };
    installation
        .database
        .tamper(&format!("INSERT INTO allow_list (vault_id, external_key, external_id, generation, seal) SELECT vault_id, {blob}, 'thief', generation, seal FROM allow_list"))
        .await;
    let refused = assign(platform, admin, vault, "thief").await;
    assert!(
        matches!(refused, Err(Error::Integrity { .. })),
        "{refused:?}"
    );
    assert_eq!(
        born(&installation, "honest").await.state,
        WalletState::Active
    );
}

async fn a_manual_gate_wants_another_actor(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    set(&installation, GateMode::Manual).await;
    let other = colleague(platform, admin, &[Scope::WalletsActivate]).await;
    let (good, bad) = (
        born(&installation, "good").await,
        born(&installation, "bad").await,
    );
    assert_eq!(
        (good.state, bad.state),
        (WalletState::Pending, WalletState::Pending)
    );
    for decision in [Decision::Activate, Decision::Reject] {
        let own = decide(platform, admin, good.id, decision, Some("because")).await;
        assert!(
            matches!(own, Err(Error::SameActor)),
            "{decision:?}: {own:?}"
        );
    }
    for reason in [None, Some(""), Some("   "), Some("x".repeat(1001).as_str())] {
        let refused = decide(platform, &other, bad.id, Decision::Reject, reason).await;
        assert!(
            matches!(
                refused,
                Err(Error::Validation {
                    field: "reason",
                    ..
                })
            ),
            "{refused:?}"
        );
    }
    let activated = decide(platform, &other, good.id, Decision::Activate, None)
        .await
        .expect("activated");
    assert_eq!(
        (activated.state, activated.version),
        (WalletState::Active, 2)
    );
    let rejected = decide(
        platform,
        &other,
        bad.id,
        Decision::Reject,
        Some("on a list"),
    )
    .await
    .expect("rejected");
    assert_eq!(
        (rejected.state, rejected.reason.as_deref()),
        (WalletState::Rejected, Some("on a list"))
    );
    for id in [good.id, bad.id] {
        for decision in [Decision::Activate, Decision::Reject] {
            let refused = decide(platform, &other, id, decision, Some("again")).await;
            assert!(
                matches!(refused, Err(Error::StateConflict(_))),
                "{decision:?}: {refused:?}"
            );
        }
    }
    let unknown = WalletId::of_index(VaultId::from_bytes([3; 16]), 0);
    let refused = decide(platform, &other, unknown, Decision::Activate, None).await;
    assert!(
        matches!(refused, Err(Error::NotFound { .. })),
        "{refused:?}"
    );
    let actors: Vec<_> = platform.audit_records(admin, 0, 500).await.expect("reads");
    let actors: Vec<_> = actors
        .iter()
        .filter(|record| record.action == "wallet.activated")
        .map(|record| record.actor.as_str())
        .collect();
    assert_eq!(actors, [other.key.to_string()]);
}

async fn addresses_of_pending_wallets_are_not_shown(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    set(&installation, GateMode::Manual).await;
    let batch = run(
        platform,
        admin,
        upload(installation.vault, Format::Csv),
        &csv(["a", "b", "c"]),
    )
    .await;
    let other = colleague(platform, admin, &[Scope::WalletsActivate]).await;
    let shown = |rows: &[ResultRow]| {
        rows.iter()
            .map(ResultRow::shows_addresses)
            .collect::<Vec<_>>()
    };
    let rows = results(platform, admin, batch.id).await;
    assert!(
        rows.iter()
            .all(|row| row.status == RowStatus::Created && row.wallet.is_some())
    );
    assert_eq!(shown(&rows), [false; 3]);
    let id = |row: usize| rows[row].wallet.as_ref().expect("a wallet").id;
    decide(platform, &other, id(0), Decision::Activate, None)
        .await
        .expect("activated");
    decide(platform, &other, id(1), Decision::Reject, Some("no"))
        .await
        .expect("rejected");
    assert_eq!(
        shown(&results(platform, admin, batch.id).await),
        [true, false, false]
    );
}

/// What the service answers from now on.
#[derive(Clone)]
enum Script {
    Reply(&'static str),
    Status(&'static str),
    HangUp,
    /// Says so, then waits before it approves.
    Hold(Arc<Notify>, Arc<Notify>),
}

/// A KYC service that speaks just enough HTTP, and checks signatures as its owner would.
struct Service {
    url: String,
    script: Arc<Mutex<Script>>,
    secret: Arc<Mutex<Vec<u8>>>,
    asked: Arc<AtomicU32>,
    /// Calls whose signature, id and time were right.
    genuine: Arc<AtomicU32>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Service {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let url = format!(
            "http://{}/kyc?x=1",
            listener.local_addr().expect("has an address")
        );
        let (script, secret) = (
            Arc::new(Mutex::new(script)),
            Arc::new(Mutex::new(Vec::new())),
        );
        let (asked, genuine) = (Arc::<AtomicU32>::default(), Arc::<AtomicU32>::default());
        let task = tokio::spawn({
            let (script, secret, asked, genuine) = (
                Arc::clone(&script),
                Arc::clone(&secret),
                Arc::clone(&asked),
                Arc::clone(&genuine),
            );
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let script = script.lock().expect("not poisoned").clone();
                    let key = secret.lock().expect("not poisoned").clone();
                    let (asked, genuine) = (Arc::clone(&asked), Arc::clone(&genuine));
                    tokio::spawn(
                        async move { serve(stream, script, &key, &asked, &genuine).await },
                    );
                }
            }
        });
        Self {
            url,
            script,
            secret,
            asked,
            genuine,
            task,
        }
    }

    fn now(&self, script: Script) {
        *self.script.lock().expect("not poisoned") = script;
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }

    /// Every call so far was signed under the secret that was handed out.
    fn assert_genuine(&self) {
        assert_eq!(self.genuine.load(Ordering::SeqCst), self.asked());
    }

    /// Makes it the vault's gate and takes the secret.
    async fn install(&self, installation: &Installation) {
        let gate = Gate {
            mode: GateMode::Hook,
            hook_url: Some(self.url.clone()),
        };
        let set = installation
            .platform
            .set_gate(&installation.admin, installation.vault, gate)
            .await
            .expect("set");
        let text = set.hook_secret.expect("a hook has a secret");
        let encoded = text.strip_prefix("whsec_").expect("the documented form");
        *self.secret.lock().expect("not poisoned") = STANDARD.decode(encoded).expect("base64");
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Script,
    secret: &[u8],
    asked: &AtomicU32,
    genuine: &AtomicU32,
) {
    let Some((head, body)) = read_request(&mut stream).await else {
        return;
    };
    if is_genuine(&head, &body, secret) {
        genuine.fetch_add(1, Ordering::SeqCst);
    }
    asked.fetch_add(1, Ordering::SeqCst);
    let (status, answer) = match script {
        Script::Reply(answer) => ("200 OK", answer),
        Script::Status(status) => (status, "{\"decision\":\"approve\"}"),
        Script::HangUp => return,
        Script::Hold(reached, go) => {
            reached.notify_one();
            go.notified().await;
            ("200 OK", "{\"decision\":\"approve\"}")
        }
    };
    let text = format!(
        "HTTP/1.1 {status}\r\nlocation: /elsewhere\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    );
    let _ = stream.write_all(text.as_bytes()).await;
}

async fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: usize = header(head, "content-length")?.parse().ok()?;
            if body.len() >= length {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// The verification that the Standard Webhooks specification asks of a receiver.
fn is_genuine(head: &str, body: &str, secret: &[u8]) -> bool {
    let parts = (
        header(head, "webhook-id"),
        header(head, "webhook-timestamp"),
        header(head, "webhook-signature"),
    );
    let (Some(id), Some(timestamp), Some(signature)) = parts else {
        return false;
    };
    let mac = Hmac::<Sha256>::new_from_slice(secret)
        .expect("any length")
        .chain_update(format!("{id}.{timestamp}.{body}"));
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let question: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let named = question["wallet_id"].as_str().expect("a wallet");
    signature == expected
        && id == format!("msg_{named}")
        && head.starts_with("POST /kyc?x=1 ")
        && question["type"] == "wallet.pending"
}

async fn jobs(installation: &Installation, condition: &str) -> i64 {
    let mut tx = installation.platform.db().read().await.expect("reads");
    let sql = format!("SELECT count(*) FROM hook_jobs WHERE {condition}");
    tx.fetch(sql, &[]).await.expect("reads")[0]
        .int(0)
        .expect("a number")
}

async fn becomes(installation: &Installation, id: WalletId, wanted: WalletState) {
    until(wanted.name(), || async {
        (state(installation, id).await == wanted).then_some(())
    })
    .await;
}

async fn a_hook_approves_rejects_or_asks_for_review(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    without_pool(platform, admin, installation.vault).await;
    let service = Service::start(Script::Reply(
        "{\"decision\":\"approve\",\"reason\":\"known\"}",
    ))
    .await;
    service.install(&installation).await;
    let good = born(&installation, "good").await;
    assert_eq!(good.state, WalletState::Pending);
    let workers = Workers::start(platform, 1);
    becomes(&installation, good.id, WalletState::Active).await;
    service.now(Script::Reply(
        "{\"decision\":\"reject\",\"reason\":\"sanctioned\"}",
    ));
    let bad = born(&installation, "bad").await;
    becomes(&installation, bad.id, WalletState::Rejected).await;
    assert_eq!(
        platform
            .wallet(admin, bad.id)
            .await
            .expect("reads")
            .reason
            .as_deref(),
        Some("sanctioned")
    );
    service.now(Script::Reply("{\"decision\":\"review\"}"));
    let odd = born(&installation, "odd").await;
    until("a review waits for a person", || async {
        (jobs(&installation, "parked_at IS NOT NULL").await == 1).then_some(())
    })
    .await;
    workers.stop().await;
    assert_eq!(state(&installation, odd.id).await, WalletState::Pending);
    let person = colleague(platform, admin, &[Scope::WalletsActivate]).await;
    decide(platform, &person, odd.id, Decision::Activate, None)
        .await
        .expect("activated");
    assert_eq!(jobs(&installation, "1 = 1").await, 0);
    assert_eq!(service.asked(), 3);
    service.assert_genuine();
}

async fn a_hook_that_fails_is_asked_again(engine: Engine) {
    let installation = Installation::create(engine).await;
    without_pool(
        &installation.platform,
        &installation.admin,
        installation.vault,
    )
    .await;
    let service = Service::start(Script::Status("500 Internal Server Error")).await;
    service.install(&installation).await;
    let wallet = born(&installation, "u").await;
    let workers = Workers::start(&installation.platform, 1);
    until("the first answer was a failure", || async {
        (jobs(&installation, "last_error LIKE '%500%'").await == 1).then_some(())
    })
    .await;
    assert_eq!(state(&installation, wallet.id).await, WalletState::Pending);
    service.now(Script::Reply("{\"decision\":\"approve\"}"));
    installation.clock.advance_ms(60_000);
    becomes(&installation, wallet.id, WalletState::Active).await;
    workers.stop().await;
    assert_eq!(service.asked(), 2);
    service.assert_genuine();
}

async fn a_hook_that_never_answers_is_given_up(engine: Engine) {
    let installation = Installation::create(engine).await;
    without_pool(
        &installation.platform,
        &installation.admin,
        installation.vault,
    )
    .await;
    // Each fails otherwise than the one before, so that the row tells when an attempt is over.
    let not_a_decision = "the answer is not %";
    let failures = [
        (Script::HangUp, "the answer broke off"),
        (Script::Reply("approve"), not_a_decision),
        (Script::Status("302 Found"), "%302"),
        (Script::Reply("{\"decision\":\"approved\"}"), not_a_decision),
        (Script::Status("201 Created"), "%201"),
        (Script::Reply("{}"), not_a_decision),
    ];
    let mut failures = failures.into_iter().cycle();
    let (script, mut error) = failures.next().expect("a cycle has no end");
    let service = Service::start(script).await;
    service.install(&installation).await;
    let wallet = born(&installation, "u").await;
    let workers = Workers::start(&installation.platform, 1);
    for attempt in 1..=12 {
        let counted = format!("attempts = {attempt} AND last_error LIKE '{error}'");
        until(&format!("attempt {attempt} has failed"), || async {
            (service.asked() == attempt && jobs(&installation, &counted).await == 1).then_some(())
        })
        .await;
        assert_eq!(
            state(&installation, wallet.id).await,
            WalletState::Pending,
            "attempt {attempt}"
        );
        let next = failures.next().expect("a cycle has no end");
        error = next.1;
        service.now(next.0);
        installation.clock.advance_ms(2 * 60 * 60 * 1000);
    }
    until("it is parked", || async {
        (jobs(&installation, "parked_at IS NOT NULL").await == 1).then_some(())
    })
    .await;
    // The clock is past every pause, and a younger wallet is asked about: the parked one is not.
    service.now(Script::Reply("{\"decision\":\"approve\"}"));
    let younger = born(&installation, "v").await;
    becomes(&installation, younger.id, WalletState::Active).await;
    workers.stop().await;
    assert_eq!(
        (service.asked(), state(&installation, wallet.id).await),
        (13, WalletState::Pending)
    );
    service.assert_genuine();
}

async fn an_answer_to_a_gate_that_changed_does_not_count(engine: Engine) {
    let installation = Installation::create(engine).await;
    without_pool(
        &installation.platform,
        &installation.admin,
        installation.vault,
    )
    .await;
    let (reached, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let service = Service::start(Script::Hold(Arc::clone(&reached), Arc::clone(&go))).await;
    service.install(&installation).await;
    let wallet = born(&installation, "u").await;
    let workers = Workers::start(&installation.platform, 1);
    reached.notified().await;
    set(&installation, GateMode::Manual).await;
    go.notify_one();
    // The question's lease ends; the next look finds no hook to ask, and removes the question.
    until("the question is withdrawn", || async {
        installation.clock.advance_ms(61_000);
        (jobs(&installation, "1 = 1").await == 0).then_some(())
    })
    .await;
    workers.stop().await;
    assert_eq!(state(&installation, wallet.id).await, WalletState::Pending);
}

async fn a_new_hook_is_asked_about_those_who_wait(engine: Engine) {
    let installation = Installation::create(engine).await;
    without_pool(
        &installation.platform,
        &installation.admin,
        installation.vault,
    )
    .await;
    set(&installation, GateMode::Manual).await;
    let before = [
        born(&installation, "a").await,
        born(&installation, "b").await,
    ];
    let service = Service::start(Script::Reply("{\"decision\":\"approve\"}")).await;
    service.install(&installation).await;
    service.install(&installation).await;
    let workers = Workers::start(&installation.platform, 1);
    for wallet in &before {
        becomes(&installation, wallet.id, WalletState::Active).await;
    }
    workers.stop().await;
    assert_eq!(service.asked(), 2, "once each");
    service.assert_genuine();
}
