//! What the tests of this folder do again and again: send a file, let workers run, wait for a state.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use coffer_domain::address::AddressKinds;
use coffer_domain::batch::{Batch, OnError};
use coffer_domain::external_id::ExternalId;
use coffer_domain::id::{BatchId, VaultId};
use coffer_domain::wallet::Wallet;
use coffer_platform::batches::parse::{Format, Limits};
use coffer_platform::batches::{ResultRow, Upload, UploadStream};
use coffer_platform::{
    Answer, Assigned, Caller, Error, NewApiKey, NewWallet, Platform, Scope, WorkerSettings,
};
use futures_util::stream;
use tokio_util::sync::CancellationToken;

/// Runs an async test once on each engine, under a name that says which.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() { super::$name(coffer_testkit::Engine::Sqlite).await; })* }
        mod postgresql { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() { super::$name(coffer_testkit::Engine::Postgres).await; })* }
    };
}
pub(crate) use on_both_engines;

const DEADLINE: Duration = Duration::from_secs(180);

/// Looks again until `look` gives something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let waiting = async {
        loop {
            tick.tick().await;
            if let Some(value) = look().await {
                return value;
            }
        }
    };
    tokio::time::timeout(DEADLINE, waiting)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// A platform's workers, until [`Workers::stop`].
pub(crate) struct Workers {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), Error>>,
}

impl Workers {
    pub(crate) fn start(platform: &Platform, parallel_chunks: usize) -> Self {
        let (platform, stop) = (platform.clone(), CancellationToken::new());
        let task = tokio::spawn({
            let stop = stop.clone();
            async move {
                platform
                    .run_workers(WorkerSettings { parallel_chunks }, stop)
                    .await
            }
        });
        Self { stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task
            .await
            .expect("workers end")
            .expect("workers end well");
    }
}

pub(crate) fn upload(vault: VaultId, format: Format) -> Upload {
    Upload {
        vault,
        format,
        gzip: false,
        kinds: AddressKinds::ALL,
        on_error: OnError::Skip,
        limits: Limits::default(),
    }
}

/// A body that arrives in small pieces.
pub(crate) fn body(bytes: &[u8]) -> UploadStream {
    let pieces: Vec<_> = bytes
        .chunks(1 << 16)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    Box::pin(stream::iter(pieces))
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("a vector takes it");
    encoder.finish().expect("a vector takes it")
}

/// `external_id` rows of a CSV file.
pub(crate) fn csv<S: AsRef<str>>(ids: impl IntoIterator<Item = S>) -> Vec<u8> {
    let mut text = "external_id\n".to_owned();
    for id in ids {
        text.push_str(id.as_ref());
        text.push('\n');
    }
    text.into_bytes()
}

pub(crate) async fn send(
    platform: &Platform,
    caller: &Caller,
    upload: Upload,
    bytes: &[u8],
) -> Batch {
    match platform
        .create_batch(caller, upload, body(bytes), None)
        .await
        .expect("accepted")
    {
        Answer::Executed(batch) => batch,
        Answer::Replayed { .. } => panic!("nothing to replay"),
    }
}

pub(crate) async fn finished(platform: &Platform, caller: &Caller, id: BatchId) -> Batch {
    until("the batch ends", || async {
        let batch = platform.batch(caller, id).await.expect("reads");
        batch.state.is_final().then_some(batch)
    })
    .await
}

/// Sends a CSV file and has it worked on to its end.
pub(crate) async fn run(
    platform: &Platform,
    caller: &Caller,
    upload: Upload,
    bytes: &[u8],
) -> Batch {
    let batch = send(platform, caller, upload, bytes).await;
    let workers = Workers::start(platform, 2);
    let batch = finished(platform, caller, batch.id).await;
    workers.stop().await;
    batch
}

pub(crate) async fn results(platform: &Platform, caller: &Caller, id: BatchId) -> Vec<ResultRow> {
    let mut reader = platform.batch_results(caller, id).await.expect("reads");
    let mut rows = Vec::new();
    while let Some(more) = reader.next().await.expect("reads") {
        rows.extend(more);
    }
    rows
}

/// Keeps the background from filling the pool, so that indexes go to batches alone.
pub(crate) async fn without_pool(platform: &Platform, caller: &Caller, vault: VaultId) {
    platform.set_pool(caller, vault, 0, 0).await.expect("set");
}

/// Every wallet of the caller's organization, page by page.
pub(crate) async fn all_wallets(platform: &Platform, caller: &Caller) -> Vec<Wallet> {
    let (mut wallets, mut after) = (Vec::new(), None);
    loop {
        let page = platform
            .wallets(caller, &Default::default(), after, 500)
            .await
            .expect("reads");
        assert!(page.refused.is_empty(), "{:?}", page.refused);
        wallets.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return wallets,
        }
    }
}

pub(crate) fn external_id(text: &str) -> ExternalId {
    ExternalId::try_new(text).expect("a good id")
}

pub(crate) fn new_wallet(vault: VaultId, id: &str) -> NewWallet {
    NewWallet {
        vault,
        external_id: external_id(id),
        label: None,
        metadata: None,
        kinds: AddressKinds::ALL,
    }
}

pub(crate) async fn assign(
    platform: &Platform,
    caller: &Caller,
    vault: VaultId,
    id: &str,
) -> Result<Assigned, Error> {
    match platform
        .assign_wallet(caller, new_wallet(vault, id), None)
        .await?
    {
        Answer::Executed(assigned) => Ok(assigned),
        Answer::Replayed { .. } => panic!("nothing to replay"),
    }
}

/// Another API key of the same organization.
pub(crate) async fn colleague(platform: &Platform, caller: &Caller, scopes: &[Scope]) -> Caller {
    let new = NewApiKey {
        name: "colleague".to_owned(),
        scopes: scopes.to_vec(),
        expires_in_days: None,
    };
    let issued = platform.create_api_key(caller, new).await.expect("issued");
    platform
        .authenticate(&issued.token)
        .await
        .expect("reads")
        .expect("counts")
}
