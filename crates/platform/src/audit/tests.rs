use coffer_domain::id::OrganizationId;
use coffer_signing::SealKey;
use coffer_store::audit::AuditRow;
use coffer_store::organizations::{Organization, insert};
use coffer_store::{Db, Param};

use super::*;
use crate::Error;
use crate::events::Outgoing;
use crate::seal::SealKeys;

const ORG: [u8; 16] = [7; 16];

fn organization() -> OrganizationId {
    OrganizationId::from_bytes(ORG)
}

fn seals() -> SealKeys {
    SealKeys::derive(&SealKey::from_bytes([3; 32]))
}

/// A database with a chain of ten records, each of which says a new version of `thing`.
async fn chain_of_ten(folder: &std::path::Path) -> Db {
    let db = Db::open(&format!("sqlite:{}", folder.join("t.db").display()))
        .await
        .expect("opens");
    let mut tx = db.write().await.expect("begins");
    let organization = Organization {
        id: organization(),
        name: "test".into(),
        created_at_ms: 1,
    };
    insert(&mut tx, &organization).await.expect("inserts");
    for version in 1..=10 {
        let entry = Entry {
            organization: organization.id,
            at_ms: 1000 + i64::from(version),
            actor: "system",
            action: "thing.changed",
            object: "thing".into(),
            changes: Changes::version("thing", version),
            data: "",
            events: Outgoing::none(),
        };
        append(&mut tx, &seals(), entry).await.expect("appends");
    }
    tx.commit().await.expect("commits");
    db
}

/// Runs `sql` as the database's owner could, then verifies anew; the reason of the break, if any.
async fn broken_by(sql: &'static str, anchored: Option<u64>) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let db = chain_of_ten(folder.path()).await;
    let chains = Chains::default();
    if let Some(seq) = anchored {
        let mut tx = db.read().await.expect("begins");
        let rows: Vec<AuditRow> = coffer_store::audit::page(&mut tx, organization(), seq - 1, 1)
            .await
            .expect("reads");
        chains.expect(Anchor {
            organization: organization(),
            seq,
            hash: rows[0].hash,
            at_ms: 0,
        });
    }
    let mut tx = db.write().await.expect("begins");
    for statement in sql
        .split(';')
        .filter(|statement| !statement.trim().is_empty())
    {
        tx.execute(statement.to_owned(), &[])
            .await
            .expect("the tampering runs");
    }
    tx.commit().await.expect("commits");
    let mut tx = db.read().await.expect("begins");
    match chains.verify(&mut tx, &seals(), organization()).await {
        Ok(()) => None,
        Err(Error::AuditBroken { reason, .. }) => Some(reason),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_untouched_chain_verifies_and_tells_versions() {
    assert_eq!(broken_by("", Some(10)).await, None);
    let folder = tempfile::tempdir().expect("a folder");
    let db = chain_of_ten(folder.path()).await;
    let chains = Chains::default();
    chains
        .verify(
            &mut db.read().await.expect("begins"),
            &seals(),
            organization(),
        )
        .await
        .expect("verifies");
    assert_eq!(chains.object_version(organization(), "thing"), 10);
    assert_eq!(chains.head(organization()).seq, 10);
}

#[tokio::test]
async fn every_kind_of_tampering_is_found() {
    let cases = [
        "UPDATE audit_records SET at = at + 1 WHERE seq = 4",
        "UPDATE audit_records SET actor = 'x' WHERE seq = 1",
        "UPDATE audit_records SET action = 'x' WHERE seq = 10",
        "UPDATE audit_records SET object = 'x' WHERE seq = 5",
        "UPDATE audit_records SET payload = replace(payload, 'thing', 'thong') WHERE seq = 5",
        "UPDATE audit_records SET mac = zeroblob(32) WHERE seq = 5",
        "DELETE FROM audit_records WHERE seq = 5",
        "DELETE FROM audit_records WHERE seq = 10",
        "UPDATE audit_records SET seq = 99 WHERE seq = 4; UPDATE audit_records SET seq = 4 WHERE seq = 5; UPDATE audit_records SET seq = 5 WHERE seq = 99",
        "UPDATE audit_heads SET seq = 9",
        "UPDATE audit_heads SET hash = zeroblob(32)",
    ];
    for sql in cases {
        assert!(broken_by(sql, None).await.is_some(), "{sql}");
    }
}

#[tokio::test]
async fn a_cut_tail_is_found_by_the_anchor_alone() {
    let cut = "DELETE FROM audit_records WHERE seq > 8; UPDATE audit_heads SET seq = 8, hash = (SELECT hash FROM audit_records WHERE seq = 8)";
    assert_eq!(broken_by(cut, None).await, None);
    assert_eq!(broken_by(cut, Some(8)).await, None);
    assert!(
        broken_by(cut, Some(10))
            .await
            .is_some_and(|reason| reason.contains("anchor"))
    );
}

#[tokio::test]
async fn a_chain_written_without_the_key_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = chain_of_ten(folder.path()).await;
    let other = SealKeys::derive(&SealKey::from_bytes([4; 32]));
    let mut tx = db.write().await.expect("begins");
    let entry = Entry {
        organization: organization(),
        at_ms: 1,
        actor: "system",
        action: "x",
        object: "x".into(),
        changes: Changes::default(),
        data: "",
        events: Outgoing::none(),
    };
    append(&mut tx, &other, entry).await.expect("appends");
    let broken = Chains::default()
        .verify(&mut tx, &seals(), organization())
        .await;
    assert!(
        matches!(broken, Err(Error::AuditBroken { reason, .. }) if reason.contains("not written"))
    );
}

#[tokio::test]
async fn a_tail_cut_while_running_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = chain_of_ten(folder.path()).await;
    let chains = Chains::default();
    let mut tx = db.write().await.expect("begins");
    chains
        .verify(&mut tx, &seals(), organization())
        .await
        .expect("verifies");
    let cut =
        "UPDATE audit_heads SET seq = 8, hash = (SELECT hash FROM audit_records WHERE seq = $1)";
    tx.execute(cut, &[Param::Int(8)]).await.expect("runs");
    tx.execute("DELETE FROM audit_records WHERE seq > $1", &[Param::Int(8)])
        .await
        .expect("runs");
    // A snapshot from before the chain grew is no break; a chain that has become shorter is one.
    assert!(
        chains
            .catch_up(&mut tx, &seals(), organization())
            .await
            .is_ok()
    );
    assert!(
        chains
            .verify(&mut tx, &seals(), organization())
            .await
            .is_err()
    );
}

