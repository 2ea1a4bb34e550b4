//! Batches from the file to the last result.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use coffer_domain::address::{AddressKind, AddressKinds};
use coffer_domain::batch::{Batch, BatchState, OnError};
use coffer_domain::id::WalletId;
use coffer_platform::batches::parse::{Format, UploadError};
use coffer_platform::batches::{Control, RowStatus, Upload, UploadStream};
use coffer_platform::{Answer, Error, Once, Platform};
use coffer_store::chunks;
use coffer_testkit::{Engine, FaultySigner, Installation};
use futures_util::{StreamExt, stream};

use crate::scene::{
    Workers, all_wallets, body, csv, external_id, finished, gzip, on_both_engines, results, run,
    send, until, upload, without_pool,
};

on_both_engines!(
    every_format_packed_or_not,
    a_known_external_id_keeps_its_wallet,
    a_row_may_name_its_own_chains,
    one_bad_row_fails_a_batch_that_aborts,
    indexes_are_contiguous_and_holes_stay_unused,
    a_paused_batch_rests_and_a_resumed_one_ends,
    a_cancelled_batch_keeps_what_was_done,
    results_are_in_the_files_order_while_the_batch_runs,
    a_truncated_body_leaves_nothing_and_its_key_usable,
    a_stalled_upload_is_refused_as_a_whole,
    overlapping_batches_give_each_id_one_wallet,
    a_worker_that_lost_its_lease_commits_nothing,
    a_batch_outlives_its_signer,
    leases_of_an_earlier_run_are_void,
);

/// An EVM address only: what the test is about is elsewhere.
fn evm(installation: &Installation, format: Format) -> Upload {
    Upload {
        kinds: AddressKinds::default().with(AddressKind::Evm),
        ..upload(installation.vault, format)
    }
}

fn ids(prefix: &str, count: u32) -> Vec<String> {
    (1..=count).map(|n| format!("{prefix}{n}")).collect()
}

/// What one column of the database says, as its owner could ask.
async fn count(platform: &Platform, sql: &'static str) -> i64 {
    let mut tx = platform.db().read().await.expect("reads");
    tx.fetch(sql, &[]).await.expect("reads")[0]
        .int(0)
        .expect("a number")
}

async fn every_format_packed_or_not(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    without_pool(platform, admin, installation.vault).await;
    let mut expected_first = 0;
    for packed in [false, true] {
        for (format, text) in [
            (
                Format::Csv,
                "external_id,label,metadata\nN1,\"One, \"\"1\"\"\",\"{\"\"a\"\":1}\"\nN2,,\n",
            ),
            (
                Format::Ndjson,
                "{\"external_id\":\"N1\",\"label\":\"One, \\\"1\\\"\",\"metadata\":{\"a\":1}}\n{\"external_id\":\"N2\"}\n",
            ),
            (
                Format::Json,
                "[{\"external_id\":\"N1\",\"label\":\"One, \\\"1\\\"\",\"metadata\":{\"a\":1}},{\"external_id\":\"N2\"}]",
            ),
        ] {
            let prefix = format!("客户-{}-{packed}-", format.name());
            let text = text.replace('N', &prefix);
            let bytes = if packed {
                gzip(text.as_bytes())
            } else {
                text.into_bytes()
            };
            let asked = Upload {
                gzip: packed,
                ..upload(installation.vault, format)
            };
            let batch = run(platform, admin, asked, &bytes).await;
            assert_eq!(
                (batch.state, batch.rows_created, batch.first_index),
                (BatchState::Completed, 2, expected_first),
                "{prefix}"
            );
            let rows = results(platform, admin, batch.id).await;
            let first = rows[0].wallet.as_ref().expect("a wallet");
            assert_eq!(first.external_id, external_id(&format!("{prefix}1")));
            assert_eq!(
                (first.label.as_deref(), first.metadata.as_deref()),
                (Some("One, \"1\""), Some("{\"a\":1}"))
            );
            assert_eq!(first.payloads.len(), 5);
            assert!(
                rows.iter()
                    .all(|row| row.status == RowStatus::Created && row.shows_addresses())
            );
            expected_first += 2;
        }
    }
}

