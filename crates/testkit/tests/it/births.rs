//! Merkle proofs of wallets, and calls for wallets that are served together.

use std::sync::Arc;

use coffer_domain::vault::{Gate, GateMode};
use coffer_domain::wallet::{Decision, Wallet};
use coffer_platform::audit::WalletProof;
use coffer_platform::batches::parse::Format;
use coffer_platform::{Answer, Assigned, Caller, Error, OwnedOnce, Platform, Scope};
use coffer_testkit::checker::{Expected, check};
use coffer_testkit::{Engine, Installation};
use futures_util::future::join_all;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::scene::{
    Workers, all_wallets, assign, colleague, csv, finished, new_wallet, on_both_engines, send,
    upload,
};

on_both_engines!(
    every_wallet_is_proven_by_its_record,
    a_record_with_an_edited_wallet_proves_nothing,
    a_call_that_fails_leaves_the_others_alone,
    many_customers_in_one_call,
    a_call_for_many_is_answered_once,
    an_edit_is_seen_at_the_next_look,
);

/// RFC 9162, section 2.1.3.2.
fn climb(proof: &WalletProof) -> [u8; 32] {
    let node = |left: &[u8; 32], right: &[u8; 32]| -> [u8; 32] {
        Sha256::digest([&[1][..], left, right].concat()).into()
    };
    let (mut at, mut last, mut hash) = (proof.leaf_index, proof.tree_size - 1, proof.leaf_hash);
    for beside in &proof.path {
        assert_ne!(last, 0, "the path is too long");
        if at % 2 == 1 || at == last {
            hash = node(beside, &hash);
            while at.is_multiple_of(2) && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            hash = node(&hash, beside);
        }
        (at, last) = (at / 2, last / 2);
    }
    assert_eq!(last, 0, "the path is too short");
    hash
}

async fn proven(platform: &Platform, admin: &Caller, wallet: &Wallet) -> WalletProof {
    let proof = platform
        .wallet_proof(admin, wallet.id)
        .await
        .expect("is proven");
    let payload: Value = serde_json::from_str(&proof.record.payload).expect("JSON");
    let root = payload["changes"]["created"]["births_root"]
        .as_str()
        .expect("a root");
    assert_eq!(hex::encode(climb(&proof)), root, "{}", wallet.id);
    proof
}

/// A batch of `rows` customers, done.
async fn batch(installation: &Installation, rows: u32) -> Vec<Wallet> {
    let (platform, admin) = (&installation.platform, &installation.admin);
    let names: Vec<String> = (0..rows).map(|row| format!("row-{row}")).collect();
    let workers = Workers::start(platform, 1);
    let asked = upload(installation.vault, Format::Csv);
    let batch = send(platform, admin, asked, &csv(&names)).await;
    finished(platform, admin, batch.id).await;
    workers.stop().await;
    all_wallets(platform, admin).await
}

async fn every_wallet_is_proven_by_its_record(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let manual = Gate {
        mode: GateMode::Manual,
        hook_url: None,
    };
    platform
        .set_gate(admin, installation.vault, manual)
        .await
        .expect("set");
    let wallets = batch(&installation, 11).await;
    let single = assign(platform, admin, installation.vault, "single").await;
    let single = single.expect("assigned").wallet;
    let mut proofs = Vec::new();
    for (place, wallet) in wallets.iter().enumerate() {
        let proof = proven(platform, admin, wallet).await;
        assert_eq!((proof.leaf_index, proof.tree_size), (place, 11));
        proofs.push(proof);
    }
    let alone = proven(platform, admin, &single).await;
    assert_eq!((alone.leaf_index, alone.tree_size), (0, 1));
    // A decision changes neither the leaf nor the record.
    let other = colleague(platform, admin, &[Scope::Admin]).await;
    let decided = platform
        .decide_wallet(&other, wallets[4].id, Decision::Activate, None, None)
        .await;
    assert!(matches!(decided, Ok(Answer::Executed(_))));
    let again = proven(platform, admin, &wallets[4]).await;
    assert_eq!(again.leaf_hash, proofs[4].leaf_hash);
    assert_eq!(again.record, proofs[4].record);
    assert_eq!(again.wallet.version, 2);
    // Another process learns the same from the chain.
    let reopened = installation.reopen().await;
    proven(&reopened, admin, &wallets[10]).await;
    let report = check(&installation.database.url, Expected::default())
        .await
        .expect("reads");
    assert_eq!(report.problems, Vec::<String>::new());
}

async fn a_record_with_an_edited_wallet_proves_nothing(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let wallets = batch(&installation, 5).await;
    for tampering in [
        "UPDATE wallets SET label = 'x' WHERE derivation_index = 2",
        "DELETE FROM wallets WHERE derivation_index = 2",
    ] {
        installation.database.tamper(tampering).await;
        let refused = platform.wallet_proof(admin, wallets[0].id).await;
        assert!(
            matches!(refused, Err(Error::Integrity { .. })),
            "{tampering}: {refused:?}"
        );
        let report = check(&installation.database.url, Expected::default())
            .await
            .expect("reads");
        assert!(!report.problems.is_empty(), "{tampering}");
    }
}

