//! Tries what a confined signer must not be able to do, on the machine at hand.

use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;

use serde_json::{Map, Value};

use crate::error::Failure;

const OWN_EXECUTABLE: &str = "/proc/self/exe";
const POSSIBLE: &str = "possible";

/// Prints what was applied and what each attempt met; fails when one succeeded. Files are tried
/// between the two layers, too: each must hold without the other.
pub(crate) fn check() -> Result<(), Failure> {
    let mut report = super::protect_memory()?;
    let landlock = super::forbid_files()?;
    let by_landlock = try_files();
    super::forbid_system_calls()?;
    let mut attempts = try_files();
    attempts.extend(try_the_rest());
    let has_landlock = landlock == super::ENFORCED;
    let escaped = |attempts: &Map<String, Value>| attempts.values().any(|met| met == POSSIBLE);
    let escapes = escaped(&attempts) || (has_landlock && escaped(&by_landlock));
    report.insert("landlock".into(), landlock.into());
    report.insert("seccomp".into(), super::ENFORCED.into());
    report.insert("attempts_with_landlock_alone".into(), by_landlock.into());
    report.insert("attempts".into(), attempts.into());
    println!("{}", Value::Object(report));
    if escapes {
        return Err(Failure::Unsafe {
            what: "confinement",
            why: "an attempt to break out succeeded, see the report".into(),
        });
    }
    Ok(())
}

fn met(result: io::Result<()>) -> Value {
    match result.map_err(|error| error.kind()) {
        Ok(()) => POSSIBLE.into(),
        Err(io::ErrorKind::PermissionDenied) => "refused".into(),
        Err(other) => format!("failed otherwise: {other}").into(),
    }
}

fn try_files() -> Map<String, Value> {
    let created = std::env::temp_dir().join(format!("coffer-signer-probe-{}", std::process::id()));
    let create = || File::create_new(&created).and_then(|_| std::fs::remove_file(&created));
    let mut attempts = Map::new();
    attempts.insert(
        "file_read".into(),
        met(File::open(OWN_EXECUTABLE).map(drop)),
    );
    attempts.insert("file_create".into(), met(create()));
    attempts
}

fn try_the_rest() -> Map<String, Value> {
    let start = || Command::new(OWN_EXECUTABLE).arg("--version").spawn();
    let mut attempts = Map::new();
    let mut attempt = |name: &str, result| attempts.insert(name.into(), met(result));
    attempt(
        "tcp_connect",
        TcpStream::connect(("127.0.0.1", 9)).map(drop),
    );
    attempt("tcp_listen", TcpListener::bind(("127.0.0.1", 0)).map(drop));
    attempt("udp_bind", UdpSocket::bind(("127.0.0.1", 0)).map(drop));
    attempt("unix_connect", UnixStream::connect("/run/none").map(drop));
    attempt("program_start", start().map(drop));
    attempt("become_dumpable", super::become_dumpable());
    attempts
}