async fn a_known_external_id_keeps_its_wallet(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    without_pool(platform, admin, installation.vault).await;
    let first = run(
        platform,
        admin,
        evm(&installation, Format::Csv),
        &csv(["a", "b"]),
    )
    .await;
    let before = results(platform, admin, first.id).await;
    let second = run(
        platform,
        admin,
        upload(installation.vault, Format::Csv),
        &csv(["c", "b", "d"]),
    )
    .await;
    assert_eq!(
        (second.state, second.rows_created, second.rows_existing),
        (BatchState::Completed, 2, 1)
    );
    let after = results(platform, admin, second.id).await;
    let statuses: Vec<_> = after.iter().map(|row| row.status).collect();
    assert_eq!(
        statuses,
        [RowStatus::Created, RowStatus::Existing, RowStatus::Created]
    );
    assert_eq!(
        after[1].wallet, before[1].wallet,
        "the same wallet, with the addresses it had"
    );
    assert_eq!(all_wallets(platform, admin).await.len(), 4);
}

async fn a_row_may_name_its_own_chains(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let text =
        "{\"external_id\":\"a\",\"chains\":[\"tron\",\"solana\"]}\n{\"external_id\":\"b\"}\n";
    let batch = run(
        platform,
        admin,
        evm(&installation, Format::Ndjson),
        text.as_bytes(),
    )
    .await;
    let wanted = AddressKinds::default()
        .with(AddressKind::Evm)
        .with(AddressKind::Tron)
        .with(AddressKind::Solana);
    assert_eq!(
        batch.kinds, wanted,
        "the batch has a column for every kind of its rows"
    );
    let rows = results(platform, admin, batch.id).await;
    let kinds: Vec<AddressKinds> = rows
        .iter()
        .map(|row| row.wallet.as_ref().expect("a wallet").kinds())
        .collect();
    let own = AddressKinds::default()
        .with(AddressKind::Tron)
        .with(AddressKind::Solana);
    assert_eq!(kinds, [own, AddressKinds::default().with(AddressKind::Evm)]);
}

async fn one_bad_row_fails_a_batch_that_aborts(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    without_pool(platform, admin, installation.vault).await;
    let asked = Upload {
        on_error: OnError::Abort,
        ..evm(&installation, Format::Csv)
    };
    let failed = send(
        platform,
        admin,
        asked,
        b"external_id,label\na,\n,nameless\nb,\n",
    )
    .await;
    assert_eq!(
        (failed.state, failed.rows_failed, failed.rows_created),
        (BatchState::Failed, 1, 0)
    );
    // A later batch passes through the same workers, so they have looked at the failed one.
    let good = run(
        platform,
        admin,
        evm(&installation, Format::Csv),
        &csv(["c"]),
    )
    .await;
    assert_eq!(
        (good.state, good.first_index),
        (BatchState::Completed, 0),
        "a failed batch takes no index"
    );
    let statuses: Vec<_> = results(platform, admin, failed.id)
        .await
        .iter()
        .map(|row| row.status)
        .collect();
    assert_eq!(
        statuses,
        [
            RowStatus::Cancelled,
            RowStatus::Failed,
            RowStatus::Cancelled
        ]
    );
    assert_eq!(all_wallets(platform, admin).await.len(), 1);
    let refused = platform
        .control_batch(admin, failed.id, Control::Resume, None)
        .await;
    assert!(matches!(refused, Err(Error::StateConflict(_))));
}

async fn indexes_are_contiguous_and_holes_stay_unused(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    without_pool(platform, admin, installation.vault).await;
    let mut rows = ids("x", 2300);
    rows[6] = "x6".to_owned(); // given twice
    rows[1500] = "\u{202e}evil".to_owned();
    let first = run(
        platform,
        admin,
        evm(&installation, Format::Csv),
        &csv(&rows),
    )
    .await;
    assert_eq!(
        (first.rows_created, first.rows_failed, first.chunks_total),
        (2298, 2, 3)
    );
    let second = run(
        platform,
        admin,
        evm(&installation, Format::Csv),
        &csv(["x1", "y1", "x2", "y2"]),
    )
    .await;
    let third = run(
        platform,
        admin,
        evm(&installation, Format::Csv),
        &csv(["z"]),
    )
    .await;
    assert_eq!(
        (second.first_index, third.first_index),
        (2300, 2304),
        "holes are not filled"
    );
    for batch in [&first, &second, &third] {
        for row in results(platform, admin, batch.id).await {
            if row.status == RowStatus::Created {
                let wallet = row.wallet.expect("a wallet");
                assert_eq!(wallet.index, batch.first_index + row.row - 1);
                assert_eq!(
                    wallet.id,
                    WalletId::of_index(installation.vault, wallet.index)
                );
            }
        }
    }
    let used: HashSet<u32> = all_wallets(platform, admin)
        .await
        .iter()
        .map(|wallet| wallet.index)
        .collect();
    for hole in [6, 1500, 2300, 2302] {
        assert!(!used.contains(&hole), "index {hole}");
    }
    assert_eq!(used.len(), 2298 + 2 + 1);
}

