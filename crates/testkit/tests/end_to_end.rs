//! The whole product from outside: the real programs, the real command line, and the oracle in another language.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use coffer_chains::encode;
use coffer_derive::{Deriver, ExtendedPublicKey, IndexRange, Payloads, Scheme};
use coffer_domain::address::{AddressKind, AddressPayload, BitcoinNetwork};
use coffer_testkit::programs::program;
use coffer_testkit::serving::{Api, Programs, Server, Site, Template};
use coffer_testkit::{Engine, Installation, TestDatabase};
use serde_json::Value;

/// Addresses of each kind that are compared with the oracle's.
const COMPARED: u32 = 100_000;

struct Cli {
    site: Site,
    server: Server,
}

impl Cli {
    async fn start() -> (Programs, Template, Self) {
        let folder = program("coffer")
            .parent()
            .expect("a program lies in a folder")
            .to_owned();
        let programs = Programs::in_folder(&folder).expect("the programs are built");
        let template = Template::make(&programs, Engine::Sqlite, None)
            .await
            .expect("init works");
        let site = template.copy().await.expect("copied");
        let server = Server::start(&programs, &site, None).await.expect("serves");
        (programs, template, Self { site, server })
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_as(&self.site.token, arguments)
    }

    fn run_as(&self, token: &str, arguments: &[&str]) -> Output {
        Command::new(program("coffer"))
            .args(["--json", "--server", &self.server.url])
            .args(arguments)
            .env("COFFER_API_KEY", token)
            .current_dir(self.site.folder())
            .stdin(Stdio::null())
            .output()
            .expect("coffer runs")
    }

    /// The answer of a command that ends with `code`.
    fn answer(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert_eq!(
            output.status.code(),
            Some(code),
            "coffer {arguments:?}\n{out}\n{err}"
        );
        let text = if code == 0 || out.starts_with('{') {
            &out
        } else {
            &err
        };
        serde_json::from_str(text.trim())
            .unwrap_or_else(|error| panic!("coffer {arguments:?}: {error}\n{out}\n{err}"))
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.site.folder().join(name), content).expect("written");
    }
}

fn oracle(arguments: &[&str], words: &Path) -> Output {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle");
    assert!(
        folder.join("node_modules").is_dir(),
        "the oracle's libraries are not installed; run `npm ci` in tests/oracle, or `cargo xtask test`, which does it"
    );
    let output = Command::new("node")
        .arg(folder.join("oracle.mjs"))
        .args(arguments)
        .arg("--mnemonic-file")
        .arg(words)
        .output();
    output.expect("node is installed; `cargo xtask test` says how")
}

fn customers(rows: u32) -> String {
    let mut csv = String::from("external_id,label\n");
    for row in 1..=rows {
        csv.push_str(&format!("e2e-{row:05},\"客户 {row}, 'x'\"\n"));
    }
    csv
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_file_to_addresses_that_the_oracle_derives_too() {
    let (programs, _template, cli) = Cli::start().await;
    cli.write("customers.csv", customers(2000));
    let done = cli.answer(
        0,
        &[
            "batch",
            "create",
            "customers.csv",
            "--wait",
            "--results",
            "results.csv",
            "--idempotency-key",
            "k1",
        ],
    );
    assert_eq!(
        (done["state"].as_str(), done["rows_created"].as_u64()),
        (Some("completed"), Some(2000))
    );
    let results = cli.site.folder().join("results.csv");
    let text = std::fs::read_to_string(&results).expect("results");
    let header =
        "row,external_id,status,wallet_id,index,evm,tron,bitcoin,bitcoin_taproot,solana,error";
    assert_eq!(text.lines().next().map(str::trim), Some(header));
    let checked = oracle(
        &[
            "check",
            "--all",
            "--results",
            results.to_str().expect("a path"),
        ],
        &cli.site.words(),
    );
    let report = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        checked.status.success(),
        "{report}{}",
        String::from_utf8_lossy(&checked.stderr)
    );
    let report: Value = serde_json::from_str(&report).expect("a report");
    assert_eq!(
        (
            report["checked"].as_u64(),
            report["mismatch_count"].as_u64()
        ),
        (Some(10_000), Some(0))
    );

    repetitions(&cli, done["id"].as_str().expect("an id"));
    wallets_and_addresses(&cli, &text);
    cli.server
        .stop()
        .await
        .expect("SIGTERM ends it with 0, and the signer with it");
    drop(programs);
}

