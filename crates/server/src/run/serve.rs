//! `coffer serve`: the parts in the order in which they need one another, and their stop in the other.

use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use coffer_platform::audit::AnchorFile;
use coffer_platform::{
    Clock, OsEntropy, Parts, Platform, SystemClock, WatcherSettings, WorkerSettings, bootstrap,
};
use coffer_signing::Signer;
use coffer_store::Db;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::files::DataDir;
use super::signer_process::{SignerLaunch, SignerProcess};
use super::sources::NodeSources;
use crate::access::{self, Api};
use crate::api;
use crate::config::{Config, Role};
use crate::http::{accept, enveloped};
use crate::sources;

/// File descriptors that are not connections: databases, the log, the signer.
const OTHER_FILES: u64 = 128;

pub struct ServeOptions {
    pub config: Config,
    pub data_dir: PathBuf,
    pub announce: Announce,
}

/// How to tell that requests are taken, and where.
pub enum Announce {
    /// A line of text on standard output.
    Text,
    /// A line of JSON on standard output.
    Json,
    /// To whoever runs the server within its own process.
    To(oneshot::Sender<SocketAddr>),
}

/// Runs until SIGTERM or SIGINT.
pub async fn serve(options: ServeOptions) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    stop_at_signal(&stop)?;
    serve_until(options, stop).await
}

/// Runs until `stop`.
pub async fn serve_until(mut options: ServeOptions, stop: CancellationToken) -> anyhow::Result<()> {
    crate::metrics::install();
    limit_connections_to_files(&mut options.config);
    let data = DataDir::new(options.data_dir.clone());
    let signer = Arc::new(start_signer(launch(&data, &options.config)).await?);
    let outcome = with_signer(options, &data, Arc::clone(&signer), stop).await;
    signer.stop().await;
    outcome
}

async fn with_signer(
    options: ServeOptions,
    data: &DataDir,
    signer: Arc<SignerProcess>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let config = options.config;
    let serves = config.server.roles.contains(&Role::Api);
    let works = config.server.roles.contains(&Role::Worker);
    let _working = works.then(|| data.lock_for_work()).transpose()?;
    let platform = start_platform(&config, data, Arc::clone(&signer)).await?;
    let mut background = JoinSet::new();
    background.spawn(spawn_kept(signer.supervise(stop.clone())));
    background.spawn(spawn_kept(crate::metrics::upkeep(stop.clone())));
    let db = platform.db().clone();
    let (anchoring, stop_anchor) = (platform.clone(), CancellationToken::new());
    let anchor = tokio::spawn({
        let stop = stop_anchor.clone();
        async move { anchoring.run_anchor(stop).await }
    });
    let (telling, until) = (platform.clone(), stop.clone());
    background.spawn(spawn_kept(
        async move { telling.run_event_feed(until).await },
    ));
    let (keeping, until) = (platform.clone(), stop.clone());
    background.spawn(spawn_kept(async move {
        keeping.run_database_upkeep(until).await;
    }));
    let (alarming, until) = (platform.clone(), stop.clone());
    background.spawn(spawn_kept(async move { alarming.run_alarms(until).await }));
    if works {
        let (platform, stop) = (platform.clone(), stop.clone());
        background.spawn(async move {
            let threads = std::thread::available_parallelism();
            // One writes while the others prepare.
            let parallel_chunks = threads.unwrap_or(NonZeroUsize::MIN).get() + 1;
            platform
                .run_workers(WorkerSettings { parallel_chunks }, stop)
                .await
        });
    }
    spawn_broker_doors(&config, &platform, &stop, &mut background);
    if config.server.roles.contains(&Role::Watcher) {
        let (watching, until) = (platform.clone(), stop.clone());
        background.spawn(async move {
            let settings = WatcherSettings::default();
            watching.run_watcher(settings, until).await
        });
        let (reconciling, until) = (platform.clone(), stop.clone());
        background.spawn(async move { reconciling.run_reconciler(until).await });
    }
    if config.server.roles.contains(&Role::Notifier) {
        let (notifying, until) = (platform.clone(), stop.clone());
        background.spawn(async move { notifying.run_notifier(until).await });
    }
    let deadline = Duration::from_millis(config.server.shutdown_deadline_ms);
    let served = if serves {
        serve_http(config, platform, options.announce, stop.clone()).await
    } else {
        options.announce.tell(None);
        wait_for(&stop, &mut background).await
    };
    stop.cancel();
    let ended = tokio::time::timeout(deadline, end_of(&mut background)).await;
    // Last, so that the anchor covers what the workers committed.
    stop_anchor.cancel();
    let _ = anchor.await;
    // SQLite folds its write-ahead log into the file when the last connection is closed.
    db.close().await;
    served?;
    ended.unwrap_or_else(|_| {
        bail!("the workers did not stop in time; their leases run out by themselves")
    })
}

/// What comes in through message brokers, in the role that works on it, and what goes out.
fn spawn_broker_doors(
    config: &Config,
    platform: &Platform,
    stop: &CancellationToken,
    background: &mut JoinSet<Ended>,
) {
    if config.server.roles.contains(&Role::Worker) {
        for settings in config.source_settings() {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let bytes_max = config.server.max_upload_bytes;
            let (platform, until) = (platform.clone(), stop.clone());
            let attending = sources::run(platform, clock, settings, bytes_max, until);
            background.spawn(spawn_kept(attending));
        }
    }
    let sinks = config.sink_settings();
    if config.server.roles.contains(&Role::Notifier) && !sinks.is_empty() {
        let (relaying, until) = (platform.clone(), stop.clone());
        background.spawn(async move { relaying.run_sinks(sinks, until).await });
    }
}

