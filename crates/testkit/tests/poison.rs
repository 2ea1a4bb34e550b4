//! A row that cannot be worked on ends on the dead list; its neighbours get their wallets.
//!
//! Failpoints are armed once in a process's life, so each test runs itself again as a child that has them.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use coffer_domain::address::AddressKinds;
use coffer_domain::batch::{Batch, BatchState, OnError};
use coffer_platform::batches::parse::{Format, Limits};
use coffer_platform::batches::{ResultRow, RowStatus, Upload, UploadStream};
use coffer_platform::{Answer, WorkerSettings};
use coffer_testkit::{Engine, Installation};
use futures_util::stream;
use tokio_util::sync::CancellationToken;

const ROWS: &str = "external_id\na\nfails\nb\npanics\nc\n";

/// Whether this is the child; if not, runs the test `name` in one.
#[expect(
    clippy::disallowed_methods,
    reason = "failpoints are armed by the environment"
)]
fn is_armed(name: &str) -> bool {
    if std::env::var("COFFER_FAILPOINT").is_ok() {
        return true;
    }
    let child = Command::new(std::env::current_exe().expect("a running program has a path"))
        .args([name, "--exact", "--nocapture"])
        .env(
            "COFFER_FAILPOINT",
            "chunk.row@fails:*:error,chunk.row@panics:*:panic",
        )
        .status();
    assert!(
        child.expect("starts").success(),
        "the child's test failed; its output is above"
    );
    false
}

async fn work(installation: &Installation) -> (Batch, Vec<ResultRow>) {
    let (platform, admin) = (&installation.platform, &installation.admin);
    let upload = Upload {
        vault: installation.vault,
        format: Format::Csv,
        gzip: false,
        kinds: AddressKinds::ALL,
        on_error: OnError::Skip,
        limits: Limits::default(),
    };
    let body: UploadStream = Box::pin(stream::iter([Ok(Bytes::from_static(ROWS.as_bytes()))]));
    let Answer::Executed(batch) = platform
        .create_batch(admin, upload, body, None)
        .await
        .expect("accepted")
    else {
        panic!("nothing to replay");
    };
    let stop = CancellationToken::new();
    let workers = tokio::spawn({
        let (platform, stop) = (platform.clone(), stop.clone());
        async move {
            platform
                .run_workers(WorkerSettings { parallel_chunks: 1 }, stop)
                .await
        }
    });
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let done = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            tick.tick().await;
            // Pauses between attempts pass quickly.
            installation.clock.advance_ms(1000);
            let now = platform.batch(admin, batch.id).await.expect("reads");
            if now.state.is_final() {
                return now;
            }
        }
    });
    let done = done
        .await
        .expect("a poisoned row holds the batch up for ever");
    stop.cancel();
    workers.await.expect("ends").expect("ends well");
    let mut reader = platform
        .batch_results(admin, batch.id)
        .await
        .expect("reads");
    (
        done,
        reader.next().await.expect("reads").expect("one chunk"),
    )
}

async fn poisoned(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (done, rows) = work(&installation).await;
    assert_eq!(
        (done.state, done.rows_created, done.rows_failed),
        (BatchState::CompletedWithErrors, 3, 2)
    );
    for row in &rows {
        let dead = ["fails", "panics"].contains(&row.external_id.as_str());
        assert_eq!(
            row.status,
            if dead {
                RowStatus::Failed
            } else {
                RowStatus::Created
            },
            "{}",
            row.external_id
        );
        assert_eq!(
            row.error
                .as_ref()
                .is_some_and(|error| error.starts_with("dead: ")),
            dead
        );
        if let Some(wallet) = &row.wallet {
            assert_eq!(
                wallet.index,
                done.first_index + row.row - 1,
                "the dead rows' indexes stay unused"
            );
        }
    }
    let audit = installation
        .platform
        .audit_records(&installation.admin, 0, 100)
        .await
        .expect("reads");
    let chunk = audit
        .iter()
        .find(|record| record.action == "batch.chunk_done")
        .expect("is recorded");
    assert!(
        chunk.payload.contains("\"dead\":[2,4]"),
        "{}",
        chunk.payload
    );
}

#[tokio::test]
async fn poisoned_rows_on_sqlite() {
    if is_armed("poisoned_rows_on_sqlite") {
        poisoned(Engine::Sqlite).await;
    }
}

#[tokio::test]
async fn poisoned_rows_on_postgresql() {
    if is_armed("poisoned_rows_on_postgresql") {
        poisoned(Engine::Postgres).await;
    }
}
