//! Two organizations on one database: neither sees or changes anything of the other.

#![expect(
    clippy::too_many_lines,
    reason = "a test tells one story from its beginning to its end"
)]

use std::sync::Arc;

use coffer_domain::address::BitcoinNetwork;
use coffer_domain::batch::Batch;
use coffer_domain::id::{OrganizationId, VaultId};
use coffer_domain::vault::{Gate, GateMode, Tier};
use coffer_domain::wallet::{Decision, Wallet};
use coffer_platform::batches::Control;
use coffer_platform::batches::parse::Format;
use coffer_platform::bootstrap::{self, Choice};
use coffer_platform::{
    Answer, Assigned, Caller, Error, NewVault, OsEntropy, OwnedOnce, Scope, SystemClock,
    WalletFilter,
};
use coffer_store::{Db, api_keys, audit, events, organizations, vaults};
use coffer_testkit::{Engine, Installation, TestDatabase};

use crate::scene::{
    all_wallets, assign, body, colleague, csv, external_id, new_wallet, on_both_engines, results,
    run, upload, without_pool,
};

on_both_engines!(
    neither_reads_of_the_other,
    neither_changes_anything_of_the_other,
    ids_and_keys_are_each_organizations_own,
    one_broken_audit_locks_one_organization,
);

/// A second organization with a vault of its own. It is bootstrapped on a database of its own by the same
/// signer, whose rows are then brought over: a product that can do this has a use case for it, with an audit.
async fn second(installation: &Installation) -> (Caller, VaultId) {
    let signer = Arc::clone(&installation.signer);
    let choice = Choice {
        organization_name: "second".to_owned(),
        vault: NewVault {
            name: "theirs".to_owned(),
            tier: Tier::Hot,
            account: 1,
            bitcoin_network: BitcoinNetwork::Mainnet,
        },
    };
    let drafting = Arc::clone(&signer);
    let draft = tokio::task::spawn_blocking(move || {
        bootstrap::draft(drafting.as_ref(), &SystemClock, &OsEntropy, &choice)
    });
    let draft = draft.await.expect("ends").expect("described");
    let proof = installation.answer_drill(draft.challenge());
    let finishing = Arc::clone(&signer);
    let made =
        tokio::task::spawn_blocking(move || draft.finish(finishing.as_ref(), &OsEntropy, &proof));
    let made = made.await.expect("ends").expect("passes");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let database = TestDatabase::create(Engine::Sqlite, folder.path()).await;
    let apart = Db::open(&database.url).await.expect("opens");
    assert!(
        bootstrap::apply(&apart, signer, &made.json)
            .await
            .expect("applies")
    );
    bring_over(&apart, installation.platform.db(), made.organization).await;
    let caller = installation
        .platform
        .authenticate(&made.token)
        .await
        .expect("reads")
        .expect("counts");
    assert_ne!(caller.organization, installation.admin.organization);
    (caller, made.vault.id)
}

async fn bring_over(from: &Db, to: &Db, organization: OrganizationId) {
    let mut from = from.read().await.expect("reads");
    let mut to = to.write().await.expect("writes");
    for one in organizations::all(&mut from).await.expect("reads") {
        organizations::insert(&mut to, &one).await.expect("inserts");
    }
    for vault in vaults::of_organization(&mut from, organization)
        .await
        .expect("reads")
    {
        vaults::insert(&mut to, &vault).await.expect("inserts");
    }
    for key in api_keys::of_organization(&mut from, organization)
        .await
        .expect("reads")
    {
        api_keys::insert(&mut to, &key).await.expect("inserts");
    }
    let mut told = 0;
    for record in audit::page(&mut from, organization, 0, 100)
        .await
        .expect("reads")
    {
        let payload: serde_json::Value = serde_json::from_str(&record.payload).expect("JSON");
        told = payload["changes"]["events"][1].as_u64().unwrap_or(told);
        audit::append(&mut to, &record, told)
            .await
            .expect("appends");
    }
    let events = events::after(&mut from, organization, 0, 1000)
        .await
        .expect("reads");
    events::insert_many(&mut to, &events)
        .await
        .expect("inserts");
    to.commit().await.expect("commits");
}

/// The first organization's things, and the second's caller.
struct Scene {
    installation: Installation,
    theirs: Caller,
    their_vault: VaultId,
    batch: Batch,
    wallet: Wallet,
}

