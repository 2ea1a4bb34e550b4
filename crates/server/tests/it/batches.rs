//! A batch from its upload to its results.

use std::io::Write;

use serde_json::{Value, json};

use crate::installation::Installation;

const CSV: (&str, &str) = ("Content-Type", "text/csv");
const FILE: &str =
    "external_id,label\nann,Ann\n\"=bo\",\"Lee, Bo\"\n,nobody\nann,again\n顾客-5,五\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_becomes_wallets_and_results() {
    let installation = Installation::new().await;
    let client = &installation.client;
    let answer = client
        .send(
            "POST",
            "/v1/batches?chains=evm,bitcoin,solana",
            &[CSV],
            FILE.as_bytes(),
        )
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        answer.header("location"),
        Some(format!("/v1/batches/{id}").as_str())
    );
    let batch = installation.finished(&id).await;
    assert_eq!(batch["state"], "completed_with_errors");
    assert_eq!(
        (
            &batch["rows_total"],
            &batch["rows_created"],
            &batch["rows_failed"]
        ),
        (&json!(5), &json!(3), &json!(2))
    );

    let results = client.get(&format!("/v1/batches/{id}/results")).await;
    let text = results.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "row,external_id,status,wallet_id,index,evm,bitcoin,solana,error"
    );
    assert!(
        lines[1].starts_with("1,ann,created,wal_")
            && lines[1].contains(",0x")
            && lines[1].contains(",bcrt1q")
    );
    assert!(lines[2].starts_with("2,'=bo,created,wal_"), "{}", lines[2]);
    assert!(lines[3].starts_with("3,,failed,"));
    assert!(lines[4].starts_with("4,ann,failed,"));
    assert_eq!(lines.len(), 6);

    let ndjson = client
        .get(&format!("/v1/batches/{id}/results?format=ndjson"))
        .await
        .text();
    let rows: Vec<Value> = ndjson
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(rows[1]["external_id"], "=bo");
    assert_eq!(rows[4]["index"], 4);
    let address = rows[4]["addresses"]["evm"].as_str().expect("an address");
    let owner = client.get(&format!("/v1/addresses/{address}")).await.json();
    assert_eq!(
        (&owner["chain"], &owner["wallet"]["external_id"]),
        (&json!("evm"), &json!("顾客-5"))
    );

    followed(&installation, &id).await;
    installation.stop().await;
}

/// What else there is to see of a batch that has ended.
async fn followed(installation: &Installation, id: &str) {
    let client = &installation.client;
    let events = client.get(&format!("/v1/batches/{id}/events")).await;
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    assert!(
        events.text().starts_with("event: end\ndata: {"),
        "{events:?}"
    );
    let page = client
        .get("/v1/batches?state=completed_with_errors")
        .await
        .json();
    assert_eq!(page["data"][0]["id"], json!(id));
    assert_eq!(
        client.post(&format!("/v1/batches/{id}/pause")).await.code(),
        "state_conflict"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_has_one_effect() {
    let installation = Installation::new().await;
    let client = &installation.client;
    let key = ("Idempotency-Key", "upload-1");
    let first = client
        .send("POST", "/v1/batches", &[CSV, key], FILE.as_bytes())
        .await;
    assert_eq!(first.status, 202);
    let again = client
        .send("POST", "/v1/batches", &[CSV, key], FILE.as_bytes())
        .await;
    assert_eq!((again.status, &again.body), (202, &first.body));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("location"), first.header("location"));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(FILE.as_bytes()).expect("packs");
    let gzip = [CSV, key, ("Content-Encoding", "gzip")];
    let again = client
        .send(
            "POST",
            "/v1/batches",
            &gzip,
            &packed.finish().expect("packed"),
        )
        .await;
    assert_eq!(again.body, first.body, "the same rows, packed");
    let other = client
        .send("POST", "/v1/batches", &[CSV, key], b"external_id\nzoe\n")
        .await;
    assert_eq!(other.code(), "idempotency_conflict");
    let other = client
        .send(
            "POST",
            "/v1/batches?chains=evm",
            &[CSV, key],
            FILE.as_bytes(),
        )
        .await;
    assert_eq!(other.code(), "idempotency_conflict");
    assert_eq!(
        client.get("/v1/batches").await.json()["data"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let bad = client
        .send(
            "POST",
            "/v1/batches",
            &[CSV, ("Idempotency-Key", "a b")],
            b"external_id\n",
        )
        .await;
    assert_eq!(bad.code(), "validation");
    installation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_cannot_be_taken_leave_nothing() {
    let installation = Installation::new().await;
    let client = &installation.client;
    let send = async |path: &str, headers: &[(&str, &str)], body: &[u8]| {
        client.send("POST", path, headers, body).await
    };
    let open = send("/v1/batches", &[CSV], b"external_id\n\"ann\n").await;
    assert_eq!(open.code(), "malformed_upload");
    assert!(open.json()["line"].is_u64(), "{open:?}");
    assert_eq!(
        send("/v1/batches", &[CSV], b"").await.code(),
        "malformed_upload"
    );
    assert_eq!(
        send(
            "/v1/batches",
            &[("Content-Type", "application/pdf")],
            b"%PDF"
        )
        .await
        .code(),
        "unsupported_format"
    );
    assert_eq!(
        send("/v1/batches", &[CSV, ("Content-Encoding", "br")], b"x")
            .await
            .code(),
        "unsupported_format"
    );
    assert_eq!(
        send("/v1/batches", &[CSV], b"\xff\xfee\0x\0").await.code(),
        "unsupported_format"
    );
    assert_eq!(
        send("/v1/batches?chains=doge", &[CSV], FILE.as_bytes())
            .await
            .code(),
        "validation"
    );
    assert_eq!(
        send("/v1/batches?chain=evm", &[CSV], FILE.as_bytes())
            .await
            .code(),
        "validation"
    );
    let unknown = format!("/v1/batches?vault=vlt_{}", "0".repeat(32));
    assert_eq!(
        send(&unknown, &[CSV], FILE.as_bytes()).await.code(),
        "not_found"
    );
    let aborted = send("/v1/batches?on_error=abort", &[CSV], FILE.as_bytes()).await;
    assert_eq!(
        (aborted.status, &aborted.json()["state"]),
        (202, &json!("failed"))
    );
    assert_eq!(client.get("/v1/wallets").await.json()["data"], json!([]));
    installation.stop().await;
}
