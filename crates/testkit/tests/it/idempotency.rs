//! One effect per idempotency key (F-060 to F-065 of the fault catalogue).

use std::sync::Arc;

use bytes::Bytes;
use coffer_domain::batch::{Batch, BatchState};
use coffer_platform::batches::parse::Format;
use coffer_platform::batches::{Control, Upload, UploadStream};
use coffer_platform::{Answer, Assigned, Caller, Error, Once, OwnedOnce, Platform, Scope};
use coffer_testkit::{Engine, Installation};
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};

use crate::scene::{
    all_wallets, body, colleague, csv, new_wallet, on_both_engines, send, until, upload,
    without_pool,
};

on_both_engines!(
    twenty_at_once_have_one_effect,
    another_request_under_the_same_key_is_a_conflict,
    callers_and_operations_do_not_share_keys,
    an_upload_under_way_is_named,
    twenty_uploads_at_once_make_one_batch,
    a_body_that_differs_by_a_byte_is_a_conflict,
    the_answer_is_kept_over_a_restart,
    a_call_that_failed_leaves_its_key_usable,
);

fn render(assigned: &Assigned) -> (u16, String) {
    (201, format!("{} {}", assigned.wallet.id, assigned.existing))
}

fn render_batch(batch: &Batch) -> (u16, String) {
    (202, format!("{} {}", batch.id, batch.state))
}

async fn assign_once(
    platform: &Platform,
    caller: &Caller,
    vault: coffer_domain::id::VaultId,
    id: &str,
    fingerprint: u8,
) -> Result<Answer<Assigned>, Error> {
    let once = OwnedOnce {
        key: "the key".to_owned(),
        fingerprint: [fingerprint; 32],
        render: Arc::new(render),
    };
    platform
        .assign_wallet(caller, new_wallet(vault, id), Some(once))
        .await
}

async fn upload_once(
    platform: &Platform,
    caller: &Caller,
    asked: Upload,
    body: UploadStream,
) -> Result<Answer<Batch>, Error> {
    let once = Once {
        key: "the key",
        fingerprint: [1; 32],
        render: &render_batch,
    };
    platform.create_batch(caller, asked, body, Some(once)).await
}

async fn twenty_at_once_have_one_effect(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin, vault) = (
        &installation.platform,
        &installation.admin,
        installation.vault,
    );
    let other = installation.reopen().await;
    let calls = (0..20).map(|n| {
        assign_once(
            if n % 2 == 0 { platform } else { &other },
            admin,
            vault,
            "u",
            1,
        )
    });
    let answers: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .map(|answer| answer.expect("answered"))
        .collect();
    let executed: Vec<_> = answers
        .iter()
        .filter_map(|answer| match answer {
            Answer::Executed(assigned) => Some(render(assigned)),
            Answer::Replayed { .. } => None,
        })
        .collect();
    assert_eq!(executed.len(), 1);
    for answer in answers {
        if let Answer::Replayed { status, body } = answer {
            assert_eq!((status, body), executed[0]);
        }
    }
    assert_eq!(all_wallets(platform, admin).await.len(), 1);
    let made = platform.audit_records(admin, 0, 500).await.expect("reads");
    assert_eq!(
        made.iter()
            .filter(|record| record.action == "wallet.created")
            .count(),
        1
    );
}

async fn another_request_under_the_same_key_is_a_conflict(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin, vault) = (
        &installation.platform,
        &installation.admin,
        installation.vault,
    );
    let _ = assign_once(platform, admin, vault, "u", 1)
        .await
        .expect("assigned");
    let refused = assign_once(platform, admin, vault, "v", 2).await;
    assert!(
        matches!(&refused, Err(Error::IdempotencyConflict { key }) if key == "the key"),
        "{refused:?}"
    );
    assert_eq!(all_wallets(platform, admin).await.len(), 1);
}

async fn callers_and_operations_do_not_share_keys(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin, vault) = (
        &installation.platform,
        &installation.admin,
        installation.vault,
    );
    let other = colleague(platform, admin, &[Scope::Admin]).await;
    let first = assign_once(platform, admin, vault, "u", 1)
        .await
        .expect("assigned");
    let second = assign_once(platform, &other, vault, "v", 2)
        .await
        .expect("another caller's key is another key");
    assert!(matches!(
        (first, second),
        (Answer::Executed(_), Answer::Executed(_))
    ));
    let asked = upload(vault, Format::Csv);
    let batch = match upload_once(platform, admin, asked, body(&csv(["w"])))
        .await
        .expect("accepted")
    {
        Answer::Executed(batch) => batch,
        Answer::Replayed { .. } => panic!("another operation's key is another key"),
    };
    for (control, state) in [
        (Control::Pause, BatchState::Paused),
        (Control::Resume, BatchState::Running),
    ] {
        let once = || {
            Some(Once {
                key: "the key",
                fingerprint: [9; 32],
                render: &render_batch,
            })
        };
        let answer = platform
            .control_batch(admin, batch.id, control, once())
            .await
            .expect("done");
        assert!(matches!(answer, Answer::Executed(batch) if batch.state == state));
        let again = platform
            .control_batch(admin, batch.id, control, once())
            .await
            .expect("done");
        assert_eq!(
            again,
            Answer::Replayed {
                status: 202,
                body: format!("{} {state}", batch.id)
            }
        );
    }
}

