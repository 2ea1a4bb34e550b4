//! Two organizations in one database: neither sees the other's objects, by any operation.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use coffer_domain::address::BitcoinNetwork;
use coffer_domain::vault::Tier;
use coffer_platform::bootstrap::{self, Choice};
use coffer_platform::{NewVault, OsEntropy, SystemClock};
use coffer_signing::{DrillProof, SignerClient};
use coffer_store::Db;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection};

use crate::installation::{Installation, config, made, signer_program};
use crate::openapi::operations;

/// A signer of its own for this test, on the installation's key file.
fn signer(folder: &Path) -> (SignerClient, Child) {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let mut command = Command::new(signer_program());
    command
        .args(["serve", "--key-file"])
        .arg(folder.join("data/keys/vault.key"))
        .arg("--passphrase-file")
        .arg(folder.join("passphrase"))
        .stdin(Stdio::from(OwnedFd::from(theirs)));
    let child = command.spawn().expect("starts");
    drop(command);
    (SignerClient::connect(ours, None).expect("greets"), child)
}

fn drill(folder: &Path, challenge: &str) -> DrillProof {
    let words = std::fs::read_dir(folder.join("data/recovery"))
        .expect("a folder")
        .next();
    let mut child = Command::new(signer_program())
        .args(["drill", "--mnemonic-file"])
        .arg(words.expect("words").expect("readable").path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(challenge.as_bytes())
        .expect("asks");
    let output = child.wait_with_output().expect("ends");
    let text = String::from_utf8(output.stdout).expect("text");
    DrillProof::from_json(text.trim()).expect("a proof")
}

/// Adds a second organization, with account 1 of the same key, and answers its admin's key. Made in a
/// database of its own, whose rows (sealed under the same key) are then copied over.
async fn second_organization(folder: &Path) -> String {
    let path = folder.to_owned();
    let (made, signer, mut child) = tokio::task::spawn_blocking(move || {
        let (signer, child) = signer(&path);
        let choice = Choice {
            organization_name: "second".into(),
            vault: NewVault {
                name: "second".into(),
                tier: Tier::Hot,
                account: 1,
                bitcoin_network: BitcoinNetwork::Regtest,
            },
        };
        let draft = bootstrap::draft(&signer, &SystemClock, &OsEntropy, &choice).expect("drafted");
        let proof = drill(&path, &draft.challenge().to_json());
        let made = draft.finish(&signer, &OsEntropy, &proof).expect("passes");
        (made, signer, child)
    })
    .await
    .expect("no panic");
    let url = format!("sqlite:{}", folder.join("second.db").display());
    let db = Db::open(&url).await.expect("opens");
    assert!(
        bootstrap::apply(&db, Arc::new(signer), &made.json)
            .await
            .expect("applies")
    );
    child.wait().expect("it ends with its channel");
    let main = format!("sqlite:{}", folder.join("data/coffer.db").display());
    let mut connection = SqliteConnection::connect(&main).await.expect("opens");
    let attach = format!("ATTACH '{}' AS other", folder.join("second.db").display());
    connection
        .execute(sqlx::AssertSqlSafe(attach))
        .await
        .expect("attaches");
    for table in [
        "organizations",
        "vaults",
        "api_keys",
        "audit_records",
        "audit_heads",
    ] {
        let copy = format!("INSERT INTO main.{table} SELECT * FROM other.{table}");
        connection
            .execute(sqlx::AssertSqlSafe(copy))
            .await
            .expect(table);
    }
    connection.close().await.expect("closes");
    made.token.as_str().to_owned()
}

/// The first organization's objects.
struct Objects {
    vault: String,
    batch: String,
    wallet: String,
    address: String,
    key: String,
    drill: String,
    webhook: String,
}

impl Objects {
    /// A path with the object that it is about.
    fn named(&self, path: &str) -> String {
        let id = match path.split('/').nth(2) {
            Some("batches") => &self.batch,
            Some("wallets") => &self.wallet,
            Some("keys") => &self.key,
            Some("webhooks") => &self.webhook,
            _ => &self.vault,
        };
        path.replace("{id}", id)
            .replace("{vault}", &self.vault)
            .replace("{address}", &self.address)
            .replace("{drill_id}", &self.drill)
    }
}

async fn objects(first: &Installation) -> Objects {
    let csv = [("Content-Type", "text/csv")];
    let batch = first
        .client
        .send("POST", "/v1/batches", &csv, b"external_id\nann\n")
        .await
        .json();
    let batch = first.finished(batch["id"].as_str().expect("an id")).await;
    assert_eq!(batch["rows_created"], 1);
    let wallet = first.client.get("/v1/wallets?external_id=ann").await.json()["data"][0].clone();
    let keys = first.client.get("/v1/keys").await.json();
    let vault = first.vault.clone();
    let drill = first
        .client
        .post(&format!("/v1/vaults/{vault}/drills"))
        .await
        .json();
    // Of a type that never happens here, so that nothing is sent.
    let webhook = json!({
        "url": "https://hooks.example.com/", "types": ["network.frozen"], "check": false,
    });
    let webhook = first.client.json("POST", "/v1/webhooks", &webhook).await;
    let webhook = webhook.json();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    Objects {
        vault,
        batch: text(&batch["id"]),
        wallet: text(&wallet["id"]),
        address: text(&wallet["addresses"][0]["address"]),
        key: text(&keys["data"][0]["id"]),
        drill: text(&drill["drill_id"]),
        webhook: text(&webhook["id"]),
    }
}

/// A body that its endpoint would take, were the object the caller's.
fn body(path: &str) -> Value {
    match path.rsplit('/').next() {
        Some("gate") => json!({ "mode": "manual" }),
        Some("allow-list") => json!({ "external_ids": ["ann"] }),
        Some("{vault}") => json!({ "low": 1, "high": 2 }),
        Some("activate" | "reject" | "disable") => json!({ "reason": "x" }),
        Some("drills" | "test" | "rotate") => json!({}),
        Some("rewind") => json!({ "to": 0 }),
        Some("redeliver") => json!({ "first": 1 }),
        Some("{id}") if path.starts_with("/v1/webhooks/") => json!({ "types": [] }),
        _ => Value::Null,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_organizations_ids_name_nothing() {
    let made = made().await;
    let other = second_organization(made.folder.path()).await;
    let config = config(&made);
    let first = Installation::start(made, config).await;
    let second = first.client.with_key(&other);
    let vaults = second.get("/v1/vaults").await.json();
    assert_eq!(
        vaults["data"][0]["name"], "second",
        "the second organization works: {vaults}"
    );
    let objects = objects(&first).await;
    let mut tried = 0;
    for (method, path, _) in operations() {
        if !path.starts_with("/v1/") || !path.contains('{') {
            continue;
        }
        let real = objects.named(&path);
        if path.contains("/drills/") {
            // An answer to a drill has to be one before it is looked for; the vault's own guard is tried by the others.
            continue;
        }
        let answer = match body(&path) {
            Value::Null => second.send(&method, &real, &[], b"").await,
            body => second.json(&method, &real, &body).await,
        };
        assert_eq!(answer.code(), "not_found", "{method} {path}: {answer:?}");
        tried += 1;
    }
    assert!(tried >= 18, "{tried}");
    for list in ["/v1/batches", "/v1/wallets", "/v1/wallets?external_id=ann"] {
        assert_eq!(second.get(list).await.json()["data"], json!([]), "{list}");
    }
    let filter = format!("/v1/wallets?vault={}", objects.vault);
    assert_eq!(second.get(&filter).await.json()["data"], json!([]));
    for list in ["/v1/keys", "/v1/vaults", "/v1/audit"] {
        let text = second.get(list).await.text();
        assert!(
            !text.contains(&objects.vault) && !text.contains(&objects.key),
            "{list}"
        );
    }
    let elsewhere = json!({ "external_id": "bo", "vault_id": objects.vault });
    assert_eq!(
        second.json("POST", "/v1/wallets", &elsewhere).await.code(),
        "not_found"
    );
    // The same external id is another customer there, with an address of its own.
    let own = second
        .json("POST", "/v1/wallets", &json!({ "external_id": "ann" }))
        .await;
    assert_eq!(own.status, 201, "{own:?}");
    assert_ne!(
        own.json()["addresses"][0]["address"],
        json!(objects.address)
    );
    let gate = first
        .client
        .get(&format!("/v1/vaults/{}", objects.vault))
        .await
        .json();
    assert_eq!(gate["gate"]["mode"], "automatic", "nothing was changed");
    first.stop().await;
}
