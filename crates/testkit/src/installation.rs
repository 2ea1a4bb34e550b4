//! A platform with a real signer, a database and one open vault, in this process.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use coffer_domain::address::BitcoinNetwork;
use coffer_domain::id::VaultId;
use coffer_domain::vault::Tier;
use coffer_platform::audit::AnchorFile;
use coffer_platform::bootstrap::{self, Choice};
use coffer_platform::{
    Caller, Clock, NewVault, NoSources, OsEntropy, Outbound, Parts, Platform, SourceFactory,
    SystemClock,
};
use coffer_signing::{DrillChallenge, DrillProof, Signer, SignerClient};
use coffer_store::Db;

use crate::database::{Engine, TestDatabase};
use crate::programs::program;

/// The all-zero entropy's words (BIP-39's first vector): every tool knows their addresses.
pub const MNEMONIC: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

/// The system's time, moved forward by hand.
#[derive(Default)]
pub struct ManualClock {
    ahead_ms: AtomicI64,
}

impl ManualClock {
    pub fn advance_ms(&self, ms: i64) {
        self.ahead_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        SystemClock.now_ms() + self.ahead_ms.load(Ordering::Relaxed)
    }
}

/// A `coffer-signer` of its own; ended when dropped.
struct SignerChild(Child);

impl Drop for SignerChild {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Installation {
    pub folder: tempfile::TempDir,
    pub database: TestDatabase,
    pub platform: Platform,
    /// Holds the key that `init` made, with every scope.
    pub admin: Caller,
    pub token: String,
    pub vault: VaultId,
    pub clock: Arc<ManualClock>,
    pub signer: Arc<dyn Signer>,
    pub sources: Arc<dyn SourceFactory>,
    _child: SignerChild,
}

impl Installation {
    /// A fresh one: key file from [`MNEMONIC`], drill passed, workers not running.
    ///
    /// # Panics
    /// When a part is missing.
    pub async fn create(engine: Engine) -> Self {
        Self::create_with(engine, Arc::new(NoSources)).await
    }

    /// Like [`Self::create`], with a way to chain nodes.
    ///
    /// # Panics
    /// When a part is missing.
    pub async fn create_with(engine: Engine, sources: Arc<dyn SourceFactory>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let database = TestDatabase::create(engine, folder.path()).await;
        make_key_file(folder.path());
        let (child, signer) = start_signer(folder.path());
        let signer: Arc<dyn Signer> = Arc::new(signer);
        let (json, token) = {
            let (signer, folder) = (Arc::clone(&signer), folder.path().to_owned());
            tokio::task::spawn_blocking(move || bootstrap_json(signer.as_ref(), &folder))
                .await
                .expect("bootstrapping works")
        };
        let db = Db::open(&database.url).await.expect("the database opens");
        assert!(
            bootstrap::apply(&db, Arc::clone(&signer), &json)
                .await
                .expect("the bootstrap applies")
        );
        let clock = Arc::new(ManualClock::default());
        let platform = open(
            db,
            Arc::clone(&signer),
            Arc::clone(&clock),
            folder.path(),
            Arc::clone(&sources),
        )
        .await;
        let admin = platform
            .authenticate(&token)
            .await
            .expect("the key is checked")
            .expect("the key counts");
        let vault = platform
            .default_vault(&admin)
            .await
            .expect("there is a vault");
        Self {
            folder,
            database,
            platform,
            admin,
            token,
            vault,
            clock,
            signer,
            sources,
            _child: SignerChild(child),
        }
    }

    /// A second platform on the same database and signer, as after a restart or on another host.
    ///
    /// # Panics
    /// When it cannot start.
    pub async fn reopen(&self) -> Platform {
        let db = Db::open(&self.database.url)
            .await
            .expect("the database opens");
        open(
            db,
            Arc::clone(&self.signer),
            Arc::clone(&self.clock),
            self.folder.path(),
            Arc::clone(&self.sources),
        )
        .await
    }

