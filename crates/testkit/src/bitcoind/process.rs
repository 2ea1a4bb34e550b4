//! The process: where its program is, how it starts, and that it never stays behind.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tempfile::TempDir;

use crate::anvil::{GUARD, Rpc, part};

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Further arguments, as on the command line.
    pub more: Vec<String>,
    /// Where it answers calls on the loopback; 0 for any port that is free.
    pub rpc_port: u16,
    /// Authentication by the cookie that the node writes, instead of a password.
    pub cookie: bool,
}

/// User and password of a node that is not asked to write a cookie. They guard nothing but a test.
const USER: &str = "tester";

const START_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A free port may be taken by somebody else before the node has it.
const STARTS_MAX: u32 = 5;

/// A running node with a loaded wallet; killed when dropped.
pub struct Bitcoind {
    guard: Child,
    hold: Option<ChildStdin>,
    pid: u32,
    folder: TempDir,
    rpc_port: u16,
    p2p_port: u16,
    credentials: String,
    pub(super) rpc: Rpc,
    pub(super) wallet: Rpc,
    /// An address of the wallet, to which blocks are mined.
    pub(super) own: String,
}

impl Bitcoind {
    /// Starts a node and waits until it answers and has its wallet.
    ///
    /// # Errors
    /// When it does not; the end of its log is in the message.
    pub async fn start(options: &Options) -> Result<Self> {
        let mut failed = None;
        for _ in 0..STARTS_MAX {
            match Self::try_start(options).await {
                Ok(node) => return Ok(node),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.context("no start was tried")?)
    }

    async fn try_start(options: &Options) -> Result<Self> {
        let folder = tempfile::tempdir().context("no scratch folder")?;
        let log = folder.path().join("bitcoind.log");
        // Its own, so that a node that took the port first is not taken for ours.
        let password = folder.path().file_name().unwrap_or_default();
        let password = password.to_string_lossy().into_owned();
        let (free_rpc, p2p_port) = (free_port()?, free_port()?);
        let rpc_port = match options.rpc_port {
            0 => free_rpc,
            port => port,
        };
        let program = part("COFFER_TEST_BITCOIND", "target/bitcoin-node/bitcoind");
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD]).arg(&log).arg(program);
        guard.args(arguments(folder.path(), (rpc_port, p2p_port)));
        if !options.cookie {
            guard.arg(format!("-rpcuser={USER}"));
            guard.arg(format!("-rpcpassword={password}"));
        }
        guard.args(&options.more);
        // A group of its own: Ctrl-C reaches the test alone, whose end the guard then sees.
        guard.process_group(0).current_dir(folder.path());
        guard.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut guard = guard.spawn().context("cannot run `sh`")?;
        let hold = guard.stdin.take();
        let mut pid = String::new();
        let stdout = guard.stdout.take().context("its output is piped")?;
        BufReader::new(stdout).read_line(&mut pid)?;
        let pid = pid
            .trim()
            .parse()
            .context("the guard tells no process id")?;
        let mut node = Self {
            guard,
            hold,
            pid,
            folder,
            rpc_port,
            p2p_port,
            credentials: format!("{USER}:{password}"),
            rpc: Rpc::new(""),
            wallet: Rpc::new(""),
            own: String::new(),
        };
        node.wait_until_it_answers(options).await?;
        node.set_up_wallet().await?;
        Ok(node)
    }

    async fn wait_until_it_answers(&mut self, options: &Options) -> Result<()> {
        let deadline = Instant::now() + START_WITHIN;
        loop {
            if options.cookie
                && let Ok(cookie) = std::fs::read_to_string(self.cookie_file())
            {
                self.credentials = cookie;
            }
            self.rpc = Rpc::new(&self.url_with_credentials());
            if self.rpc.call("getblockcount", json!([])).await.is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline || !self.is_alive() {
                bail!("bitcoind does not start; its log:\n{}", self.log());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn set_up_wallet(&mut self) -> Result<()> {
        self.rpc.call("createwallet", json!(["tests"])).await?;
        self.wallet = Rpc::new(&format!("{}/wallet/tests", self.url_with_credentials()));
        self.own = self.new_address().await?;
        Ok(())
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.rpc_port)
    }

    /// `user:password`, as a cookie file holds it.
    #[must_use]
    pub fn credentials(&self) -> &str {
        &self.credentials
    }

    #[must_use]
    pub fn url_with_credentials(&self) -> String {
        format!("http://{}@127.0.0.1:{}", self.credentials, self.rpc_port)
    }

    #[must_use]
    pub fn cookie_file(&self) -> std::path::PathBuf {
        self.folder.path().join("regtest/.cookie")
    }

    /// Where other nodes find it.
    #[must_use]
    pub fn peer_address(&self) -> String {
        format!("127.0.0.1:{}", self.p2p_port)
    }

    #[must_use]
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The process itself, not its guard.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid));
        stat.is_ok_and(|stat| !stat.contains(") Z"))
    }

    /// What it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("bitcoind.log"));
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    }
}

impl Drop for Bitcoind {
    fn drop(&mut self) {
        drop(self.hold.take());
        let _ = self.guard.wait();
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free loopback port")?;
    Ok(listener.local_addr()?.port())
}

fn arguments(folder: &std::path::Path, (rpc_port, p2p_port): (u16, u16)) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "-regtest",
        "-server",
        "-printtoconsole=1",
        "-nodebuglogfile",
        "-listenonion=0",
        "-dnsseed=0",
        "-fixedseeds=0",
        "-discover=0",
        "-natpmp=0",
        "-persistmempool=0",
        "-fallbackfee=0.0002",
        "-addresstype=bech32",
        "-changetype=bech32",
        "-rpcallowip=127.0.0.1",
        "-rpcworkqueue=512",
        "-rpcthreads=4",
    ]
    .map(str::to_owned)
    .into();
    arguments.push(format!("-datadir={}", folder.display()));
    arguments.push(format!("-rpcbind=127.0.0.1:{rpc_port}"));
    arguments.push(format!("-rpcport={rpc_port}"));
    arguments.push(format!("-bind=127.0.0.1:{p2p_port}"));
    arguments
}