#[test]
fn an_anchor_file_comes_back_as_it_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = AnchorFile::new(folder.path().join("audit.anchor"));
    assert_eq!(file.read().expect("reads"), vec![]);
    let anchor = Anchor {
        organization: organization(),
        seq: 3,
        hash: [1; 32],
        at_ms: 5,
    };
    file.write(&[anchor]).expect("writes");
    assert_eq!(file.read().expect("reads"), vec![anchor]);
    std::fs::write(file.path(), "nonsense\n").expect("writes");
    assert!(file.read().is_err());
}

/// A reader whose snapshot is older than what another one has verified meanwhile must not cry wolf.
#[tokio::test]
async fn an_older_snapshot_does_not_look_like_a_cut_tail() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = chain_of_ten(folder.path()).await;
    let chains = Chains::default();
    let mut old = db.read().await.expect("begins");
    coffer_store::audit::head(&mut old, organization())
        .await
        .expect("takes the snapshot");
    let mut tx = db.write().await.expect("begins");
    let entry = Entry {
        organization: organization(),
        at_ms: 2000,
        actor: "system",
        action: "thing.changed",
        object: "thing".into(),
        changes: Changes::version("thing", 11),
        data: "",
        events: Outgoing::none(),
    };
    append(&mut tx, &seals(), entry).await.expect("appends");
    tx.commit().await.expect("commits");
    let mut new = db.read().await.expect("begins");
    chains
        .catch_up(&mut new, &seals(), organization())
        .await
        .expect("verifies");
    chains
        .catch_up(&mut old, &seals(), organization())
        .await
        .expect("an old snapshot is no break");
    assert_eq!(chains.object_version(organization(), "thing"), 11);
}

