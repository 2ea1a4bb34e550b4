//! Single wallets, gates, pools, keys and the audit log.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::{Connection, Executor, SqliteConnection};

use crate::installation::Installation;

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_is_made_once_and_decided_by_another() {
    let installation = Installation::new().await;
    let (client, vault) = (&installation.client, &installation.vault);
    let gate = client
        .json(
            "PUT",
            &format!("/v1/vaults/{vault}/gate"),
            &json!({ "mode": "manual" }),
        )
        .await;
    assert_eq!(gate.json()["gate"]["mode"], "manual", "{gate:?}");
    let body =
        json!({ "external_id": "ann", "metadata": { "tier": 2 }, "chains": ["evm", "tron"] });
    let made = client.json("POST", "/v1/wallets", &body).await;
    assert_eq!(
        (made.status, &made.json()["state"]),
        (201, &json!("pending")),
        "{made:?}"
    );
    assert_eq!(
        made.json()["addresses"],
        json!([]),
        "nothing is shown before activation"
    );
    let again = client.json("POST", "/v1/wallets", &body).await;
    assert_eq!(
        (again.status, &again.json()["existing"]),
        (200, &json!(true))
    );
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        client
            .post(&format!("/v1/wallets/{id}/activate"))
            .await
            .code(),
        "same_actor"
    );

    let officer = client.with_key(&installation.key(&["wallets:activate"]).await);
    let rejected = officer
        .json(
            "POST",
            &format!("/v1/wallets/{id}/reject"),
            &json!({ "reason": "" }),
        )
        .await;
    assert_eq!(rejected.code(), "validation");
    let active = officer.post(&format!("/v1/wallets/{id}/activate")).await;
    assert_eq!(
        (active.status, &active.json()["state"]),
        (200, &json!("active")),
        "{active:?}"
    );
    assert_eq!(active.json()["addresses"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        officer
            .post(&format!("/v1/wallets/{id}/activate"))
            .await
            .code(),
        "state_conflict"
    );
    assert_eq!(officer.get("/v1/wallets").await.code(), "forbidden");

    found(&installation, &id).await;
    installation.stop().await;
}

