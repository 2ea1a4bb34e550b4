//! Tries what a confined signer must not be able to do, on the machine at hand.

use std::fs::File;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;

use serde_json::{Map, Value};

use crate::error::Failure;

/// Prints what was applied and what each attempt met; fails when one succeeded.
pub(crate) fn check() -> Result<(), Failure> {
    let mut report = super::protect_memory()?;
    report.extend(super::confine()?);
    let attempts = attempts();
    let escaped = attempts.values().any(|outcome| outcome == "possible");
    report.insert("attempts".into(), attempts.into());
    println!("{}", Value::Object(report));
    if escaped {
        return Err(Failure::Unsafe {
            what: "confinement",
            why: "an attempt to break out succeeded, see the report".into(),
        });
    }
    Ok(())
}

fn attempts() -> Map<String, Value> {
    let refused = |result: std::io::Result<()>| match result.map_err(|error| error.kind()) {
        Ok(()) => Value::from("possible"),
        Err(std::io::ErrorKind::PermissionDenied) => Value::from("refused"),
        Err(other) => Value::from(format!("failed otherwise: {other}")),
    };
    let own_executable = "/proc/self/exe";
    let mut attempts = Map::new();
    let mut attempt = |name: &str, result| attempts.insert(name.into(), refused(result));
    attempt(
        "tcp_connect",
        TcpStream::connect(("127.0.0.1", 9)).map(drop),
    );
    attempt("tcp_listen", TcpListener::bind(("127.0.0.1", 0)).map(drop));
    attempt("udp_bind", UdpSocket::bind(("127.0.0.1", 0)).map(drop));
    attempt("unix_connect", UnixStream::connect("/run/none").map(drop));
    attempt("file_read", File::open(own_executable).map(drop));
    attempt(
        "file_create",
        File::create("/tmp/coffer-signer-probe").map(drop),
    );
    attempt(
        "program_start",
        Command::new(own_executable)
            .arg("--version")
            .spawn()
            .map(drop),
    );
    attempt("become_dumpable", super::become_dumpable());
    attempts
}
