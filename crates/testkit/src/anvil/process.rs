//! The process: where its program is, how it starts, and that it never stays behind.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tempfile::TempDir;

use super::Rpc;
use super::front::Front;

/// When the node makes blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mining {
    /// When the test says so.
    #[default]
    Manual,
    /// One for each transaction, a moment after it was taken: see [`Anvil::reach`].
    Instant,
    /// One each so many seconds.
    Every(u64),
}

#[derive(Debug, Clone)]
pub struct Options {
    pub chain_id: u64,
    pub mining: Mining,
    /// Seconds since 1970; now, when left out. Two nodes with the same one have the same genesis.
    pub genesis_time: Option<u64>,
    /// Seconds between the timestamps of two blocks, however quickly they are mined.
    pub block_seconds: Option<u64>,
    /// Where it listens on the loopback; 0 for any port that is free.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            chain_id: 31337,
            mining: Mining::Manual,
            genesis_time: None,
            block_seconds: None,
            port: 0,
        }
    }
}

/// Runs the node until standard input ends, which it does however we end ourselves.
/// `$0` is the log, then the command.
pub(crate) const GUARD: &str = r#"
"$@" </dev/null >"$0" 2>&1 &
child=$!
echo "$child"
read -r _
kill -s KILL "$child" 2>/dev/null
wait "$child" 2>/dev/null
"#;

const START_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A running node; killed when dropped.
pub struct Anvil {
    /// `None` for one that somebody else runs.
    guard: Option<Child>,
    hold: Option<ChildStdin>,
    pid: u32,
    folder: Option<TempDir>,
    /// What calls go through; `None` for a node that somebody else runs.
    _front: Option<Front>,
    url: String,
    pub(super) rpc: Rpc,
    /// Ten accounts with 10,000 ether each that the node signs for.
    pub accounts: Vec<String>,
}

impl Anvil {
    /// Starts a node and waits until it answers.
    ///
    /// # Errors
    /// When it does not; the end of its log is in the message.
    pub async fn start(options: &Options) -> Result<Self> {
        let folder = tempfile::tempdir().context("no scratch folder")?;
        let log = folder.path().join("anvil.log");
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD]).arg(&log).arg(program());
        guard.args(arguments(options));
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
        let mut anvil = Self {
            guard: Some(guard),
            hold,
            pid,
            folder: Some(folder),
            _front: None,
            url: String::new(),
            rpc: Rpc::new(""),
            accounts: Vec::new(),
        };
        let front = Front::start(&anvil.listening().await?, options.port).await?;
        anvil.url = front.url();
        anvil._front = Some(front);
        anvil.rpc = Rpc::new(&anvil.url);
        anvil.set_up(options).await?;
        Ok(anvil)
    }

    /// A node that somebody else runs, and stops; it has no log here.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn attach(url: &str) -> Result<Self> {
        let mut anvil = Self {
            guard: None,
            hold: None,
            pid: 0,
            folder: None,
            _front: None,
            url: url.to_owned(),
            rpc: Rpc::new(url),
            accounts: Vec::new(),
        };
        anvil.set_up(&Options::default()).await?;
        Ok(anvil)
    }

    async fn set_up(&mut self, options: &Options) -> Result<()> {
        let accounts = self.rpc.call("eth_accounts", json!([])).await?;
        self.accounts = serde_json::from_value(accounts).context("no list of accounts")?;
        if let Some(seconds) = options.block_seconds {
            self.rpc
                .call("anvil_setBlockTimestampInterval", json!([seconds]))
                .await?;
        }
        Ok(())
    }

    /// The URL in its log, once it is there.
    async fn listening(&self) -> Result<String> {
        let deadline = Instant::now() + START_WITHIN;
        loop {
            let log = self.log();
            let port = log
                .lines()
                .find_map(|line| line.strip_prefix("Listening on "));
            if let Some(place) = port {
                return Ok(format!("http://{place}"));
            }
            if Instant::now() > deadline || !self.is_alive() {
                bail!("anvil does not start; its log:\n{log}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
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

    /// What it has printed: a line for each call.
    #[must_use]
    pub fn log(&self) -> String {
        let log = self
            .folder
            .as_ref()
            .map(|folder| folder.path().join("anvil.log"));
        let bytes = log.and_then(|log| std::fs::read(log).ok());
        let bytes = bytes.unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        drop(self.hold.take());
        if let Some(guard) = &mut self.guard {
            let _ = guard.wait();
        }
    }
}

fn arguments(options: &Options) -> Vec<String> {
    let mut arguments = vec![
        "--host=127.0.0.1".to_owned(),
        "--port=0".to_owned(),
        "--no-request-size-limit".to_owned(),
        format!("--chain-id={}", options.chain_id),
    ];
    match options.mining {
        Mining::Manual => arguments.push("--no-mining".to_owned()),
        Mining::Instant => {}
        Mining::Every(seconds) => arguments.push(format!("--block-time={seconds}")),
    }
    if let Some(time) = options.genesis_time {
        arguments.push(format!("--timestamp={time}"));
    }
    arguments
}

/// From the environment, else where `tests/chain` puts it.
///
/// # Panics
/// When it is in neither place; the message says how to install it.
fn program() -> PathBuf {
    let usual = "tests/chain/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";
    part("COFFER_TEST_ANVIL", usual)
}

/// From the environment, else where `cargo xtask test` compiles to.
pub(super) fn contracts() -> PathBuf {
    part("COFFER_TEST_CONTRACTS", "target/contracts")
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment where the parts are"
)]
pub(crate) fn part(variable: &str, usual: &str) -> PathBuf {
    if let Ok(path) = std::env::var(variable) {
        let path = PathBuf::from(path);
        assert!(
            path.exists(),
            "{variable} names {}, which is not there",
            path.display()
        );
        return path;
    }
    let own = std::env::current_exe().expect("a running program has a path");
    let found = own.ancestors().map(|folder| folder.join(usual));
    found.into_iter().find(|path: &PathBuf| Path::exists(path)).unwrap_or_else(|| {
        panic!("{usual} is not there and {variable} is not set; run `cargo xtask test`, or see tests/chain/README.md")
    })
}