/// A batch of three chunks of which the signer lets one through.
async fn one_of_three_chunks(
    installation: &Installation,
    signer: &Arc<FaultySigner>,
) -> (Platform, Batch, Workers) {
    let real: Arc<FaultySigner> = Arc::clone(signer);
    let platform = installation.join(real, [2; 16]).await;
    without_pool(&platform, &installation.admin, installation.vault).await;
    signer.dies_after(1);
    let solana = Upload {
        kinds: AddressKinds::default().with(AddressKind::Solana),
        ..upload(installation.vault, Format::Csv)
    };
    let batch = send(&platform, &installation.admin, solana, &csv(ids("r", 2500))).await;
    let workers = Workers::start(&platform, 1);
    until("the first chunk is done", || async {
        let batch = platform
            .batch(&installation.admin, batch.id)
            .await
            .expect("reads");
        (batch.chunks_done == 1).then_some(())
    })
    .await;
    (platform, batch, workers)
}

async fn a_paused_batch_rests_and_a_resumed_one_ends(engine: Engine) {
    let installation = Installation::create(engine).await;
    let admin = &installation.admin;
    let signer = FaultySigner::around(Arc::clone(&installation.signer));
    let (platform, batch, workers) = one_of_three_chunks(&installation, &signer).await;
    let paused = platform
        .control_batch(admin, batch.id, Control::Pause, None)
        .await
        .expect("paused");
    assert!(matches!(paused, Answer::Executed(batch) if batch.state == BatchState::Paused));
    // A chunk that is in hand may still end under a pause; here the signer fails it first.
    until("no chunk is in hand", || async {
        let held = "SELECT count(*) FROM batch_chunks WHERE state = 'leased'";
        (count(&platform, held).await == 0).then_some(())
    })
    .await;
    signer.is_back();
    installation.clock.advance_ms(60_000);
    // A younger batch passes the paused one, which is first in line.
    let younger = send(
        &platform,
        admin,
        evm(&installation, Format::Csv),
        &csv(["younger"]),
    )
    .await;
    finished(&platform, admin, younger.id).await;
    let resting = platform.batch(admin, batch.id).await.expect("reads");
    assert_eq!(
        (resting.state, resting.chunks_done),
        (BatchState::Paused, 1)
    );
    let _ = platform
        .control_batch(admin, batch.id, Control::Resume, None)
        .await
        .expect("resumed");
    let done = finished(&platform, admin, batch.id).await;
    workers.stop().await;
    assert_eq!(
        (done.state, done.rows_created),
        (BatchState::Completed, 2500)
    );
    let refused = platform
        .control_batch(admin, batch.id, Control::Pause, None)
        .await;
    assert!(
        matches!(refused, Err(Error::StateConflict(_))),
        "a batch that has ended stays so"
    );
}

async fn a_cancelled_batch_keeps_what_was_done(engine: Engine) {
    let installation = Installation::create(engine).await;
    let admin = &installation.admin;
    let signer = FaultySigner::around(Arc::clone(&installation.signer));
    let (platform, batch, workers) = one_of_three_chunks(&installation, &signer).await;
    let _ = platform
        .control_batch(admin, batch.id, Control::Cancel, None)
        .await
        .expect("cancelled");
    signer.is_back();
    installation.clock.advance_ms(60_000);
    let younger = send(
        &platform,
        admin,
        evm(&installation, Format::Csv),
        &csv(["younger", "r2400"]),
    )
    .await;
    let younger = finished(&platform, admin, younger.id).await;
    workers.stop().await;
    assert_eq!(
        (younger.first_index, younger.rows_created),
        (2500, 2),
        "its indexes are not given again, its ids are free"
    );
    let rows = results(&platform, admin, batch.id).await;
    assert!(
        rows[..1000]
            .iter()
            .all(|row| row.status == RowStatus::Created)
    );
    assert!(
        rows[1000..]
            .iter()
            .all(|row| row.status == RowStatus::Cancelled && row.wallet.is_none())
    );
    assert_eq!(rows.len(), 2500);
    assert_eq!(
        platform.batch(admin, batch.id).await.expect("reads").state,
        BatchState::Cancelled
    );
    for control in [Control::Pause, Control::Resume, Control::Cancel] {
        assert!(
            platform
                .control_batch(admin, batch.id, control, None)
                .await
                .is_err(),
            "{control:?}"
        );
    }
}

