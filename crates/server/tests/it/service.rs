//! Liveness, readiness, metrics, documentation, the envelope, and stopping.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::installation::Installation;

#[tokio::test(flavor = "multi_thread")]
async fn the_process_tells_how_it_fares_and_stops() {
    let installation = Installation::new().await;
    let open = installation.client.without_key();
    assert_eq!(open.get("/healthz").await.json()["alive"], true);
    let ready = open.get("/readyz").await;
    assert_eq!(ready.status, 200, "{ready:?}");
    for part in ["store", "signer", "audit"] {
        assert_eq!(ready.json()["checks"][part], true, "{part}");
    }
    let metrics = open.get("/metrics").await.text();
    for name in [
        "coffer_http_requests_total{",
        "coffer_http_request_duration_seconds_bucket{",
        "process_resident_memory_bytes ",
    ] {
        assert!(metrics.contains(name), "{name} in {metrics}");
    }
    assert_eq!(
        open.get("/openapi.json").await.json(),
        crate::openapi::document()
    );
    let page = open.get("/docs/").await;
    assert!(page.text().contains("swagger-ui"));
    let policy = page
        .header("content-security-policy")
        .expect("a policy")
        .to_owned();
    assert!(policy.contains("script-src 'self';"), "{policy}");
    assert_eq!(open.get("/docs/swagger-ui-bundle.js").await.status, 200);
    assert_eq!(open.get("/docs/none.js").await.code(), "not_found");
    assert_eq!(open.get("/docs").await.header("location"), Some("/docs/"));

    let begun = Instant::now();
    let made = installation.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(made.folder.path().join("data/audit.anchor").exists());
    assert!(
        !made.folder.path().join("data/coffer.db-wal").exists(),
        "the database is closed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_one_shape() {
    let installation = Installation::new().await;
    let client = &installation.client;
    assert_eq!(client.get("/v1/nothing").await.code(), "not_found");
    assert_eq!(client.get("//v1/batches").await.code(), "not_found");
    assert_eq!(
        client.get("/v1/%2e%2e/v1/batches").await.code(),
        "not_found"
    );
    let put = client.send("PUT", "/v1/batches", &[], b"").await;
    assert_eq!(put.code(), "method_not_allowed");
    assert!(
        put.header("allow")
            .is_some_and(|methods| methods.contains("POST"))
    );
    assert_eq!(client.get("/v1/batches?limit=0").await.code(), "validation");
    assert_eq!(
        client.get("/v1/batches?limit=2147483648").await.code(),
        "validation"
    );
    assert_eq!(
        client.get("/v1/batches?cursor=x").await.code(),
        "validation"
    );
    assert_eq!(client.get("/v1/batches?sort=id").await.code(), "validation");
    assert_eq!(client.get("/v1/batches/bat_1").await.code(), "not_found");
    installation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_cannot_be_read_are_told_why() {
    let installation = Installation::new().await;
    let client = &installation.client;
    let vault = &installation.vault;
    let gate = format!("/v1/vaults/{vault}/gate");
    let text = client
        .send("PUT", &gate, &[("Content-Type", "text/plain")], b"{}")
        .await;
    assert_eq!(text.code(), "unsupported_format");
    let broken = client
        .send(
            "PUT",
            &gate,
            &[("Content-Type", "application/json")],
            b"{\"mode\":",
        )
        .await;
    assert_eq!(
        (broken.code().as_str(), broken.json()["line"].as_u64()),
        ("validation", Some(1))
    );
    assert_eq!(
        client
            .json("PUT", &gate, &json!({ "mode": "never" }))
            .await
            .code(),
        "validation"
    );
    assert_eq!(
        client
            .json(
                "PUT",
                &gate,
                &json!({ "mode": "hook", "hook_url": "http://kyc.example" })
            )
            .await
            .code(),
        "validation"
    );
    let huge = client
        .send(
            "PUT",
            &gate,
            &[
                ("Content-Type", "application/json"),
                ("Content-Length", "99999999"),
            ],
            b"",
        )
        .await;
    assert!(huge.status == 413 || huge.status == 400, "{huge:?}");
    installation.stop().await;
}