/// Records from before there were Merkle roots are still read, and teach the same.
#[tokio::test]
async fn records_tell_which_wallets_they_created_in_the_old_form_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = chain_of_ten(folder.path()).await;
    let vault = coffer_domain::id::VaultId::from_bytes([5; 16]);
    let created = |runs: &str, digest: &str| {
        let text = format!(r#"{{"vault":"{vault}","runs":{runs},"{digest}":"00"}}"#);
        serde_json::from_str(&text).expect("is read")
    };
    for created in [
        created("[[7,2]]", "seals_sha256"),
        created("[[0,3],[9,1]]", "births_root"),
    ] {
        let mut tx = db.write().await.expect("begins");
        let entry = Entry {
            organization: organization(),
            at_ms: 1,
            actor: "system",
            action: "wallets.created",
            object: "x".into(),
            changes: Changes {
                versions: Vec::new(),
                created: Some(created),
                events: None,
            },
            data: "",
            events: Outgoing::none(),
        };
        append(&mut tx, &seals(), entry).await.expect("appends");
        tx.commit().await.expect("commits");
    }
    let chains = Chains::default();
    let mut tx = db.read().await.expect("begins");
    chains
        .verify(&mut tx, &seals(), organization())
        .await
        .expect("verifies");
    let born = |index| chains.born_in(organization(), vault, index);
    let records: Vec<_> = (0..12).map(born).collect();
    let (old, new) = (Some(11), Some(12));
    assert_eq!(
        records,
        [
            new, new, new, None, None, None, None, old, old, new, None, None
        ]
    );
    assert_eq!(chains.wallet_version(organization(), vault, 8), 1);
}

/// Takes the records in pieces as their committers would, with what others committed read in between.
#[tokio::test]
async fn own_records_are_taken_without_reading_and_never_over_a_gap() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = chain_of_ten(folder.path()).await;
    let (chains, of) = (Chains::default(), organization());
    let mut tx = db.read().await.expect("begins");
    let all = coffer_store::audit::page(&mut tx, of, 0, 100)
        .await
        .expect("reads");
    let stand = || (chains.head(of).seq, chains.object_version(of, "thing"));
    chains.take_own(&all[..3], &seals());
    assert_eq!(stand(), (3, 3));
    // Another process's fourth was not read yet: the fifth has to wait for it.
    chains.take_own(&all[4..5], &seals());
    assert_eq!(stand(), (3, 3));
    chains.catch_up(&mut tx, &seals(), of).await.expect("whole");
    assert_eq!(stand(), (10, 10));
    // Read by somebody else before their committer came to it.
    chains.take_own(&all[8..], &seals());
    assert_eq!(stand(), (10, 10));
    chains.check(of).expect("whole");
    // What was committed is taken as it was appended, or not at all.
    let chains = Chains::default();
    let mut edited = all[0].clone();
    edited.payload = edited.payload.replace("1]", "2]");
    assert_ne!(edited, all[0]);
    chains.take_own(&[edited], &seals());
    assert_eq!(chains.head(of).seq, 0);
    assert!(chains.check(of).is_err());
}

#[tokio::test]
async fn a_chain_followed_once_in_a_snapshot_is_not_asked_for_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = chain_of_ten(folder.path()).await;
    let (chains, of) = (Chains::default(), organization());
    let mut tx = db.read().await.expect("begins");
    assert!(!tx.has_followed(of));
    chains.follow(&mut tx, &seals(), of).await.expect("whole");
    assert!(tx.has_followed(of));
    assert!(!tx.has_followed(OrganizationId::from_bytes([8; 16])));
    assert!(!db.read().await.expect("begins").has_followed(of));
}

/// What is committed beside a verification is missing in its snapshot, and was not removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_committed_beside_a_verification_are_no_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = chain_of_ten(folder.path()).await;
    let (chains, of) = (std::sync::Arc::new(Chains::default()), organization());
    let committing = tokio::spawn({
        let (db, chains) = (db.clone(), std::sync::Arc::clone(&chains));
        async move {
            for version in 11..=300 {
                let mut tx = db.write().await.expect("begins");
                let entry = Entry {
                    organization: of,
                    at_ms: 2000,
                    actor: "system",
                    action: "thing.changed",
                    object: "thing".into(),
                    changes: Changes::version("thing", version),
                    data: "",
                    events: Outgoing::none(),
                };
                append(&mut tx, &seals(), entry).await.expect("appends");
                let own = tx.take_appended();
                tx.commit().await.expect("commits");
                chains.take_own(&own, &seals());
            }
        }
    });
    while !committing.is_finished() {
        let mut tx = db.read().await.expect("begins");
        chains.verify(&mut tx, &seals(), of).await.expect("whole");
    }
    committing.await.expect("ended");
    let mut tx = db.read().await.expect("begins");
    chains.verify(&mut tx, &seals(), of).await.expect("whole");
    assert_eq!(chains.object_version(of, "thing"), 300);
}