async fn scene(engine: Engine) -> Scene {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    without_pool(platform, admin, installation.vault).await;
    let (theirs, their_vault) = second(&installation).await;
    without_pool(platform, &theirs, their_vault).await;
    let gate = Gate {
        mode: GateMode::Manual,
        hook_url: None,
    };
    platform
        .set_gate(admin, installation.vault, gate)
        .await
        .expect("set");
    let batch = run(
        platform,
        admin,
        upload(installation.vault, Format::Csv),
        &csv(["u1", "u2"]),
    )
    .await;
    let wallet = results(platform, admin, batch.id)
        .await
        .remove(0)
        .wallet
        .expect("a wallet");
    Scene {
        installation,
        theirs,
        their_vault,
        batch,
        wallet,
    }
}

fn is_absent<T: std::fmt::Debug>(what: &str, result: Result<T, Error>) {
    assert!(
        matches!(result, Err(Error::NotFound { .. })),
        "{what}: {result:?}"
    );
}

async fn neither_reads_of_the_other(engine: Engine) {
    let scene = scene(engine).await;
    let (platform, theirs, vault) = (
        &scene.installation.platform,
        &scene.theirs,
        scene.installation.vault,
    );
    is_absent("batch", platform.batch(theirs, scene.batch.id).await);
    is_absent(
        "batch_results",
        platform
            .batch_results(theirs, scene.batch.id)
            .await
            .map(|_| ()),
    );
    assert!(
        platform
            .batches(theirs, None, None, 100)
            .await
            .expect("reads")
            .items
            .is_empty()
    );
    is_absent("wallet", platform.wallet(theirs, scene.wallet.id).await);
    assert_eq!(
        platform
            .wallet_by_external_id(theirs, &scene.wallet.external_id)
            .await
            .expect("reads"),
        None
    );
    for payload in &scene.wallet.payloads {
        let text = coffer_chains::encode(payload, BitcoinNetwork::Mainnet);
        let parsed = coffer_chains::parse(&text).expect("our own address");
        is_absent(&text, platform.wallet_by_address(theirs, &parsed).await);
        assert_eq!(
            platform
                .wallet_by_address(&scene.installation.admin, &parsed)
                .await
                .expect("reads")
                .id,
            scene.wallet.id
        );
    }
    for filter in [
        WalletFilter::default(),
        WalletFilter {
            vault: Some(vault),
            state: None,
        },
    ] {
        let page = platform
            .wallets(theirs, &filter, None, 100)
            .await
            .expect("reads");
        assert!(page.items.is_empty() && page.refused.is_empty());
    }
    is_absent("vault", platform.vault(theirs, vault).await);
    let own: Vec<_> = platform
        .vaults(theirs)
        .await
        .expect("reads")
        .iter()
        .map(|vault| vault.id)
        .collect();
    assert_eq!(own, [scene.their_vault]);
    is_absent("pool", platform.pool(theirs, vault).await);
    is_absent(
        "allow_list",
        platform.allow_list(theirs, vault, [0; 16], 10).await,
    );
    let keys = platform.list_api_keys(theirs).await.expect("reads");
    assert!(keys.len() == 1 && keys[0].id == theirs.key);
    let texts = [
        vault.to_string(),
        scene.batch.id.to_string(),
        scene.installation.admin.key.to_string(),
    ];
    for record in platform.audit_records(theirs, 0, 500).await.expect("reads") {
        let shown = format!("{} {} {}", record.actor, record.object, record.payload);
        assert!(
            texts.iter().all(|text| !shown.contains(text.as_str())),
            "{shown}"
        );
    }
    assert_eq!(
        platform
            .audit_head(theirs)
            .await
            .expect("reads")
            .organization,
        theirs.organization
    );
    assert_eq!(
        platform.default_vault(theirs).await.expect("reads"),
        scene.their_vault
    );
}