/// On PostgreSQL wallets of several chunks are inserted at once, and a batch may be cancelled between their insertion and
/// the lock of the batch; SQLite has one writer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_cancelled_while_a_chunk_is_written_has_none_of_it() {
    let installation = Installation::create(Engine::Postgres).await;
    let admin = &installation.admin;
    let signer = FaultySigner::around(Arc::clone(&installation.signer));
    let (platform, batch, workers) = one_of_three_chunks(&installation, &signer).await;
    let waiting = |wanted: i64| {
        let platform = &platform;
        async move {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            (count(platform, sql).await == wanted).then_some(())
        }
    };
    let mut held = platform.db().write().await.expect("begins");
    let locked = coffer_store::batches::lock(&mut held, batch.id).await;
    assert!(locked.expect("locks").is_some());
    let cancelling = tokio::spawn({
        let (platform, admin) = (platform.clone(), admin.clone());
        async move {
            platform
                .control_batch(&admin, batch.id, Control::Cancel, None)
                .await
        }
    });
    until("the cancellation waits for the batch", || waiting(1)).await;
    signer.is_back();
    installation.clock.advance_ms(60_000);
    until("a chunk waits behind it", || waiting(2)).await;
    held.commit().await.expect("released");
    let _ = cancelling.await.expect("ended").expect("cancelled");
    workers.stop().await;
    assert_eq!(count(&platform, "SELECT count(*) FROM wallets").await, 1000);
    let ended = platform.batch(admin, batch.id).await.expect("reads");
    assert_eq!(
        (ended.state, ended.rows_created),
        (BatchState::Cancelled, 1000)
    );
    let rows = results(&platform, admin, batch.id).await;
    assert!(
        rows[1000..]
            .iter()
            .all(|row| row.status == RowStatus::Cancelled)
    );
}

async fn results_are_in_the_files_order_while_the_batch_runs(engine: Engine) {
    let installation = Installation::create(engine).await;
    let admin = &installation.admin;
    let signer = FaultySigner::around(Arc::clone(&installation.signer));
    let (platform, batch, workers) = one_of_three_chunks(&installation, &signer).await;
    let check = |rows: &[coffer_platform::batches::ResultRow], done: usize| {
        let got: Vec<(u32, &str)> = rows
            .iter()
            .map(|row| (row.row, row.external_id.as_str()))
            .collect();
        let names = ids("r", 2500);
        let wanted: Vec<(u32, &str)> = (1..).zip(names.iter().map(String::as_str)).collect();
        assert_eq!(got, wanted);
        assert!(
            rows[..done]
                .iter()
                .all(|row| row.status == RowStatus::Created)
        );
        assert!(
            rows[done..]
                .iter()
                .all(|row| row.status == RowStatus::Pending && !row.shows_addresses())
        );
    };
    check(&results(&platform, admin, batch.id).await, 1000);
    signer.is_back();
    installation.clock.advance_ms(60_000);
    finished(&platform, admin, batch.id).await;
    workers.stop().await;
    check(&results(&platform, admin, batch.id).await, 2500);
}

fn once<'a>(
    key: &'a str,
    render: &'a (dyn Fn(&Batch) -> (u16, String) + Send + Sync),
) -> Option<Once<'a, Batch>> {
    Some(Once {
        key,
        fingerprint: [1; 32],
        render,
    })
}