type Ended = Result<(), coffer_platform::Error>;

async fn spawn_kept(task: impl Future<Output = ()>) -> Ended {
    task.await;
    Ok(())
}

/// The first failure among the background tasks, once all have ended.
async fn end_of(background: &mut JoinSet<Ended>) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    while let Some(ended) = background.join_next().await {
        let ended = ended
            .map_err(anyhow::Error::from)
            .and_then(|ended| Ok(ended?));
        if ended.is_err() && outcome.is_ok() {
            outcome = ended.context("a background task failed");
        }
    }
    outcome
}

/// For a process without HTTP: until the stop, or the end of its work.
async fn wait_for(stop: &CancellationToken, background: &mut JoinSet<Ended>) -> anyhow::Result<()> {
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        ended = background.join_next() => match ended {
            Some(ended) => Ok(ended??),
            None => Ok(()),
        },
    }
}

async fn serve_http(
    config: Config,
    platform: Platform,
    announce: Announce,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let server = config.server.clone();
    let listener = TcpListener::bind(server.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; choose another with --listen",
            server.listen
        )
    })?;
    let address = listener.local_addr()?;
    let api = Api::new(access::Parts {
        platform,
        config,
        clock: Arc::new(SystemClock),
        stop: stop.clone(),
    });
    let router = enveloped(api::routes().into_router(&api));
    announce.tell(Some(address));
    accept(listener, router, &server, stop).await;
    Ok(())
}

impl Announce {
    fn tell(self, address: Option<SocketAddr>) {
        let url = address.map(|address| format!("http://{address}"));
        let line = match (self, &url, address) {
            (Self::To(whom), _, Some(address)) => {
                // Whoever asked may have gone.
                let _ = whom.send(address);
                return;
            }
            (Self::To(_), ..) => return,
            (Self::Json, url, _) => serde_json::json!({ "listening": url }).to_string(),
            (Self::Text, Some(url), _) => format!("listening on {url}"),
            (Self::Text, None, _) => {
                "working; no HTTP here, since the roles do not include api".to_owned()
            }
        };
        let mut out = std::io::stdout().lock();
        // A closed standard output is no reason not to serve.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

async fn start_platform(
    config: &Config,
    data: &DataDir,
    signer: Arc<SignerProcess>,
) -> anyhow::Result<Platform> {
    let url = config
        .database
        .url
        .clone()
        .unwrap_or_else(|| data.database_url());
    let db = Db::open(&url).await.context("cannot open the database")?;
    let signer: Arc<dyn Signer> = signer;
    match std::fs::read_to_string(data.bootstrap()) {
        Ok(json) => {
            if bootstrap::apply(&db, Arc::clone(&signer), &json).await? {
                tracing::info!("the empty database was given what `coffer init` made");
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let place = data.path().display();
            bail!("{place} is not a data folder; make one with `coffer init --data-dir {place}`");
        }
        Err(error) => return Err(error).context("cannot read bootstrap.json"),
    }
    let parts = Parts {
        db,
        signer,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        anchor: AnchorFile::new(data.anchor()),
        instance: data.instance(&OsEntropy)?,
        sources: Arc::new(NodeSources::new(data.secrets())),
        outbound: config.webhooks.outbound(),
    };
    Platform::start(parts)
        .await
        .context("the platform cannot start")
}

fn launch(data: &DataDir, config: &Config) -> SignerLaunch {
    let own = Some(data.passphrase()).filter(|path| path.exists());
    SignerLaunch {
        program: config
            .signer
            .program
            .clone()
            .unwrap_or_else(beside_this_program),
        key_file: config
            .signer
            .key_file
            .clone()
            .unwrap_or_else(|| data.key_file()),
        passphrase_file: config.signer.passphrase_file.clone().or(own),
    }
}

/// `coffer-signer` beside this program, else from the search path.
pub(super) fn beside_this_program() -> PathBuf {
    let name = "coffer-signer";
    let beside = std::env::current_exe()
        .ok()
        .map(|program| program.with_file_name(name));
    beside
        .filter(|path| path.exists())
        .unwrap_or_else(|| name.into())
}

pub(super) async fn start_signer(launch: SignerLaunch) -> anyhow::Result<SignerProcess> {
    let program = launch.program.display().to_string();
    let started = tokio::task::spawn_blocking(move || SignerProcess::start(launch)).await?;
    started.with_context(|| format!("{program} does not serve; its own message stands above"))
}

/// A connection needs a file descriptor; the system's default of 1,024 is raised as far as it may be.
fn limit_connections_to_files(config: &mut Config) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = config.server.max_connections as u64 + OTHER_FILES;
    let raised = wanted.min(limit.maximum.unwrap_or(u64::MAX));
    if limit.current.is_some_and(|current| current < raised) {
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(raised),
                maximum: limit.maximum,
            },
        );
    }
    let got = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if got < wanted {
        let room = usize::try_from(got.saturating_sub(OTHER_FILES))
            .unwrap_or(usize::MAX)
            .max(16);
        tracing::warn!(
            connections = room,
            "the limit of open files is low; fewer connections are taken"
        );
        config.server.max_connections = config.server.max_connections.min(room);
    }
}

fn stop_at_signal(stop: &CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    Ok(())
}
