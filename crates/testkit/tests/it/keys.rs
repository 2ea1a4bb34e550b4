//! API keys: what opens, for how long, and what a key can give away.

use std::sync::Arc;

use coffer_platform::{Caller, Error, IssuedApiKey, NewApiKey, Platform, Scope};
use coffer_testkit::{Engine, Installation};

use crate::scene::{colleague, on_both_engines};

on_both_engines!(
    no_token_but_the_issued_one_counts,
    a_key_has_its_scopes_and_no_others,
    nobody_gives_a_scope_away_that_they_lack,
    a_key_ends_by_the_clock,
    a_revoked_key_is_dead_everywhere,
    a_revocation_undone_in_the_database_is_refused,
    a_scope_added_in_the_database_is_refused,
    the_database_holds_no_secret,
);

async fn issue(
    platform: &Platform,
    caller: &Caller,
    scopes: &[Scope],
    days: Option<u32>,
) -> Result<IssuedApiKey, Error> {
    let new = NewApiKey {
        name: "k".to_owned(),
        scopes: scopes.to_vec(),
        expires_in_days: days,
    };
    platform.create_api_key(caller, new).await
}

async fn counts(platform: &Platform, token: &str) -> bool {
    platform.authenticate(token).await.expect("reads").is_some()
}

async fn no_token_but_the_issued_one_counts(engine: Engine) {
    let installation = Installation::create(engine).await;
    let platform = &installation.platform;
    let other = issue(platform, &installation.admin, &[Scope::WalletsRead], None)
        .await
        .expect("issued");
    let good = installation.token.as_str();
    let (id, secret) = good
        .strip_prefix("cfr_")
        .and_then(|rest| rest.split_once('_'))
        .expect("the documented form");
    let other_id = hex::encode(other.key.id.as_bytes());
    let flipped = if secret.ends_with('0') { '1' } else { '0' };
    let bad = [
        String::new(),
        "cfr".to_owned(),
        "cfr__".to_owned(),
        format!("cfr_{id}"),
        format!("cfr_{id}_"),
        format!("cfr_{id}_{}", &secret[..62]),
        format!("cfr_{id}_{secret}00"),
        format!("cfr_{id}_{}{flipped}", &secret[..63]),
        format!("cfr_{id}_{}", "00".repeat(32)),
        format!("cfr_{other_id}_{secret}"),
        format!("cfr_{}_{secret}", "00".repeat(16)),
        format!("xfr_{id}_{secret}"),
        format!("cfr_{id}_{secret}_"),
        format!(" {good}"),
        "cfr_客户_密码".to_owned(),
        "'; DROP TABLE api_keys; --".to_owned(),
        "x".repeat(1 << 20),
    ];
    for token in &bad {
        assert!(!counts(platform, token).await, "{:.80}", token);
    }
    assert!(counts(platform, good).await);
    assert!(counts(platform, &other.token).await);
}

async fn a_key_has_its_scopes_and_no_others(engine: Engine) {
    let installation = Installation::create(engine).await;
    for scope in Scope::ALL.iter().filter(|scope| **scope != Scope::Admin) {
        let caller = colleague(&installation.platform, &installation.admin, &[*scope]).await;
        assert_eq!(caller.organization, installation.admin.organization);
        for other in Scope::ALL {
            assert_eq!(caller.may(*other), other == scope, "{scope:?} {other:?}");
        }
    }
    assert!(
        Scope::ALL
            .iter()
            .all(|scope| installation.admin.may(*scope)),
        "admin may everything"
    );
}

async fn nobody_gives_a_scope_away_that_they_lack(engine: Engine) {
    let installation = Installation::create(engine).await;
    let platform = &installation.platform;
    let caller = colleague(
        platform,
        &installation.admin,
        &[Scope::KeysWrite, Scope::WalletsRead],
    )
    .await;
    for scope in Scope::ALL {
        let given = issue(platform, &caller, &[Scope::WalletsRead, *scope], None).await;
        assert_eq!(given.is_ok(), caller.may(*scope), "{scope:?}");
        if let Err(error) = given {
            assert!(
                matches!(
                    error,
                    Error::Validation {
                        field: "scopes",
                        ..
                    }
                ),
                "{error}"
            );
        }
    }
    assert!(
        issue(platform, &caller, &[], None).await.is_err(),
        "a key without a scope"
    );
    for days in [0, 3651] {
        assert!(
            issue(platform, &caller, &[Scope::WalletsRead], Some(days))
                .await
                .is_err(),
            "{days} days"
        );
    }
    for name in ["", "  ", &"n".repeat(101)] {
        let new = NewApiKey {
            name: name.to_owned(),
            scopes: vec![Scope::WalletsRead],
            expires_in_days: None,
        };
        assert!(
            platform.create_api_key(&caller, new).await.is_err(),
            "{name:?}"
        );
    }
}