async fn a_truncated_body_leaves_nothing_and_its_key_usable(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let render = |batch: &Batch| (202, batch.id.to_string());
    let whole = csv(ids("t", 2500));
    let half = Bytes::copy_from_slice(&whole[..whole.len() * 3 / 4]);
    let broken: UploadStream = Box::pin(stream::iter([
        Ok(half),
        Err(io::Error::from(io::ErrorKind::ConnectionReset)),
    ]));
    let refused = platform
        .create_batch(
            admin,
            evm(&installation, Format::Csv),
            broken,
            once("k", &render),
        )
        .await;
    assert!(
        matches!(refused, Err(Error::Upload(UploadError::Io(_)))),
        "{refused:?}"
    );
    assert_eq!(
        count(platform, "SELECT count(*) FROM batch_chunks").await,
        0
    );
    assert_eq!(
        count(platform, "SELECT count(*) FROM idempotency_keys").await,
        0
    );
    assert!(
        platform
            .batches(admin, None, None, 10)
            .await
            .expect("reads")
            .items
            .is_empty()
    );
    let packed = gzip(&whole);
    let asked = Upload {
        gzip: true,
        ..evm(&installation, Format::Csv)
    };
    let refused = platform
        .create_batch(
            admin,
            asked,
            body(&packed[..packed.len() - 9]),
            once("k", &render),
        )
        .await;
    assert!(
        matches!(refused, Err(Error::Upload(_))),
        "a gzip stream that is cut: {refused:?}"
    );
    let again = platform
        .create_batch(
            admin,
            evm(&installation, Format::Csv),
            body(&whole),
            once("k", &render),
        )
        .await
        .expect("accepted");
    assert!(
        matches!(again, Answer::Executed(batch) if batch.rows_total == 2500 && batch.first_index == 0)
    );
}

async fn a_stalled_upload_is_refused_as_a_whole(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    without_pool(platform, admin, installation.vault).await;
    let whole = csv(ids("s", 2500));
    let (head, tail) = whole.split_at(whole.len() * 3 / 4);
    let (send_tail, wait) = tokio::sync::oneshot::channel::<Bytes>();
    let late = stream::once(async move { Ok(wait.await.expect("sent")) });
    let slow: UploadStream = Box::pin(stream::iter([Ok(Bytes::copy_from_slice(head))]).chain(late));
    let sending = tokio::spawn({
        let (platform, admin, asked) = (
            platform.clone(),
            admin.clone(),
            evm(&installation, Format::Csv),
        );
        async move { platform.create_batch(&admin, asked, slow, None).await }
    });
    until("a chunk is staged", || async {
        (count(platform, "SELECT count(*) FROM batch_chunks").await > 0).then_some(())
    })
    .await;
    installation.clock.advance_ms(2 * 60 * 60 * 1000);
    let workers = Workers::start(platform, 1);
    until("the collector took it for dead", || async {
        (count(platform, "SELECT count(*) FROM batch_chunks").await == 0).then_some(())
    })
    .await;
    workers.stop().await;
    send_tail
        .send(Bytes::copy_from_slice(tail))
        .expect("is awaited");
    let refused = sending.await.expect("ends");
    assert!(
        matches!(refused, Err(Error::StateConflict(_))),
        "{refused:?}"
    );
    assert_eq!(
        count(platform, "SELECT count(*) FROM batch_chunks").await,
        0
    );
}

async fn overlapping_batches_give_each_id_one_wallet(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    without_pool(platform, admin, installation.vault).await;
    let mut batches = Vec::new();
    for start in 0..10_u32 {
        let rows: Vec<String> = (0..1200).map(|n| format!("o{}", start * 100 + n)).collect();
        batches.push(send(platform, admin, evm(&installation, Format::Csv), &csv(rows)).await);
    }
    let other = installation
        .join(Arc::clone(&installation.signer), [2; 16])
        .await;
    let workers = [Workers::start(platform, 2), Workers::start(&other, 2)];
    let (mut created, mut existing) = (0, 0);
    for batch in &batches {
        let done = finished(platform, admin, batch.id).await;
        assert_eq!(
            (done.state, done.rows_done()),
            (BatchState::Completed, 1200)
        );
        created += done.rows_created;
        existing += done.rows_existing;
    }
    for workers in workers {
        workers.stop().await;
    }
    assert_eq!((created, existing), (2100, 12_000 - 2100));
    let wallets = all_wallets(platform, admin).await;
    let of: HashMap<&str, WalletId> = wallets
        .iter()
        .map(|wallet| (wallet.external_id.as_str(), wallet.id))
        .collect();
    assert_eq!((wallets.len(), of.len()), (2100, 2100));
    for batch in &batches {
        for row in results(&other, admin, batch.id).await {
            assert_eq!(
                row.wallet.expect("a wallet").id,
                of[row.external_id.as_str()],
                "row {} of {}",
                row.row,
                batch.id
            );
        }
    }
}