async fn found(installation: &Installation, id: &str) {
    let client = &installation.client;
    let found = client.get("/v1/wallets?external_id=ann").await.json();
    assert_eq!(
        (&found["data"][0]["id"], &found["next_cursor"]),
        (&json!(id), &Value::Null)
    );
    assert_eq!(
        client.get("/v1/wallets?external_id=bo").await.json()["data"],
        json!([])
    );
    assert_eq!(
        client
            .get("/v1/addresses/0x0000000000000000000000000000000000000000")
            .await
            .code(),
        "not_found"
    );
    assert_eq!(
        client.get("/v1/addresses/nonsense").await.code(),
        "validation"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_pools_and_drills() {
    let installation = Installation::new().await;
    let (client, vault) = (&installation.client, &installation.vault);
    let list = format!("/v1/vaults/{vault}/allow-list");
    let ids = json!({ "external_ids": ["ann", "bo", "ann"] });
    assert_eq!(
        client.json("PUT", &list, &ids).await.json(),
        json!({ "added": 2, "activated": 0 })
    );
    let page = client.get(&format!("{list}?limit=1")).await.json();
    let cursor = page["next_cursor"].as_str().expect("more").to_owned();
    assert_eq!(
        client.get(&format!("{list}?cursor={cursor}")).await.json()["data"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(
        client
            .json("DELETE", &list, &json!({ "external_ids": ["bo"] }))
            .await
            .json(),
        json!({ "removed": 1 })
    );

    let pool = format!("/v1/pools/{vault}");
    let set = client
        .json("PUT", &pool, &json!({ "low": 3, "high": 9 }))
        .await
        .json();
    assert_eq!((&set["low"], &set["high"]), (&json!(3), &json!(9)));
    assert_eq!(
        client
            .json("PUT", &pool, &json!({ "low": 9, "high": 3 }))
            .await
            .code(),
        "validation"
    );
    assert_eq!(client.get(&pool).await.json()["high"], 9);

    let challenge = client.post(&format!("/v1/vaults/{vault}/drills")).await;
    assert_eq!(challenge.status, 201, "{challenge:?}");
    let drill = challenge.json()["drill_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let proof = format!("/v1/vaults/{vault}/drills/{drill}/proof");
    assert_eq!(
        client
            .json("POST", &proof, &json!({ "no": "proof" }))
            .await
            .code(),
        "validation"
    );

    installation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_opens_nothing() {
    let installation = Installation::new().await;
    let client = &installation.client;
    let key = installation.key(&["wallets:read"]).await;
    let reader = client.with_key(&key);
    assert_eq!(reader.get("/v1/wallets").await.status, 200);
    let id = format!("key_{}", key.split('_').nth(1).expect("an id"));
    assert_eq!(
        client
            .send("DELETE", &format!("/v1/keys/{id}"), &[], b"")
            .await
            .status,
        204
    );
    assert_eq!(reader.get("/v1/wallets").await.code(), "unauthorized");
    let keys = client.get("/v1/keys").await;
    assert!(!keys.text().contains("cfr_"), "a key is shown once");
    assert!(
        keys.json()["data"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|key| key["revoked_at"].is_string())
    );
    installation.stop().await;
}

/// As a reader of the documentation would verify it.
#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_verifies_by_what_is_documented() {
    let installation = Installation::new().await;
    let client = &installation.client;
    installation.key(&["wallets:read"]).await;
    let head = client.get("/v1/audit/head").await.json();
    let organization = hex::decode(
        head["organization_id"]
            .as_str()
            .expect("an id")
            .trim_start_matches("org_"),
    )
    .expect("hex");
    let page = client.get("/v1/audit?limit=1000").await.json();
    let records = page["data"].as_array().expect("records");
    let mut before = vec![0; 32];
    for (position, record) in records.iter().enumerate() {
        let (seq, at) = (
            record["seq"].as_u64().expect("seq"),
            record["at"].as_i64().expect("at"),
        );
        assert_eq!(seq, position as u64 + 1);
        let mut hasher = Sha256::new_with_prefix(b"coffer audit v1");
        hasher.update(&organization);
        hasher.update(seq.to_be_bytes());
        hasher.update(at.to_be_bytes());
        for field in ["actor", "action", "object", "payload"] {
            let text = record[field].as_str().expect("text");
            hasher.update(u32::try_from(text.len()).expect("short").to_be_bytes());
            hasher.update(text);
        }
        hasher.update(&before);
        before = hasher.finalize().to_vec();
        assert_eq!(record["hash"], hex::encode(&before));
    }
    assert!(records.len() >= 4);
    let first = client.get("/v1/audit?limit=3").await.json();
    assert_eq!(
        (first["data"].as_array().map(Vec::len), &first["next_after"]),
        (Some(3), &json!(3))
    );
    assert_eq!(
        client.get("/v1/audit?after=3").await.json()["data"][0],
        records[3]
    );
    assert_eq!(page["next_after"], Value::Null);
    assert_eq!(head["hash"], hex::encode(&before));
    let doctor = client.get("/v1/doctor").await.json();
    assert!(
        doctor["findings"]
            .as_array()
            .is_some_and(|findings| findings.len() >= 3),
        "{doctor}"
    );
    installation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_wallet_is_not_sent_again() {
    let installation = Installation::new().await;
    let client = &installation.client;
    let made = client
        .json("POST", "/v1/wallets", &json!({ "external_id": "ann" }))
        .await
        .json();
    let id = made["id"].as_str().expect("an id");
    let address = made["addresses"][0]["address"].as_str().expect("one");
    for path in [
        format!("/v1/wallets/{id}"),
        format!("/v1/addresses/{address}"),
    ] {
        let first = client.get(&path).await;
        let tag = first.header("etag").expect("a tag").to_owned();
        let ask = |tag: String| {
            let path = path.clone();
            async move {
                client
                    .send("GET", &path, &[("If-None-Match", &tag)], b"")
                    .await
            }
        };
        let same = ask(tag.clone()).await;
        assert_eq!((same.status, same.body.len()), (304, 0), "{path}");
        assert_eq!(ask("\"other\"".to_owned()).await.status, 200);
        assert_eq!(client.get(&path).await.json(), first.json());
        // Another key of the organization may have it; one without the scope, or none, may not.
        let other = client.with_key(&installation.key(&["batches:read"]).await);
        assert_eq!(other.get(&path).await.code(), "forbidden");
        assert_eq!(client.without_key().get(&path).await.status, 401);
    }
    let path = format!("/v1/addresses/{address}");
    let database = installation.folder.path().join("data").join("coffer.db");
    assert!(database.exists(), "{}", database.display());
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
    let mut owner = SqliteConnection::connect_with(&options)
        .await
        .expect("opens");
    owner
        .execute("UPDATE wallets SET label = 'x'")
        .await
        .expect("edits");
    for path in [path, format!("/v1/wallets/{id}")] {
        assert_eq!(client.get(&path).await.code(), "integrity_violation");
    }
    installation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wallets_in_bulk_and_their_proofs() {
    let installation = Installation::new().await;
    let client = &installation.client;
    let body = json!({ "chains": ["evm"], "wallets": [
        { "external_id": "a", "label": "A" }, { "external_id": "b", "chains": ["tron", "evm"] }, { "external_id": "a" },
    ] });
    let headers = [
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "k"),
    ];
    let text = body.to_string();
    let made = client
        .send("POST", "/v1/wallets/bulk", &headers, text.as_bytes())
        .await;
    let answer = made.json();
    assert_eq!(
        (made.status, &answer["created"], &answer["existing"]),
        (200, &json!(2), &json!(1)),
        "{made:?}"
    );
    assert_eq!(answer["data"][0]["id"], answer["data"][2]["id"]);
    assert_eq!(answer["data"][2]["existing"], true);
    assert_eq!(
        answer["data"][1]["addresses"].as_array().map(Vec::len),
        Some(2)
    );
    let again = client
        .send("POST", "/v1/wallets/bulk", &headers, text.as_bytes())
        .await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.json(), answer);
    let bad = json!({ "wallets": [{ "external_id": "c" }, { "external_id": "" }] });
    let refused = client.json("POST", "/v1/wallets/bulk", &bad).await;
    assert_eq!(
        (refused.code().as_str(), &refused.json()["item"]),
        ("validation", &json!(2))
    );
    let of_c = client.get("/v1/wallets?external_id=c").await.json();
    assert_eq!(of_c["data"], json!([]), "nothing of a refused call");

    let id = answer["data"][1]["id"].as_str().expect("an id");
    let path = format!("/v1/wallets/{id}/proof");
    let proof = client.get(&path).await.json();
    assert_eq!(
        (&proof["leaf_index"], &proof["tree_size"]),
        (&json!(1), &json!(2)),
        "{proof}"
    );
    let leaf = hex::decode(proof["leaf_hash"].as_str().expect("a hash")).expect("hexadecimal");
    let beside = hex::decode(proof["path"][0].as_str().expect("a hash")).expect("hexadecimal");
    let root = hex::encode(Sha256::digest([&[1][..], &beside, &leaf].concat()));
    let payload = proof["record"]["payload"].as_str().expect("text");
    let payload: Value = serde_json::from_str(payload).expect("JSON");
    assert_eq!(payload["changes"]["created"]["births_root"], json!(root));
    let auditor = client.with_key(&installation.key(&["audit:read"]).await);
    assert_eq!(auditor.get(&path).await.code(), "forbidden");
    let both = installation.key(&["audit:read", "wallets:read"]).await;
    assert_eq!(client.with_key(&both).get(&path).await.status, 200);
    installation.stop().await;
}
