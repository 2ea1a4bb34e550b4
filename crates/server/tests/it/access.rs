//! Nobody gets in: for every operation of the OpenAPI document, without a key, and with a key without scopes.

use serde_json::json;

use crate::installation::{Installation, config, made};
use crate::openapi::operations;

/// A path with ids that are well formed.
fn filled(path: &str, vault: &str) -> String {
    let zeros = "0".repeat(32);
    let of = |prefix: &str| format!("{prefix}_{zeros}");
    let id = match path.split('/').nth(2) {
        Some("batches") => of("bat"),
        Some("wallets") => of("wal"),
        Some("keys") => of("key"),
        Some("networks") => of("net"),
        Some("assets") => of("ast"),
        _ => vault.to_owned(),
    };
    path.replace("{id}", &id)
        .replace("{vault}", vault)
        .replace("{drill_id}", &of("drl"))
        .replace("{address}", "0x0000000000000000000000000000000000000000")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_asks_for_a_key_and_its_scope() {
    let made = made().await;
    let mut config = config(&made);
    config.rate_limit.failures_per_minute = 0;
    let installation = Installation::start(made, config).await;
    let none = installation.client.without_key();
    let wrong = installation
        .client
        .with_key(&format!("cfr_{}_{}", "0".repeat(32), "0".repeat(64)));
    let scopes = [
        "batches:read",
        "batches:write",
        "wallets:read",
        "wallets:write",
        "wallets:activate",
        "vaults:read",
        "vaults:write",
        "networks:read",
        "networks:write",
        "webhooks:read",
        "webhooks:write",
        "audit:read",
        "keys:write",
    ];
    let mut keys = Vec::new();
    for scope in scopes {
        keys.push((
            scope,
            installation
                .client
                .with_key(&installation.key(&[scope]).await),
        ));
    }
    let mut guarded = 0;
    for (method, path, operation) in operations() {
        let path = filled(&path, &installation.vault);
        let Some(scope) = operation["security"][0]["api_key"][0].as_str() else {
            assert!(
                none.send(&method, &path, &[], b"").await.status < 500,
                "{path}"
            );
            continue;
        };
        guarded += 1;
        assert_eq!(
            none.send(&method, &path, &[], b"").await.code(),
            "unauthorized",
            "{method} {path}"
        );
        assert_eq!(
            wrong.send(&method, &path, &[], b"").await.code(),
            "unauthorized",
            "{method} {path}"
        );
        for (held, client) in &keys {
            let answer = client.send(&method, &path, &[], b"").await;
            if *held == scope {
                assert_ne!(answer.status, 401, "{method} {path}");
                assert_ne!(
                    answer.status, 403,
                    "{method} {path} with {held}: {answer:?}"
                );
            } else {
                assert_eq!(answer.code(), "forbidden", "{method} {path} with {held}");
                assert_eq!(answer.json()["scope"], scope);
            }
        }
    }
    assert!(
        guarded >= 28,
        "{guarded} guarded operations; did some lose their guard?"
    );
    installation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told_with_the_time_to_wait() {
    let made = made().await;
    let mut config = config(&made);
    config.rate_limit.requests_per_second = 1;
    config.rate_limit.burst = 3;
    config.rate_limit.failures_per_minute = 2;
    let installation = Installation::start(made, config).await;
    let client = &installation.client;
    let mut codes = Vec::new();
    for _ in 0..5 {
        codes.push(client.get("/v1/vaults").await);
    }
    let limited = codes
        .iter()
        .find(|answer| answer.status == 429)
        .expect("limited");
    assert_eq!(limited.code(), "rate_limited");
    assert!(
        limited
            .header("retry-after")
            .is_some_and(|seconds| seconds.parse::<u64>().is_ok_and(|s| s >= 1))
    );
    let none = client.without_key();
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(none.get("/v1/vaults").await.status);
    }
    assert_eq!(statuses, [401, 401, 429, 429]);
    assert_eq!(none.get("/healthz").await.status, 200);
    installation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_cannot_give_away_what_it_has_not() {
    let installation = Installation::new().await;
    let clerk = installation
        .client
        .with_key(&installation.key(&["keys:write"]).await);
    let admin = clerk
        .json(
            "POST",
            "/v1/keys",
            &json!({ "name": "x", "scopes": ["admin"] }),
        )
        .await;
    assert_eq!(admin.code(), "validation");
    let same = clerk
        .json(
            "POST",
            "/v1/keys",
            &json!({ "name": "x", "scopes": ["keys:write"], "expires_in_days": 1 }),
        )
        .await;
    assert!(
        same.status == 201 && same.json()["expires_at"].is_string(),
        "{same:?}"
    );
    installation.stop().await;
}
