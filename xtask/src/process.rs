//! Running other programs, and never leaving one behind.
//!
//! A background program runs under a guard: a small shell that holds the reading end of a pipe of
//! ours. However this process ends (return, error, Ctrl-C, `kill -9`), the pipe closes, and the
//! guard stops the program and removes its scratch folder. That needs no signal handler here.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The command as one would type it.
pub(crate) fn describe(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        let plain = !argument.is_empty()
            && argument
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_=./:,@+%".contains(c));
        let _ = if plain {
            write!(text, " {argument}")
        } else {
            write!(text, " '{argument}'")
        };
    }
    text
}

/// What `cargo run` tells us about our own package. Handed on to another cargo it would change what
/// `ring` and others are built from, and they would be compiled anew each time.
const OURS: [&str; 17] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PKG_AUTHORS",
    "CARGO_PKG_DESCRIPTION",
    "CARGO_PKG_HOMEPAGE",
    "CARGO_PKG_LICENSE",
    "CARGO_PKG_LICENSE_FILE",
    "CARGO_PKG_NAME",
    "CARGO_PKG_README",
    "CARGO_PKG_REPOSITORY",
    "CARGO_PKG_RUST_VERSION",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
    "CARGO",
];

fn forget_our_package(command: &mut Command) -> &mut Command {
    OURS.into_iter()
        .fold(command, |command, name| command.env_remove(name))
}

/// Runs with the terminal inherited; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` failed: {status}", describe(command));
    }
    Ok(())
}

pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    eprintln!("$ {}", describe(command));
    forget_our_package(command)
        .status()
        .with_context(|| format!("cannot run `{}`", describe(command)))
}

/// Standard output of a quiet program; its standard error is part of the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = forget_our_package(command)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run `{}`", describe(command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` failed: {}\n{}",
            describe(command),
            output.status,
            stderr.trim()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` printed something else than UTF-8", describe(command)))
}

/// Runs with standard output shown and also handed to `each_line`.
pub(crate) fn run_and_read(
    command: &mut Command,
    mut each_line: impl FnMut(&str),
) -> Result<ExitStatus> {
    eprintln!("$ {}", describe(command));
    let mut child = forget_our_package(command)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{}`", describe(command)))?;
    let stdout = child.stdout.take().context("the pipe was just asked for")?;
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        println!("{text}");
        each_line(text);
    }
    Ok(child.wait()?)
}

/// Where `program` is on `PATH`.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let mut command = Command::new("sh");
    command.args(["-c", "command -v -- \"$1\"", "sh", program]);
    output(&mut command)
        .ok()
        .map(|path| PathBuf::from(path.trim()))
}

pub(crate) fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0")
}

pub(crate) fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stdin())
}

/// A loopback port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// Asks `ready` until it answers with something, `what` names it in the error.
#[expect(
    clippy::disallowed_methods,
    reason = "another program gives no other sign of being ready than its answers"
)]
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut ready: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = ready().with_context(|| format!("{what} is not ready"))? {
            return Ok(value);
        }
        if start.elapsed() > limit {
            bail!("{what} was not ready within {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Status code of a plain HTTP GET on loopback; `None` while nothing answers.
pub(crate) fn http_status(port: u16, path: &str) -> Option<u16> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let timeout = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, timeout).ok()?;
    stream.set_read_timeout(Some(timeout)).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    // `HTTP/1.1 200`: the status stands in the first twelve bytes.
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    let head = std::str::from_utf8(&head).ok()?;
    head.strip_prefix("HTTP/1.")?.get(2..)?.parse().ok()
}

/// `$1` signal that stops the program, `$2` its log, `$3` a folder to remove at the end, then the command.
const GUARD: &str = r#"
signal=$1 log=$2 trash=$3; shift 3
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
child=$!
echo "$child"
exec 2>/dev/null
(
  # A line says "keep it"; end of file says that whoever started us is gone or done.
  read -r _ <&3 && exit 0
  kill -s "$signal" "$child" 2>/dev/null
  tries=0
  while [ "$tries" -lt 300 ] && kill -0 "$child" 2>/dev/null; do sleep 0.1; tries=$((tries + 1)); done
  kill -s KILL "$child" 2>/dev/null
) >/dev/null 2>&1 &
watcher=$!
# Only now: a child forked under a trap would lose a signal that comes before its own program begins.
trap : INT TERM HUP
exec 3<&- </dev/null
# `wait` also ends when a signal comes in; the program may have ended before it.
wait "$child"; status=$?
while kill -0 "$child" 2>/dev/null; do wait "$child"; status=$?; done
kill "$watcher" 2>/dev/null
[ -z "$trash" ] || rm -rf -- "$trash"
exit "$status"
"#;

