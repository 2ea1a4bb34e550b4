//! One `coffer serve` process.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;

use super::{Programs, Site};

const START_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub struct Server {
    child: Child,
    /// Where it listens; a new port at each start.
    pub url: String,
    log: PathBuf,
}

impl Server {
    /// Starts and waits until it listens. `failpoint` is what `COFFER_FAILPOINT` says.
    ///
    /// # Errors
    /// When it ends before it listens; [`Died`] tells how.
    pub async fn start(programs: &Programs, site: &Site, failpoint: Option<&str>) -> Result<Self> {
        Self::run(programs, site, failpoint, &[]).await
    }

    /// The same with more arguments for `coffer serve`.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub async fn start_with(programs: &Programs, site: &Site, more: &[String]) -> Result<Self> {
        Self::run(programs, site, None, more).await
    }

    /// Both of these.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub async fn start_armed(
        programs: &Programs,
        site: &Site,
        failpoint: Option<&str>,
        more: &[String],
    ) -> Result<Self> {
        Self::run(programs, site, failpoint, more).await
    }

    async fn run(
        programs: &Programs,
        site: &Site,
        failpoint: Option<&str>,
        more: &[String],
    ) -> Result<Self> {
        let log = site.folder().join("serve.log");
        let mut command = Command::new(&programs.coffer);
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(site.data())
            .args(["--listen", "127.0.0.1:0"])
            .args(["--database-url", &site.database_url])
            .arg("--passphrase-file")
            .arg(site.passphrase())
            .args(more)
            .env_remove("COFFER_FAILPOINT")
            .env_remove("COFFER_API_KEY")
            .env_remove("COFFER_DATABASE_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(append(&log)?);
        if let Some(failpoint) = failpoint {
            command.env("COFFER_FAILPOINT", failpoint);
        }
        let mut child = command.spawn().context("coffer does not start")?;
        let stdout = child.stdout.take().context("its output is piped")?;
        let (send, listening) = oneshot::channel();
        std::thread::spawn(move || {
            let mut send = Some(send);
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(url) = url_in(&line)
                    && let Some(send) = send.take()
                {
                    let _ = send.send(url);
                }
            }
        });
        let mut server = Self {
            child,
            url: String::new(),
            log,
        };
        match tokio::time::timeout(START_WITHIN, listening).await {
            Ok(Ok(url)) => server.url = url,
            Ok(Err(_)) => {
                let status = server
                    .ended_within(Duration::from_secs(10))
                    .await
                    .context("coffer closed its output")?;
                return Err(Died {
                    killed: status.signal() == Some(9),
                    status,
                    log: server.log_tail(),
                }
                .into());
            }
            Err(_) => bail!(
                "coffer does not listen after {} s:\n{}",
                START_WITHIN.as_secs(),
                server.log_tail()
            ),
        }
        Ok(server)
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    pub async fn ended_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + time;
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// One that has ended is left alone: its process id may be another's by now.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            send(self.child.id(), signal);
        }
    }

    /// SIGKILL, and waits for the end.
    pub async fn kill(mut self) {
        self.signal(Signal::KILL);
        let _ = self.ended_within(Duration::from_secs(10)).await;
    }

    /// SIGTERM. It must end by itself with status 0, and its signer with it.
    ///
    /// # Errors
    /// When it does not.
    pub async fn stop(mut self) -> Result<()> {
        let signer = signer_of(self.pid());
        self.signal(Signal::TERM);
        let status = self.ended_within(Duration::from_secs(30)).await;
        let Some(status) = status else {
            bail!("coffer does not end after SIGTERM:\n{}", self.log_tail())
        };
        if !status.success() {
            return Err(Died {
                killed: status.signal() == Some(9),
                status,
                log: self.log_tail(),
            }
            .into());
        }
        if signer.is_some_and(|pid| name_of(pid).as_deref() == Some("coffer-signer")) {
            bail!("coffer-signer outlived coffer");
        }
        Ok(())
    }

    /// The peak of its resident memory, and of its signer's, in KiB.
    #[must_use]
    pub fn peak_memory_kib(&self) -> (u64, u64) {
        (
            peak_of(self.pid()),
            signer_of(self.pid()).map_or(0, peak_of),
        )
    }

    /// What it caused to be written to disk since its start, by `/proc`; 0 where that cannot be read.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        let path = format!("/proc/{}/io", self.pid());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let field = text
            .lines()
            .find_map(|line| line.strip_prefix("write_bytes: "));
        field.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
    }

    /// Processor seconds, its own and its signer's.
    #[must_use]
    pub fn processor_seconds(&self) -> (f64, f64) {
        let ticks = rustix::param::clock_ticks_per_second();
        let seconds = |pid| processor_ticks(pid) as f64 / ticks as f64;
        (
            seconds(self.pid()),
            signer_of(self.pid()).map_or(0.0, seconds),
        )
    }

    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `coffer serve` ended although nobody told it to.
#[derive(Debug)]
pub struct Died {
    /// By SIGKILL, as a failpoint does it.
    pub killed: bool,
    status: ExitStatus,
    log: String,
}

impl std::fmt::Display for Died {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "coffer serve ended with {}; the end of its log:\n{}",
            self.status, self.log
        )
    }
}

impl std::error::Error for Died {}

fn append(path: &Path) -> Result<File> {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

fn url_in(line: &str) -> Option<String> {
    let from = line.find("http://")?;
    let url = line[from..]
        .split(|c: char| c.is_whitespace() || c == '"')
        .next()?;
    Some(url.trim_end_matches('/').to_owned())
}

pub fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// The process id of the `coffer-signer` that this `coffer` started.
#[must_use]
pub fn signer_of(coffer: u32) -> Option<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{coffer}/task")).ok()?;
    tasks
        .filter_map(Result::ok)
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|children| {
            children
                .split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<u32>>()
        })
        .find(|pid| name_of(*pid).as_deref() == Some("coffer-signer"))
}

/// `None` for a process that is gone or a zombie.
fn name_of(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(')')?;
    if tail.trim_start().starts_with('Z') {
        return None;
    }
    Some(head.split_once('(')?.1.to_owned())
}

fn peak_of(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok())
        .unwrap_or(0)
}

/// User and system time, proc(5): the 14th and 15th fields of stat.
fn processor_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, tail)| tail);
    fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum()
}
