//! A throw-away PostgreSQL: found or installed, started, stopped and removed.
//!
//! The cluster lives in a scratch folder, listens on a free loopback port and on a Unix socket in
//! that folder, and asks for a random password. PostgreSQL refuses to run as root, so under root it
//! runs as an unprivileged user.
//!
//! Its settings are those of production but for one: `fsync` is off unless `--durable` is given. The
//! crash tests kill `coffer`, never PostgreSQL, and what `fsync` protects from is a crash of the machine.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tempfile::TempDir;

use crate::debian;
use crate::process::{self, GuardOptions, Guarded};

const HOW: &str = "PostgreSQL's server is not installed. Run: sudo apt-get install -y postgresql\n\
                   (or test on SQLite alone: cargo xtask test --engine sqlite)";

/// A random word of 32 hexadecimal digits or more, from the operating system.
pub(crate) fn random_hex(bytes: usize) -> Result<String> {
    use std::io::Read;
    let mut random = vec![0; bytes];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Keep fsync on
    #[arg(long)]
    durable: bool,
    /// The command, after `--`; a shell when left out
    #[arg(last = true)]
    command: Vec<String>,
}

/// `cargo xtask postgres -- cargo test -p coffer-store`
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let cluster = Cluster::start(options.durable)?;
    eprintln!("PostgreSQL {} at {}", cluster.version, cluster.url);
    let (program, arguments) = match options.command.split_first() {
        Some((program, arguments)) => (program.as_str(), arguments),
        None => ("sh", &[][..]),
    };
    process::run(
        Command::new(program)
            .args(arguments)
            .current_dir(root)
            .env("COFFER_TEST_POSTGRES_URL", &cluster.url),
    )
}

/// A running server. Dropping it stops the server and removes its data.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// Of the superuser, database `postgres`.
    pub(crate) url: String,
    pub(crate) version: String,
    server: Guarded,
    _folder: TempDir,
}

impl Cluster {
    pub(crate) fn start(durable: bool) -> Result<Self> {
        let programs = programs()?;
        let user = unprivileged_user()?;
        let folder = tempfile::Builder::new().prefix("coffer-pg-").tempdir()?;
        let password = random_hex(16)?;
        prepare(folder.path(), &password, user.as_deref())?;
        let data = folder.path().join("data");
        let mut initdb = as_user(user.as_deref(), &programs.join("initdb"));
        initdb
            .arg("-D")
            .arg(&data)
            .arg("--pwfile")
            .arg(folder.path().join("password"));
        initdb.args([
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        process::output(initdb.current_dir("/"))?;

        let port = process::free_port()?;
        let log = folder.path().join("server.log");
        let mut server = as_user(user.as_deref(), &programs.join("postgres"));
        server
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string()])
            .current_dir("/");
        let sockets = format!("unix_socket_directories={}", folder.path().display());
        let fsync = format!("fsync={}", if durable { "on" } else { "off" });
        for setting in [
            "listen_addresses=127.0.0.1",
            "max_connections=200",
            "shared_buffers=128MB",
            &sockets,
            &fsync,
        ] {
            server.args(["-c", setting]);
        }
        // SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for its clients.
        let guard = GuardOptions {
            signal: "INT",
            log: &log,
            trash: Some(folder.path()),
        };
        let mut server = Guarded::start(&server, &guard)?;
        process::wait_for("PostgreSQL", Duration::from_secs(60), || {
            server.check_alive()?;
            let mut probe = Command::new(programs.join("pg_isready"));
            probe.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
            Ok(probe.status()?.success().then_some(()))
        })
        .map_err(|error| anyhow!("{error:#}\nIts log ends:\n{}", server.log_tail()))?;
        let version = process::output(Command::new(programs.join("postgres")).arg("--version"))?;
        Ok(Self {
            url: format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres"),
            version: version.split_whitespace().nth(2).unwrap_or("?").to_owned(),
            server,
            _folder: folder,
        })
    }

    pub(crate) fn check_alive(&mut self) -> Result<()> {
        self.server.check_alive()
    }
}

/// The password file, and the folder in the hands of whoever will run the server.
fn prepare(folder: &Path, password: &str, user: Option<&str>) -> Result<()> {
    use std::io::Write;
    let path = folder.join("password");
    fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&path)?
        .write_all(password.as_bytes())?;
    fs::write(folder.join("server.log"), "")?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    if let Some(user) = user {
        process::output(Command::new("chown").arg("-R").arg(user).arg(folder))?;
    }
    Ok(())
}

/// `None` when we are not root and need no other user.
fn unprivileged_user() -> Result<Option<String>> {
    if !process::is_root() {
        return Ok(None);
    }
    for user in ["postgres", "nobody"] {
        if process::output(Command::new("id").args(["-u", user])).is_ok() {
            return Ok(Some(user.to_owned()));
        }
    }
    bail!(
        "PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody`: run this as another user"
    )
}

fn as_user(user: Option<&str>, program: &Path) -> Command {
    let Some(user) = user else {
        return Command::new(program);
    };
    let mut command = Command::new("setpriv");
    // `nogroup` and `postgres` are the groups of the two users that `unprivileged_user` knows.
    let group = if user == "nobody" { "nogroup" } else { user };
    command
        .args([
            &format!("--reuid={user}"),
            &format!("--regid={group}"),
            "--clear-groups",
            "--",
        ])
        .arg(program);
    command
}

/// The folder with `initdb` and `postgres`; installs Debian's package when there is none and we may.
fn programs() -> Result<PathBuf> {
    if let Some(folder) = installed(Path::new("/usr/lib/postgresql")) {
        return Ok(folder);
    }
    if let Some(folder) = process::which("postgres").as_deref().and_then(Path::parent)
        && folder.join("initdb").exists()
    {
        return Ok(folder.to_path_buf());
    }
    debian::install("postgresql", HOW)?;
    installed(Path::new("/usr/lib/postgresql")).context(
        "the package postgresql is installed, but brought no /usr/lib/postgresql/*/bin/initdb",
    )
}

/// The highest version under Debian's folder.
fn installed(versions: &Path) -> Option<PathBuf> {
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let folders = fs::read_dir(versions)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()));
    let complete = folders.filter(|path| {
        ["initdb", "postgres", "pg_isready"]
            .iter()
            .all(|name| path.join("bin").join(name).exists())
    });
    complete
        .max_by_key(|path| number(path))
        .map(|path| path.join("bin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_complete_version_is_taken() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        for (version, programs) in [("9", 3), ("15", 3), ("17", 2)] {
            let bin = folder.path().join(version).join("bin");
            fs::create_dir_all(&bin).expect("writable");
            for program in &["initdb", "postgres", "pg_isready"][..programs] {
                fs::write(bin.join(program), "").expect("writable");
            }
        }
        assert_eq!(installed(folder.path()), Some(folder.path().join("15/bin")));
        assert_eq!(installed(&folder.path().join("none")), None);
    }

    #[test]
    fn random_words_differ() {
        let [a, b] = [0, 1].map(|_| random_hex(16).expect("the operating system has randomness"));
        assert!(a.len() == 32 && a != b);
    }
}
