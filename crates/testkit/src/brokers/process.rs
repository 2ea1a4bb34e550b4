//! A process that never stays behind.

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};
use tokio::net::TcpStream;

/// Runs the program until standard input ends, which it does however we end ourselves, then kills it.
/// `$0` is the log, then the command.
const GUARD: &str = r#"
"$@" </dev/null >>"$0" 2>&1 &
child=$!
echo "$child"
read -r _
kill -s KILL "$child" 2>/dev/null
wait "$child" 2>/dev/null
"#;

/// RabbitMQ takes five seconds alone on a machine; here ten others may run beside it.
const START_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Killed by `SIGKILL` when dropped.
pub(super) struct Process {
    guard: Child,
    hold: Option<ChildStdin>,
    pid: Pid,
    log: PathBuf,
}

impl Process {
    pub(super) fn start(command: &Command, log: &Path) -> Result<Self> {
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD]).arg(log);
        guard.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                guard.env(name, value);
            }
        }
        if let Some(folder) = command.get_current_dir() {
            guard.current_dir(folder);
        }
        // A group of its own: Ctrl-C reaches the test alone, whose end the guard then sees.
        guard.process_group(0);
        guard.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut guard = guard.spawn().context("cannot run `sh`")?;
        let hold = guard.stdin.take();
        let mut pid = String::new();
        let stdout = guard.stdout.take().context("its output is piped")?;
        BufReader::new(stdout).read_line(&mut pid)?;
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw);
        Ok(Self {
            guard,
            hold,
            pid: pid.context("the guard tells no process id")?,
            log: log.to_owned(),
        })
    }

    /// Waits until it takes connections there.
    pub(super) async fn listens_on(&self, port: u16) -> Result<()> {
        let deadline = Instant::now() + START_WITHIN;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .is_err()
        {
            if Instant::now() > deadline || !self.is_alive() {
                bail!("the broker does not start; its log:\n{}", self.log());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        rustix::process::kill_process(self.pid, signal).context("the broker is gone")
    }

    pub(super) fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn is_alive(&self) -> bool {
        let stat = format!("/proc/{}/stat", self.pid.as_raw_nonzero());
        std::fs::read_to_string(stat).is_ok_and(|stat| !stat.contains(") Z"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.hold.take());
        let _ = self.guard.wait();
    }
}
