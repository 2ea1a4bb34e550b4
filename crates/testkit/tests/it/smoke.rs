use std::time::Duration;

use bytes::Bytes;
use coffer_domain::address::AddressKinds;
use coffer_domain::batch::{BatchState, OnError};
use coffer_platform::batches::parse::{Format, Limits};
use coffer_platform::batches::{RowStatus, Upload, UploadStream};
use coffer_platform::{Answer, WorkerSettings};
use coffer_testkit::{Engine, Installation};
use futures_util::stream;
use tokio_util::sync::CancellationToken;

async fn smoke(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let upload = Upload {
        vault: installation.vault,
        format: Format::Csv,
        gzip: false,
        kinds: AddressKinds::ALL,
        on_error: OnError::Skip,
        limits: Limits::default(),
    };
    let body: UploadStream = Box::pin(stream::iter([Ok(Bytes::from_static(
        b"external_id,label\nu1,One\n,bad\nu2,Two\nu1,again\n",
    ))]));
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
                .run_workers(WorkerSettings { parallel_chunks: 2 }, stop)
                .await
        }
    });
    let done = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let now = platform.batch(admin, batch.id).await.expect("reads");
            if now.state.is_final() {
                return now;
            }
            tokio::task::yield_now().await;
        }
    });
    let done = done.await.expect("finishes");
    stop.cancel();
    workers.await.expect("ends").expect("ends well");
    assert_eq!(
        (done.state, done.rows_created, done.rows_failed),
        (BatchState::CompletedWithErrors, 2, 2)
    );
    let mut results = platform
        .batch_results(admin, batch.id)
        .await
        .expect("reads");
    let rows = results.next().await.expect("reads").expect("one chunk");
    assert_eq!(
        rows.iter().map(|row| row.status).collect::<Vec<_>>(),
        [
            RowStatus::Created,
            RowStatus::Failed,
            RowStatus::Created,
            RowStatus::Failed
        ]
    );
    let first = rows[0].wallet.as_ref().expect("a wallet");
    let address = coffer_chains::encode(
        &first.payloads[0],
        coffer_domain::address::BitcoinNetwork::Mainnet,
    );
    assert_eq!(address, "0x9858EfFD232B4033E47d90003D41EC34EcaEda94");
}

#[tokio::test]
async fn a_small_batch_on_sqlite() {
    smoke(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_small_batch_on_postgresql() {
    smoke(Engine::Postgres).await;
}