async fn a_worker_that_lost_its_lease_commits_nothing(engine: Engine) {
    let installation = Installation::create(engine).await;
    let admin = &installation.admin;
    let (slow, quick) = (
        FaultySigner::around(Arc::clone(&installation.signer)),
        FaultySigner::around(Arc::clone(&installation.signer)),
    );
    let one = installation
        .join(Arc::<FaultySigner>::clone(&slow), [2; 16])
        .await;
    let two = installation
        .join(Arc::<FaultySigner>::clone(&quick), [3; 16])
        .await;
    without_pool(&one, admin, installation.vault).await;
    let asked = Upload {
        kinds: AddressKinds::default().with(AddressKind::Solana),
        ..upload(installation.vault, Format::Csv)
    };
    let batch = send(&one, admin, asked, &csv(ids("l", 1500))).await;
    slow.hold();
    let first = Workers::start(&one, 1);
    until("the first worker has chunk 0 in hand", || async {
        slow.is_holding().then_some(())
    })
    .await;
    installation.clock.advance_ms(31_000);
    quick.dies_after(1);
    let second = Workers::start(&two, 1);
    until("the second worker took chunk 0 over", || async {
        (two.batch(admin, batch.id).await.expect("reads").chunks_done == 1).then_some(())
    })
    .await;
    second.stop().await;
    // Chunk 1 was put off, or is leased by the second, who is gone: both end by the clock.
    installation.clock.advance_ms(31_000);
    slow.release();
    let done = finished(&one, admin, batch.id).await;
    first.stop().await;
    assert_eq!(
        (done.state, done.rows_created, done.rows_existing),
        (BatchState::Completed, 1500, 0)
    );
    let audit = one.audit_records(admin, 0, 100).await.expect("reads");
    assert_eq!(
        audit
            .iter()
            .filter(|record| record.action == "batch.chunk_done")
            .count(),
        2
    );
}

async fn a_batch_outlives_its_signer(engine: Engine) {
    let installation = Installation::create(engine).await;
    let admin = &installation.admin;
    let signer = FaultySigner::around(Arc::clone(&installation.signer));
    let (platform, batch, workers) = one_of_three_chunks(&installation, &signer).await;
    for _ in 0..8 {
        // More failures than a poisoned chunk would be forgiven; none of them counts.
        installation.clock.advance_ms(60_000);
        let younger = send(
            &platform,
            admin,
            evm(&installation, Format::Csv),
            &csv([format!("{}", installation.clock_ms())]),
        )
        .await;
        finished(&platform, admin, younger.id).await;
    }
    let attempts = count(
        &platform,
        "SELECT max(attempts) FROM batch_chunks WHERE state <> 'done'",
    )
    .await;
    assert!(attempts <= 1, "{attempts}");
    signer.is_back();
    installation.clock.advance_ms(60_000);
    let done = finished(&platform, admin, batch.id).await;
    workers.stop().await;
    assert_eq!(
        (done.state, done.rows_created, done.rows_failed),
        (BatchState::Completed, 2500, 0)
    );
}

async fn leases_of_an_earlier_run_are_void(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    without_pool(platform, admin, installation.vault).await;
    let batch = send(
        platform,
        admin,
        evm(&installation, Format::Csv),
        &csv(["a"]),
    )
    .await;
    let now = installation.clock_ms();
    let mut tx = platform.db().write().await.expect("writes");
    // The instance of this installation, in a run that was killed.
    let leased = chunks::claim(&mut tx, &[1; 16], now, now + 1_000_000_000)
        .await
        .expect("claims")
        .expect("a chunk");
    tx.commit().await.expect("commits");
    let again = installation.reopen().await;
    let workers = Workers::start(&again, 1);
    let done = finished(&again, admin, batch.id).await;
    workers.stop().await;
    assert_eq!(done.state, BatchState::Completed);
    let mut tx = platform.db().write().await.expect("writes");
    let held = chunks::lock_lease(&mut tx, batch.id, 0, leased.fence)
        .await
        .expect("reads");
    assert!(!held, "the earlier run's lease is worth nothing");
}