/// A background program that ends with us.
#[derive(Debug)]
pub(crate) struct Guarded {
    guard: Child,
    hold: Option<ChildStdin>,
    pid: u32,
    log: PathBuf,
}

/// How a background program is to be stopped, and what goes with it.
#[derive(Debug)]
pub(crate) struct GuardOptions<'a> {
    /// Name of the signal for a clean stop; SIGKILL follows after 30 s.
    pub(crate) signal: &'a str,
    pub(crate) log: &'a Path,
    /// Removed after the program's end.
    pub(crate) trash: Option<&'a Path>,
}

impl Guarded {
    pub(crate) fn start(command: &Command, options: &GuardOptions<'_>) -> Result<Self> {
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "guard", options.signal]);
        guard
            .arg(options.log)
            .arg(options.trash.unwrap_or(Path::new("")));
        guard.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                guard.env(name, value);
            }
        }
        if let Some(folder) = command.get_current_dir() {
            guard.current_dir(folder);
        }
        // A group of its own: Ctrl-C reaches us alone, and the guard then stops the program in order.
        guard
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut guard = guard.spawn().context("cannot run `sh`")?;
        let hold = guard.stdin.take();
        let mut pid = String::new();
        BufReader::new(guard.stdout.take().context("the pipe was just asked for")?)
            .read_line(&mut pid)?;
        let pid = pid
            .trim()
            .parse()
            .with_context(|| format!("`{}` did not start", describe(command)))?;
        Ok(Self {
            guard,
            hold,
            pid,
            log: options.log.to_path_buf(),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// An error when the program has ended by itself.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.guard.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("it ended by itself ({status}); see {}", self.log.display()),
        }
    }

    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Stops the program and waits for its end; says how it ended.
    pub(crate) fn stop(mut self) -> Result<ExitStatus> {
        self.hold = None;
        Ok(self.guard.wait()?)
    }

    /// Lets the program live on after us.
    pub(crate) fn keep(mut self) -> Result<u32> {
        if let Some(hold) = &mut self.hold {
            hold.write_all(b"keep\n")?;
        }
        self.hold = None;
        Ok(self.pid)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.hold.take().is_some() {
            let _ = self.guard.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alive(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    fn start(folder: &Path, script: &str) -> Guarded {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let log = folder.join("log");
        let options = GuardOptions {
            signal: "TERM",
            log: &log,
            trash: None,
        };
        Guarded::start(&command, &options).expect("sh starts")
    }

    #[test]
    fn a_guarded_program_ends_when_its_guard_is_dropped() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let guarded = start(folder.path(), "exec sleep 600");
        let pid = guarded.pid();
        assert!(alive(pid));
        drop(guarded);
        assert!(!alive(pid));
    }

    #[test]
    fn a_kept_program_lives_on() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let pid = start(folder.path(), "exec sleep 600")
            .keep()
            .expect("the guard reads its line");
        assert!(alive(pid));
        run(Command::new("kill").arg(pid.to_string())).expect("it is ours to stop");
        wait_for("the end of sleep", Duration::from_secs(5), || {
            Ok((!alive(pid)).then_some(()))
        })
        .expect("it ends");
    }

    #[test]
    fn an_early_end_is_told() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let mut guarded = start(folder.path(), "echo no such key; exit 3");
        let error = wait_for("an error", Duration::from_secs(5), || {
            Ok(guarded.check_alive().err())
        })
        .expect("it ended");
        assert!(error.to_string().contains("exit status: 3"), "{error}");
        assert_eq!(guarded.log_tail(), "no such key");
    }

    #[test]
    fn commands_are_described_as_typed() {
        assert_eq!(
            describe(Command::new("npm").args(["ci", "a b", ""])),
            "npm ci 'a b' ''"
        );
    }
}