    /// What the platform's clock says now.
    #[must_use]
    pub fn clock_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Another host beside this one: its own instance, and its own way to the signer.
    ///
    /// # Panics
    /// When it cannot start.
    pub async fn join(&self, signer: Arc<dyn Signer>, instance: [u8; 16]) -> Platform {
        let parts = Parts {
            db: Db::open(&self.database.url)
                .await
                .expect("the database opens"),
            signer,
            clock: Arc::<ManualClock>::clone(&self.clock),
            entropy: Arc::new(OsEntropy),
            anchor: AnchorFile::new(
                self.folder
                    .path()
                    .join(format!("audit.anchor.{}", instance[0])),
            ),
            instance,
            sources: Arc::clone(&self.sources),
            outbound: to_this_host(),
        };
        Platform::start(parts).await.expect("the platform starts")
    }

    /// Answers a drill's challenge from the words, as an operator would.
    ///
    /// # Panics
    /// When the program fails.
    #[must_use]
    pub fn answer_drill(&self, challenge: &DrillChallenge) -> DrillProof {
        run_drill(self.folder.path(), challenge)
    }
}

async fn open(
    db: Db,
    signer: Arc<dyn Signer>,
    clock: Arc<ManualClock>,
    folder: &Path,
    sources: Arc<dyn SourceFactory>,
) -> Platform {
    let parts = Parts {
        db,
        signer,
        clock,
        entropy: Arc::new(OsEntropy),
        anchor: AnchorFile::new(folder.join("audit.anchor")),
        instance: [1; 16],
        sources,
        outbound: to_this_host(),
    };
    Platform::start(parts).await.expect("the platform starts")
}

/// Receivers of tests listen on loopback, at whichever port is free.
fn to_this_host() -> Outbound {
    Outbound {
        allow: vec!["127.0.0.0/8".parse().expect("a network")],
        http: true,
        ports: vec!["1024-65535".parse().expect("a range")],
        ..Outbound::default()
    }
}

fn make_key_file(folder: &Path) {
    std::fs::write(folder.join("words"), MNEMONIC).expect("writes");
    std::fs::write(folder.join("passphrase"), "a passphrase for tests").expect("writes");
    let made = Command::new(program("coffer-signer"))
        .arg("init")
        .args(["--key-file".as_ref(), folder.join("vault.key").as_os_str()])
        .args([
            "--passphrase-file".as_ref(),
            folder.join("passphrase").as_os_str(),
        ])
        .args([
            "--import-mnemonic".as_ref(),
            folder.join("words").as_os_str(),
        ])
        .output()
        .expect("coffer-signer starts");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

fn start_signer(folder: &Path) -> (Child, SignerClient) {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair can be made");
    let child = Command::new(program("coffer-signer"))
        .arg("serve")
        .args(["--key-file".as_ref(), folder.join("vault.key").as_os_str()])
        .args([
            "--passphrase-file".as_ref(),
            folder.join("passphrase").as_os_str(),
        ])
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stderr(Stdio::null())
        .spawn()
        .expect("coffer-signer starts");
    let client = SignerClient::connect(ours, None).expect("the signer answers");
    (child, client)
}

fn run_drill(folder: &Path, challenge: &DrillChallenge) -> DrillProof {
    use std::io::Write;
    let mut child = Command::new(program("coffer-signer"))
        .args([
            "drill".as_ref(),
            "--mnemonic-file".as_ref(),
            folder.join("words").as_os_str(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("coffer-signer starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin
        .write_all(challenge.to_json().as_bytes())
        .expect("the challenge is taken");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    DrillProof::from_json(String::from_utf8_lossy(&output.stdout).trim()).expect("a proof")
}

fn bootstrap_json(signer: &dyn Signer, folder: &Path) -> (String, String) {
    let choice = Choice {
        organization_name: "test".to_owned(),
        vault: NewVault {
            name: "main".to_owned(),
            tier: Tier::Hot,
            account: 0,
            bitcoin_network: BitcoinNetwork::Mainnet,
        },
    };
    let draft = bootstrap::draft(signer, &SystemClock, &OsEntropy, &choice)
        .expect("the signer describes its account");
    let proof = run_drill(folder, draft.challenge());
    let made = draft
        .finish(signer, &OsEntropy, &proof)
        .expect("the first drill passes");
    (made.json, made.token.to_string())
}