async fn a_key_ends_by_the_clock(engine: Engine) {
    let installation = Installation::create(engine).await;
    let platform = &installation.platform;
    let day = 24 * 60 * 60 * 1000;
    let issued = issue(
        platform,
        &installation.admin,
        &[Scope::WalletsRead],
        Some(2),
    )
    .await
    .expect("issued");
    assert!(
        issued
            .key
            .expires_at_ms
            .is_some_and(|end| (end - installation.clock_ms() - 2 * day).abs() < day / 24)
    );
    installation.clock.advance_ms(2 * day - 60_000);
    assert!(counts(platform, &issued.token).await);
    installation.clock.advance_ms(60_000);
    assert!(!counts(platform, &issued.token).await);
    assert!(
        counts(platform, &installation.token).await,
        "a key without an end has none"
    );
}

async fn a_revoked_key_is_dead_everywhere(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let other = installation
        .join(Arc::clone(&installation.signer), [2; 16])
        .await;
    let issued = issue(platform, admin, &[Scope::WalletsRead], None)
        .await
        .expect("issued");
    assert!(counts(platform, &issued.token).await && counts(&other, &issued.token).await);
    for _ in 0..2 {
        platform
            .revoke_api_key(admin, issued.key.id)
            .await
            .expect("revoked, and again");
    }
    assert!(!counts(platform, &issued.token).await && !counts(&other, &issued.token).await);
    let listed = other.list_api_keys(admin).await.expect("reads");
    let shown = listed
        .iter()
        .find(|key| key.id == issued.key.id)
        .expect("stays listed");
    assert!(shown.revoked_at_ms.is_some());
    let records = platform.audit_records(admin, 0, 100).await.expect("reads");
    assert_eq!(
        records
            .iter()
            .filter(|record| record.action == "api_key.revoked")
            .count(),
        1,
        "once"
    );
    let unknown = coffer_domain::id::ApiKeyId::from_bytes([1; 16]);
    assert!(matches!(
        platform.revoke_api_key(admin, unknown).await,
        Err(Error::NotFound { .. })
    ));
}

async fn a_revocation_undone_in_the_database_is_refused(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let issued = issue(platform, admin, &[Scope::Admin], None)
        .await
        .expect("issued");
    installation
        .database
        .tamper("CREATE TABLE kept AS SELECT * FROM api_keys")
        .await;
    platform
        .revoke_api_key(admin, issued.key.id)
        .await
        .expect("revoked");
    installation
        .database
        .tamper("DELETE FROM api_keys; INSERT INTO api_keys SELECT * FROM kept")
        .await;
    let restarted = installation.reopen().await;
    let refused = restarted.authenticate(&issued.token).await;
    assert!(
        matches!(refused, Err(Error::Integrity { .. })),
        "{refused:?}"
    );
}

async fn a_scope_added_in_the_database_is_refused(engine: Engine) {
    let installation = Installation::create(engine).await;
    let platform = &installation.platform;
    let issued = issue(platform, &installation.admin, &[Scope::WalletsRead], None)
        .await
        .expect("issued");
    installation
        .database
        .tamper("UPDATE api_keys SET scopes = 'admin' WHERE scopes = 'wallets:read'")
        .await;
    let refused = platform.authenticate(&issued.token).await;
    assert!(
        matches!(refused, Err(Error::Integrity { .. })),
        "{refused:?}"
    );
}

async fn the_database_holds_no_secret(engine: Engine) {
    use sha2::{Digest, Sha256};
    let installation = Installation::create(engine).await;
    let secret = installation
        .token
        .rsplit('_')
        .next()
        .expect("the documented form");
    let bytes = hex::decode(secret).expect("hexadecimal");
    let mut tx = installation.platform.db().read().await.expect("reads");
    let rows = tx
        .fetch("SELECT secret_hash, seal, id FROM api_keys", &[])
        .await
        .expect("reads");
    assert_eq!(
        rows[0].blob(0).expect("bytes"),
        Sha256::digest(&bytes).to_vec()
    );
    let records = installation
        .platform
        .audit_records(&installation.admin, 0, 100)
        .await
        .expect("reads");
    assert!(
        records
            .iter()
            .all(|record| !record.payload.contains(secret))
    );
}