async fn neither_changes_anything_of_the_other(engine: Engine) {
    let scene = scene(engine).await;
    let Scene {
        installation,
        theirs,
        batch,
        wallet,
        ..
    } = &scene;
    let (platform, admin, vault) = (
        &installation.platform,
        &installation.admin,
        installation.vault,
    );
    let before = platform.audit_head(admin).await.expect("reads");
    is_absent(
        "create_batch",
        platform
            .create_batch(theirs, upload(vault, Format::Csv), body(&csv(["x"])), None)
            .await,
    );
    for control in [Control::Pause, Control::Resume, Control::Cancel] {
        is_absent(
            "control_batch",
            platform
                .control_batch(theirs, batch.id, control, None)
                .await,
        );
    }
    is_absent("assign_wallet", assign(platform, theirs, vault, "x").await);
    for decision in [Decision::Activate, Decision::Reject] {
        is_absent(
            "decide_wallet",
            platform
                .decide_wallet(theirs, wallet.id, decision, Some("mine".to_owned()), None)
                .await,
        );
    }
    is_absent(
        "set_gate",
        platform
            .set_gate(theirs, vault, Gate::AUTOMATIC)
            .await
            .map(|set| set.vault),
    );
    is_absent(
        "allow",
        platform.allow(theirs, vault, &[external_id("u1")]).await,
    );
    is_absent(
        "disallow",
        platform.disallow(theirs, vault, &[external_id("u1")]).await,
    );
    is_absent("set_pool", platform.set_pool(theirs, vault, 1, 2).await);
    is_absent(
        "start_drill",
        platform.start_drill(theirs, vault, None).await,
    );
    let challenge = platform
        .start_drill(admin, vault, Some(1))
        .await
        .expect("started");
    let proof = installation.answer_drill(&challenge);
    is_absent(
        "finish_drill",
        platform
            .finish_drill(theirs, vault, challenge.drill_id, &proof)
            .await,
    );
    is_absent(
        "finish_drill under an own vault",
        platform
            .finish_drill(theirs, scene.their_vault, challenge.drill_id, &proof)
            .await,
    );
    is_absent(
        "revoke_api_key",
        platform.revoke_api_key(theirs, admin.key).await,
    );
    let taken = NewVault {
        name: "n".to_owned(),
        tier: Tier::Hot,
        account: 0,
        bitcoin_network: BitcoinNetwork::Mainnet,
    };
    assert!(
        platform.create_vault(theirs, taken).await.is_err(),
        "an account that is the other's vault already"
    );
    assert_eq!(
        platform.audit_head(admin).await.expect("reads"),
        before,
        "nothing happened"
    );
    assert_eq!(
        platform.wallet(admin, wallet.id).await.expect("reads"),
        *wallet
    );
}

fn render(assigned: &Assigned) -> (u16, String) {
    (201, assigned.wallet.id.to_string())
}

async fn ids_and_keys_are_each_organizations_own(engine: Engine) {
    let scene = scene(engine).await;
    let Scene {
        installation,
        theirs,
        their_vault,
        wallet,
        ..
    } = &scene;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let mut made = Vec::new();
    for (caller, vault, id) in [
        (admin, installation.vault, "fresh"),
        (theirs, *their_vault, "u1"),
    ] {
        let once = OwnedOnce {
            key: "same key".to_owned(),
            fingerprint: [u8::try_from(made.len()).expect("few"); 32],
            render: Arc::new(render),
        };
        match platform
            .assign_wallet(caller, new_wallet(vault, id), Some(once))
            .await
            .expect("assigned")
        {
            Answer::Executed(assigned) => made.push(assigned),
            Answer::Replayed { .. } => panic!("an idempotency key is its organization's own"),
        }
    }
    assert!(!made[1].existing, "u1 of the one is not u1 of the other");
    assert_ne!(made[1].wallet.payloads, wallet.payloads);
    let batch = run(
        platform,
        theirs,
        upload(*their_vault, Format::Csv),
        &csv(["u1", "u2"]),
    )
    .await;
    assert_eq!((batch.rows_created, batch.rows_existing), (1, 1));
    assert_eq!(all_wallets(platform, admin).await.len(), 3);
    assert_eq!(all_wallets(platform, theirs).await.len(), 2);
    let person = colleague(platform, theirs, &[Scope::WalletsActivate]).await;
    assert_eq!(person.organization, theirs.organization);
}

async fn one_broken_audit_locks_one_organization(engine: Engine) {
    let scene = scene(engine).await;
    let Scene {
        installation,
        theirs,
        their_vault,
        ..
    } = &scene;
    let id = hex::encode(theirs.organization.as_bytes());
    let blob = match engine {
        Engine::Sqlite => format!("x'{id}'"),
        Engine::Postgres => format!("'\\x{id}'::bytea"),
    };
    installation
        .database
        .tamper(&format!(
            "UPDATE audit_records SET actor = 'nobody' WHERE seq = 1 AND organization_id = {blob}"
        ))
        .await;
    let restarted = installation.reopen().await;
    let locked = restarted.vault(theirs, *their_vault).await;
    assert!(
        matches!(locked, Err(Error::AuditBroken { organization, .. }) if organization == theirs.organization),
        "{locked:?}"
    );
    assert!(matches!(
        assign(&restarted, theirs, *their_vault, "x").await,
        Err(Error::AuditBroken { .. })
    ));
    assert!(
        !restarted
            .audit_records(theirs, 0, 10)
            .await
            .expect("whoever investigates can read")
            .is_empty()
    );
    assign(&restarted, &installation.admin, installation.vault, "x")
        .await
        .expect("the other goes on");
}