async fn an_upload_under_way_is_named(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin, vault) = (
        &installation.platform,
        &installation.admin,
        installation.vault,
    );
    let (send_tail, wait) = tokio::sync::oneshot::channel::<Bytes>();
    let (begun, has_begun) = tokio::sync::oneshot::channel::<()>();
    let slow: UploadStream = Box::pin(
        stream::once(async move {
            begun.send(()).expect("is awaited");
            Ok(Bytes::from_static(b"external_id\na\n"))
        })
        .chain(stream::once(async move { Ok(wait.await.expect("sent")) })),
    );
    let first = tokio::spawn({
        let (platform, admin) = (platform.clone(), admin.clone());
        async move { upload_once(&platform, &admin, upload(vault, Format::Csv), slow).await }
    });
    has_begun.await.expect("begins");
    let refused = upload_once(
        platform,
        admin,
        upload(vault, Format::Csv),
        body(&csv(["a", "b"])),
    )
    .await;
    let Err(Error::IdempotencyInProgress { id }) = refused else {
        panic!("{refused:?}")
    };
    send_tail
        .send(Bytes::from_static(b"b\n"))
        .expect("is awaited");
    let Answer::Executed(batch) = first.await.expect("ends").expect("accepted") else {
        panic!("the first call has the effect")
    };
    assert_eq!(batch.id.to_string(), id);
    let replayed = upload_once(
        platform,
        admin,
        upload(vault, Format::Csv),
        body(&csv(["a", "b"])),
    )
    .await
    .expect("answered");
    assert_eq!(
        replayed,
        Answer::Replayed {
            status: 202,
            body: render_batch(&batch).1
        }
    );
}

async fn twenty_uploads_at_once_make_one_batch(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin, vault) = (
        &installation.platform,
        &installation.admin,
        installation.vault,
    );
    let other = installation.reopen().await;
    let file = csv(["a", "b"]);
    let calls = (0..20).map(|n| {
        upload_once(
            if n % 2 == 0 { platform } else { &other },
            admin,
            upload(vault, Format::Csv),
            body(&file),
        )
    });
    let (mut executed, mut replayed) = (Vec::new(), Vec::new());
    for answer in join_all(calls).await {
        match answer {
            Ok(Answer::Executed(batch)) => executed.push(render_batch(&batch).1),
            Ok(Answer::Replayed { body, .. }) => replayed.push(body),
            Err(Error::IdempotencyInProgress { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(executed.len(), 1);
    assert!(replayed.iter().all(|body| *body == executed[0]));
    assert_eq!(
        platform
            .batches(admin, None, None, 100)
            .await
            .expect("reads")
            .items
            .len(),
        1
    );
    assert_eq!(
        platform
            .vault(admin, vault)
            .await
            .expect("reads")
            .next_index,
        2,
        "the others took no index"
    );
}

async fn a_body_that_differs_by_a_byte_is_a_conflict(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin, vault) = (
        &installation.platform,
        &installation.admin,
        installation.vault,
    );
    let _ = upload_once(
        platform,
        admin,
        upload(vault, Format::Csv),
        body(b"external_id\na\n"),
    )
    .await
    .expect("accepted");
    let refused = upload_once(
        platform,
        admin,
        upload(vault, Format::Csv),
        body(b"external_id\nb\n"),
    )
    .await;
    assert!(
        matches!(refused, Err(Error::IdempotencyConflict { .. })),
        "{refused:?}"
    );
    let mut tx = platform.db().read().await.expect("reads");
    let staged = tx
        .fetch("SELECT count(DISTINCT batch_id) FROM batch_chunks", &[])
        .await
        .expect("reads")[0]
        .int(0)
        .expect("a number");
    assert_eq!(staged, 1, "nothing is left of the refused upload");
}

async fn the_answer_is_kept_over_a_restart(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin, vault) = (
        &installation.platform,
        &installation.admin,
        installation.vault,
    );
    without_pool(platform, admin, vault).await;
    let Answer::Executed(first) = assign_once(platform, admin, vault, "u", 1)
        .await
        .expect("assigned")
    else {
        panic!("is new")
    };
    let restarted = installation.reopen().await;
    let answer = assign_once(&restarted, admin, vault, "u", 1)
        .await
        .expect("answered");
    let (status, body) = render(&first);
    assert_eq!(answer, Answer::Replayed { status, body });
    assert_eq!(all_wallets(&restarted, admin).await.len(), 1);
}

async fn a_call_that_failed_leaves_its_key_usable(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin, vault) = (
        &installation.platform,
        &installation.admin,
        installation.vault,
    );
    let unknown = coffer_domain::id::VaultId::from_bytes([9; 16]);
    let refused = assign_once(platform, admin, unknown, "u", 1).await;
    assert!(
        matches!(refused, Err(Error::NotFound { .. })),
        "{refused:?}"
    );
    let answer = assign_once(platform, admin, vault, "u", 2)
        .await
        .expect("assigned");
    assert!(matches!(answer, Answer::Executed(_)));
    // A decision that the state refuses keeps nothing either.
    let batch = send(platform, admin, upload(vault, Format::Csv), &csv(["w"])).await;
    let once = || {
        Some(Once {
            key: "other",
            fingerprint: [1; 32],
            render: &render_batch,
        })
    };
    let _ = platform
        .control_batch(admin, batch.id, Control::Cancel, None)
        .await
        .expect("cancelled");
    for _ in 0..2 {
        let refused = platform
            .control_batch(admin, batch.id, Control::Cancel, once())
            .await;
        assert!(
            matches!(refused, Err(Error::StateConflict(_))),
            "{refused:?}"
        );
    }
    until("it stays cancelled", || async {
        (platform.batch(admin, batch.id).await.expect("reads").state == BatchState::Cancelled)
            .then_some(())
    })
    .await;
}