/// The same key and file again is the same batch; another file under the key is refused.
fn repetitions(cli: &Cli, id: &str) {
    let again = cli.answer(
        0,
        &[
            "batch",
            "create",
            "customers.csv",
            "--idempotency-key",
            "k1",
        ],
    );
    assert_eq!(again["id"].as_str(), Some(id));
    cli.write("other.csv", customers(3));
    let refused = cli.answer(
        4,
        &["batch", "create", "other.csv", "--idempotency-key", "k1"],
    );
    assert_eq!(refused["code"], "idempotency_conflict");
    assert_eq!(cli.answer(0, &["batch", "show", id])["rows_total"], 2000);
    let existing = cli.answer(0, &["batch", "create", "other.csv", "--wait"]);
    assert_eq!(
        (
            existing["rows_existing"].as_u64(),
            existing["rows_created"].as_u64()
        ),
        (Some(3), Some(0))
    );
}

fn wallets_and_addresses(cli: &Cli, results: &str) {
    let row: Vec<&str> = results.lines().nth(1).expect("a row").split(',').collect();
    let (wallet, evm) = (row[3], row[5]);
    let shown = cli.answer(0, &["wallet", "show", wallet]);
    assert_eq!(
        (shown["external_id"].as_str(), shown["state"].as_str()),
        (Some("e2e-00001"), Some("active"))
    );
    assert_eq!(
        cli.answer(0, &["wallet", "show", "--external-id", "e2e-00001"])["id"].as_str(),
        Some(wallet)
    );
    let found = cli.answer(0, &["address", "lookup", evm]);
    assert_eq!(found["wallet"]["id"].as_str(), Some(wallet));
    cli.answer(
        4,
        &[
            "address",
            "lookup",
            "0x0000000000000000000000000000000000000001",
        ],
    );
    assert_eq!(
        cli.answer(0, &["wallet", "list", "--limit", "10"])["data"]
            .as_array()
            .map(Vec::len),
        Some(10)
    );
    let assigned = cli.answer(0, &["wallet", "assign", "single-1", "--label", "One"]);
    assert_eq!(assigned["addresses"].as_array().map(Vec::len), Some(5));
    assert_eq!(
        cli.answer(0, &["wallet", "assign", "single-1"])["id"],
        assigned["id"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_drills_and_the_doctor() {
    let (_programs, _template, cli) = Cli::start().await;
    let made = cli.answer(
        0,
        &[
            "key",
            "create",
            "reader",
            "--scopes",
            "wallets:read",
            "--expires-in-days",
            "1",
        ],
    );
    let (token, id) = (
        made["api_key"].as_str().expect("shown once"),
        made["id"].as_str().expect("an id"),
    );
    assert!(cli.run_as(token, &["wallet", "list"]).status.success());
    assert_eq!(
        cli.run_as(token, &["audit", "verify"]).status.code(),
        Some(4)
    );
    assert!(cli.run(&["key", "revoke", id]).status.success());
    assert_eq!(
        cli.run_as(token, &["wallet", "list"]).status.code(),
        Some(4)
    );
    let words = cli.site.words();
    let drill = [
        "vault",
        "drill",
        &cli.site.vault,
        "--mnemonic-file",
        words.to_str().expect("a path"),
        "--samples",
        "20",
    ];
    assert_eq!(cli.answer(0, &drill)["passed"], true);
    cli.answer(0, &["audit", "verify"]);
    let findings = cli.run(&["doctor"]);
    assert!(
        findings.status.success(),
        "{}",
        String::from_utf8_lossy(&findings.stdout)
    );
    assert_eq!(
        Command::new(program("coffer"))
            .args(["--server", "http://127.0.0.1:9", "vault", "list"])
            .env("COFFER_API_KEY", token)
            .status()
            .expect("runs")
            .code(),
        Some(3)
    );
    cli.server.stop().await.expect("ends cleanly");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_uploads_are_told_by_their_exit_code() {
    let (_programs, _template, cli) = Cli::start().await;
    let cases: [(&str, &[u8], i32); 6] = [
        ("nothing.csv", b"", 4),
        ("no-id.csv", b"name\nx\n", 4),
        ("quote.csv", b"external_id\n\"open\n", 4),
        ("bad.json", b"[{\"external_id\":\"a\",}]", 4),
        ("rows.csv", b"external_id\ngood\n\n=\n,\ngood\n", 6),
        ("formula.csv", b"external_id,label\nformula-1,=cmd\n", 0),
    ];
    for (name, content, code) in cases {
        cli.write(name, content);
        let output = cli.run(&["batch", "create", name, "--wait"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{name}: {told}");
    }
    cli.answer(2, &["batch", "create", "missing.csv"]);
    cli.server.stop().await.expect("ends cleanly");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_audit_record_ends_with_5() {
    let (_programs, _template, cli) = Cli::start().await;
    cli.write("customers.csv", customers(10));
    cli.answer(0, &["batch", "create", "customers.csv", "--wait"]);
    cli.answer(0, &["audit", "verify"]);
    let database = TestDatabase {
        url: cli.site.database_url.clone(),
    };
    assert_eq!(
        database
            .tamper("UPDATE audit_records SET actor = 'nobody' WHERE seq = 2")
            .await,
        1
    );
    cli.answer(5, &["audit", "verify"]);
    let api = Api::new(&cli.server.url, &cli.site.token).expect("a client");
    assert!(api.get("/healthz").await.is_ok(), "it lives, and says so");
    cli.server.stop().await.expect("ends cleanly");
}

fn scheme(kind: AddressKind) -> Option<Scheme> {
    match kind {
        AddressKind::Evm | AddressKind::Tron => Some(Scheme::Keccak20),
        AddressKind::BitcoinP2wpkh => Some(Scheme::Hash160),
        AddressKind::BitcoinP2tr => Some(Scheme::Taproot),
        AddressKind::Solana => None,
    }
}

/// The first addresses of a kind as the product makes them: `derive`, or the signer for Solana, and `chains`.
fn own(kind: AddressKind, installation: &Installation) -> Vec<String> {
    let payloads: Vec<Vec<u8>> = match scheme(kind) {
        None => {
            let step = 10_000;
            let ask = |first| {
                installation
                    .signer
                    .solana_public_keys(first, step)
                    .expect("the signer derives")
            };
            (0..COMPARED)
                .step_by(step as usize)
                .flat_map(ask)
                .map(|key| key.to_vec())
                .collect()
        }
        Some(scheme) => {
            let range = IndexRange::try_new(0, COMPARED).expect("a range");
            let mut payloads = Payloads::new();
            Deriver::new()
                .payloads(&parent(kind), scheme, range, &mut payloads)
                .expect("derives");
            payloads.iter().map(<[u8]>::to_vec).collect()
        }
    };
    let text = |payload: Vec<u8>| {
        encode(
            &AddressPayload::try_new(kind, &payload).expect("a payload"),
            BitcoinNetwork::Mainnet,
        )
    };
    payloads.into_iter().map(text).collect()
}

/// The key at `m/…/0'/0` of the test mnemonic.
fn parent(kind: AddressKind) -> ExtendedPublicKey {
    let words = coffer_keys::Mnemonic::parse(coffer_testkit::MNEMONIC).expect("words");
    let account = words
        .seed()
        .account_public_key(kind, BitcoinNetwork::Mainnet, 0)
        .expect("an account key");
    let account = ExtendedPublicKey {
        public_key: account.public_key,
        chain_code: account.chain_code,
    };
    account.child(0).expect("a child")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_addresses_of_each_kind_equal_the_oracles() {
    let installation = Installation::create(Engine::Sqlite).await;
    let words = installation.folder.path().join("words");
    for kind in AddressKind::ALL {
        let count = COMPARED.to_string();
        let name = kind.name();
        let ours = tokio::task::block_in_place(|| own(kind, &installation));
        let output = oracle(
            &["derive", "--kind", name, "--first", "0", "--count", &count],
            &words,
        );
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).expect("text");
        let theirs: Vec<&str> = text.lines().collect();
        assert_eq!(
            (ours.len(), theirs.len()),
            (COMPARED as usize, COMPARED as usize),
            "{name}"
        );
        let differs = ours
            .iter()
            .zip(&theirs)
            .position(|(one, other)| one != other);
        assert_eq!(differs, None, "{name}: the first difference");
    }
}
