//! What the serving process gave up, seen from outside (fault catalogue, F-121).

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

use coffer_signing::Signer;
use rustix::process::{Pid, Resource, Signal, geteuid, getrlimit, kill_process};
use serde_json::Value;

use crate::rig::{Rig, WORDS, serve, signer};

#[test]
fn attempts_to_break_out_are_refused() {
    let output = signer()
        .arg("check-hardening")
        .output()
        .expect("the signer runs");
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let attempts = report["attempts"].as_object().expect("an object");
    for name in [
        "tcp_connect",
        "tcp_listen",
        "udp_bind",
        "unix_connect",
        "file_read",
        "file_create",
        "program_start",
        "become_dumpable",
    ] {
        assert_eq!(attempts[name], "refused", "{name}");
    }
    if report["landlock"] == "enforced" {
        let alone = &report["attempts_with_landlock_alone"];
        assert_eq!(
            (&alone["file_read"], &alone["file_create"]),
            (&"refused".into(), &"refused".into())
        );
    }
}

fn proc_file(pid: u32, name: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{name}")).expect("the process is there")
}

#[test]
fn the_kernel_says_that_the_defences_are_on() {
    let rig = Rig::imported(WORDS);
    let (serving, client) = rig.client();
    let status = proc_file(serving.pid(), "status");
    let field = |name: &str| {
        let line = status
            .lines()
            .find(|line| line.starts_with(name))
            .expect("a field");
        line.split_whitespace().nth(1).expect("a value").to_owned()
    };
    assert_eq!(field("Seccomp:"), "2");
    assert_eq!(field("NoNewPrivs:"), "1");
    let limits = proc_file(serving.pid(), "limits");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .expect("a limit");
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    // Bulk derivation starts threads; it must still be able to.
    assert_eq!(
        client
            .solana_public_keys(0, 500)
            .map(|keys| keys.len())
            .ok(),
        Some(500)
    );
    for entry in fs::read_dir(format!("/proc/{}/fd", serving.pid())).expect("ours to read") {
        let target = fs::read_link(entry.expect("an entry").path()).expect("a link");
        assert!(
            !target.starts_with(rig.folder()),
            "{} is still open",
            target.display()
        );
    }
}

#[test]
fn an_aborted_signer_leaves_no_core_and_its_panic_text_nothing() {
    let rig = Rig::imported(WORDS);
    let mut command = rig.serve_command();
    command
        .current_dir(rig.folder())
        .env("RUST_BACKTRACE", "full");
    let (serving, stream) = serve(command);
    let client = coffer_signing::SignerClient::connect(stream, None).expect("greeted");
    let pid = Pid::from_raw(i32::try_from(serving.pid()).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::ABORT).expect("ours to signal");
    let output = serving.finish();
    assert_eq!(output.status.signal(), Some(6));
    assert!(!output.status.core_dumped());
    let leftovers = fs::read_dir(rig.folder()).expect("a folder").count();
    assert_eq!(leftovers, 3, "passphrase, words and key file");
    assert!(client.identity().is_err());
}

/// What a panic says is its place, never its text.
#[cfg(feature = "failpoints")]
#[test]
fn a_panic_tells_its_place_only() {
    let rig = Rig::imported(WORDS);
    let mut command = rig.serve_command();
    command.env("COFFER_FAILPOINT", "signer.before_answer@seal_key:1:panic");
    command.env("RUST_BACKTRACE", "full");
    let (serving, stream) = serve(command);
    let client = coffer_signing::SignerClient::connect(stream, None).expect("greeted");
    assert!(client.seal_key().is_err());
    let output = serving.finish();
    assert_eq!(output.status.code(), Some(101));
    let log = String::from_utf8_lossy(&output.stderr);
    let panic = log.lines().last().expect("a line");
    assert!(
        panic.contains("\"message\":\"panic\"") && !panic.contains("failpoint signer"),
        "{log}"
    );
    crate::secrecy::assert_no_secret("the panic", &output.stderr);
}

/// An unprivileged user's own processes cannot look into the signer's memory.
#[test]
fn memory_is_closed_to_processes_of_the_same_user() {
    let rig = Rig::imported(WORDS);
    let as_root = geteuid().is_root();
    let nobody = 65_534;
    let mut command = rig.serve_command();
    if as_root {
        let program = rig.path("coffer-signer");
        fs::copy(env!("CARGO_BIN_EXE_coffer-signer"), &program).expect("copied");
        for file in ["vault.key", "passphrase"] {
            std::os::unix::fs::chown(rig.path(file), Some(nobody), None).expect("root may");
        }
        std::os::unix::fs::chown(rig.folder(), Some(nobody), None).expect("root may");
        let mut as_nobody = Command::new(program);
        as_nobody.args(command.get_args()).uid(nobody);
        command = as_nobody;
    }
    let (serving, stream) = serve(command);
    let client = coffer_signing::SignerClient::connect(stream, None).expect("greeted");
    for file in ["mem", "maps", "environ"] {
        let mut spy = Command::new("head");
        spy.args(["-c", "1"])
            .arg(format!("/proc/{}/{file}", serving.pid()));
        if as_root {
            spy.uid(nobody);
        }
        let output = spy.output().expect("head runs");
        let refusal = String::from_utf8_lossy(&output.stderr);
        assert!(refusal.contains("Permission denied"), "{file}: {output:?}");
    }
    // Locked also for a user with no privilege but the usual limit.
    let limit = getrlimit(Resource::Memlock).maximum;
    if limit.is_none_or(|bytes| bytes >= 8 << 20) {
        let status = proc_file(serving.pid(), "status");
        let locked = status
            .lines()
            .find(|line| line.starts_with("VmLck:"))
            .expect("a field");
        assert!(!locked.ends_with("\t       0 kB"), "{locked}");
    }
    assert_eq!(
        client
            .solana_public_keys(0, 20_000)
            .map(|keys| keys.len())
            .ok(),
        Some(20_000)
    );
}