async fn a_call_that_fails_leaves_the_others_alone(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin, vault) = (
        &installation.platform,
        &installation.admin,
        installation.vault,
    );
    let unknown = coffer_domain::id::VaultId::from_bytes([9; 16]);
    let broken = assign(platform, admin, vault, "broken")
        .await
        .expect("assigned");
    let edit = format!(
        "UPDATE wallets SET label = 'x' WHERE derivation_index = {}",
        broken.wallet.index
    );
    installation.database.tamper(&edit).await;
    let names = ["a", "nowhere", "b", "broken", "c", "a"];
    let calls = names.iter().map(|name| {
        let of = if *name == "nowhere" { unknown } else { vault };
        assign(platform, admin, of, name)
    });
    // Dropped before it was answered: nobody else is the worse for it.
    let gone = Box::pin(assign(platform, admin, vault, "gone"));
    drop(futures_util::poll!(gone));
    let answers = join_all(calls).await;
    for (name, answer) in names.iter().zip(&answers) {
        match *name {
            "nowhere" => assert!(matches!(answer, Err(Error::NotFound { .. })), "{answer:?}"),
            "broken" => assert!(matches!(answer, Err(Error::Integrity { .. })), "{answer:?}"),
            name => assert_eq!(
                answer
                    .as_ref()
                    .expect("assigned")
                    .wallet
                    .external_id
                    .as_str(),
                name
            ),
        }
    }
    let of = |place: usize| answers[place].as_ref().expect("assigned");
    assert_eq!(of(0).wallet, of(5).wallet);
    // Which of the two came first depends on when the pool was filled.
    assert_ne!(of(0).existing, of(5).existing);
}

async fn many_customers_in_one_call(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin, vault) = (
        &installation.platform,
        &installation.admin,
        installation.vault,
    );
    let first = assign(platform, admin, vault, "m-1").await.expect("made");
    let mut names: Vec<String> = (0..600).map(|n| format!("m-{n}")).collect();
    names.push("m-7".to_owned());
    let wanted = names.iter().map(|name| new_wallet(vault, name)).collect();
    let answer = platform.assign_wallets(admin, wanted, None).await;
    let Ok(Answer::Executed(all)) = answer else {
        panic!("{answer:?}")
    };
    let told: Vec<&str> = all
        .iter()
        .map(|one| one.wallet.external_id.as_str())
        .collect();
    assert_eq!(told, names, "in the order of the call");
    assert_eq!(all[1].wallet, first.wallet);
    assert_eq!(all[600].wallet, all[7].wallet);
    let existing = all.iter().filter(|one| one.existing).count();
    assert_eq!(
        (existing, all[1].existing, all[600].existing),
        (2, true, true)
    );
    assert_eq!(all_wallets(platform, admin).await.len(), 600);
    let records = platform.audit_records(admin, 0, 500).await.expect("reads");
    let created = |action: &str| records.iter().filter(|one| one.action == action).count();
    assert_eq!(
        (created("wallet.created"), created("wallets.created")),
        (1, 1)
    );
    proven(platform, admin, &all[599].wallet).await;
    for refused in [Vec::new(), vec![new_wallet(vault, "x"); 1001]] {
        let refused = platform.assign_wallets(admin, refused, None).await;
        assert!(matches!(refused, Err(Error::Validation { .. })));
    }
}

async fn a_call_for_many_is_answered_once(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin, vault) = (
        &installation.platform,
        &installation.admin,
        installation.vault,
    );
    let call = |fingerprint: u8| {
        let wanted = (0..20).map(|n| new_wallet(vault, &format!("o-{n}")));
        let once = OwnedOnce {
            key: "many".to_owned(),
            fingerprint: [fingerprint; 32],
            render: Arc::new(|all: &Vec<Assigned>| (200, format!("{} wallets", all.len()))),
        };
        platform.assign_wallets(admin, wanted.collect(), Some(once))
    };
    let answers = join_all((0..5).map(|_| call(1))).await;
    let executed = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Answer::Executed(_))))
        .count();
    let replayed = Answer::Replayed {
        status: 200,
        body: "20 wallets".to_owned(),
    };
    let repeated = answers
        .iter()
        .filter(|answer| answer.as_ref().ok() == Some(&replayed))
        .count();
    assert_eq!((executed, repeated), (1, 4), "{answers:?}");
    let conflict = call(2).await;
    assert!(
        matches!(conflict, Err(Error::IdempotencyConflict { .. })),
        "{conflict:?}"
    );
    assert_eq!(all_wallets(platform, admin).await.len(), 20);
}

/// What was verified is used again only until something is committed, by whomever.
async fn an_edit_is_seen_at_the_next_look(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin, vault) = (
        &installation.platform,
        &installation.admin,
        installation.vault,
    );
    let new = coffer_platform::NewApiKey {
        name: "reader".to_owned(),
        scopes: vec![Scope::WalletsRead],
        expires_in_days: None,
    };
    let issued = platform.create_api_key(admin, new).await.expect("issued");
    let wallet = assign(platform, admin, vault, "a")
        .await
        .expect("made")
        .wallet;
    let address = coffer_chains::parse(&coffer_chains::encode(
        &wallet.payloads[0],
        coffer_domain::address::BitcoinNetwork::Mainnet,
    ))
    .expect("an address");
    let other = installation.reopen().await;
    for _ in 0..2 {
        let found = other.wallet_by_address(admin, &address).await;
        assert_eq!(found.expect("found"), wallet);
        let caller = other.authenticate(&issued.token).await.expect("reads");
        assert!(caller.is_some());
    }
    platform
        .revoke_api_key(admin, issued.key.id)
        .await
        .expect("revoked");
    let caller = other.authenticate(&issued.token).await.expect("reads");
    assert_eq!(caller, None, "revoked by another process");
    installation
        .database
        .tamper("UPDATE wallets SET label = 'x'")
        .await;
    let refused = other.wallet_by_address(admin, &address).await;
    assert!(
        matches!(refused, Err(Error::Integrity { .. })),
        "{refused:?}"
    );
    installation.database.tamper("DELETE FROM api_keys").await;
    let caller = other.authenticate(&issued.token).await.expect("reads");
    assert_eq!(caller, None);
}
