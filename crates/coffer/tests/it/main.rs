//! The program from outside, without a server: its help, its exit codes, and the form of its errors.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const BATCH: &str = "bat_0123456789abcdef0123456789abcdef";
const WALLET: &str = "wal_0123456789abcdef0123456789abcdef";
const VAULT: &str = "vlt_0123456789abcdef0123456789abcdef";
const SECRET: &str = "cfr_0123456789abcdef0123456789abcdef_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn coffer(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    command.env_clear().args(arguments);
    command.output().expect("coffer starts")
}

fn code(arguments: &[&str]) -> i32 {
    let output = coffer(arguments);
    output.status.code().expect("ended by itself")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// An address of this machine where nobody listens: the port was ours a moment ago.
fn dead_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

#[test]
fn every_command_has_a_help_text_with_its_options() {
    let commands = "init|serve|openapi|doctor|batch create|batch show|batch list|batch pause|batch resume\
        |batch cancel|batch results|wallet show|wallet list|wallet assign|wallet activate|wallet reject\
        |address lookup|key create|key list|key revoke|vault list|vault show|vault drill|vault gate\
        |vault allow-list show|vault allow-list add|vault allow-list remove|pool show|pool set|audit verify\
        |network list|network show|network add|network apply|network pause|network resume|asset list|asset show\
        |asset add|asset enable|asset disable|asset close-breaker";
    for command in commands.split('|') {
        let arguments: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let output = coffer(&arguments);
        assert_eq!(output.status.code(), Some(0), "{command}");
        let text = stdout(&output);
        for wanted in [
            "Usage: coffer",
            "--json",
            "--server <URL>",
            "--api-key <TOKEN>",
        ] {
            assert!(text.contains(wanted), "{command} lacks {wanted}:\n{text}");
        }
        let about = text.lines().next().unwrap_or_default();
        assert!(
            about.len() > 10 && !about.starts_with("Usage"),
            "{command}: {about:?}"
        );
    }
}

#[test]
fn the_options_of_issue_2_are_there() {
    let check = |command: &str, options: &str| {
        let arguments: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let text = stdout(&coffer(&arguments));
        for option in options.split(' ') {
            assert!(text.contains(option), "{command} lacks {option}");
        }
    };
    check("init", "--data-dir --import-mnemonic --passphrase-file");
    check(
        "serve",
        "--config --data-dir --listen --database-url --roles --passphrase-file",
    );
    check(
        "batch create",
        "--chains --format --vault --on-error --idempotency-key --wait --results",
    );
    check("batch results", "--format --output");
    check("vault drill", "--mnemonic-file --samples");
    check("audit verify", "--anchor");
}

#[test]
fn help_documents_every_exit_code() {
    let text = stdout(&coffer(&["--help"]));
    for code in ["0", "1", "2", "3", "4", "5", "6", "7", "130"] {
        assert!(
            text.contains(&format!("\n  {code:<3}  ")),
            "exit code {code}:\n{text}"
        );
    }
    assert!(text.contains("COFFER_API_KEY"));
    assert_eq!(code(&["--version"]), 0);
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for arguments in [
        &[][..],
        &["bathc"],
        &["batch"],
        &["batch", "show"],
        &["batch", "show", ".."],
        &["batch", "show", WALLET],
        &["batch", "create", "x.csv", "--chains", "dogecoin"],
        &["batch", "create", "x.csv", "--on-error", "ignore"],
        &["batch", "create", "x.csv", "--idempotency-key", "two words"],
        &["wallet", "show"],
        &["wallet", "show", WALLET, "--external-id", "c1"],
        &["wallet", "reject", WALLET],
        &["wallet", "assign", "c1", "--metadata", "[1]"],
        &["address", "lookup", "../keys"],
        &["key", "create", "ci"],
        &["vault", "gate", VAULT, "--mode", "hook"],
        &["vault", "drill", VAULT, "--samples", "0"],
        &["vault", "allow-list", "add", VAULT],
        &["pool", "set", VAULT, "--low", "5"],
        &["wallet", "list", "--server", "127.0.0.1:8420"],
        &["wallet", "list", "--server", "http://user:pw@127.0.0.1"],
        &["serve", "--listen", "here"],
        &["serve", "--roles", "miner"],
    ] {
        let output = coffer(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn an_unusable_file_ends_with_2_and_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let of = |name: &str| folder.path().join(name).display().to_string();
    fs::write(of("a.csv"), "external_id\nc1\n").expect("written");
    fs::write(of("b.csv.gz"), "external_id\nc1\n").expect("written");
    fs::write(of("c.table"), "external_id\nc1\n").expect("written");
    let (missing, sound) = (of("none.csv"), of("a.csv"));
    let nowhere = of("none/results.csv");
    let check = |arguments: &[&str], wanted: &str| {
        let output = coffer(arguments);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(wanted), "{arguments:?}: {text}");
        assert!(text.contains("\nnext:  "), "{arguments:?}: {text}");
    };
    check(&["batch", "create", &missing], "cannot read");
    check(
        &["batch", "create", &of("c.table")],
        "does not say by its name",
    );
    check(&["batch", "create", "-"], "does not say by its name");
    check(&["batch", "create", &of("")], "does not say by its name");
    check(
        &["batch", "create", &sound, "--results", &nowhere],
        "cannot write",
    );
    check(
        &["batch", "results", BATCH, "--output", &of("")],
        "cannot write",
    );
    check(
        &["wallet", "list", "--api-key-file", &missing],
        "cannot read",
    );
    check(&["wallet", "list", "--ca-file", &sound], "no certificate");
    check(
        &["pool", "set", VAULT, "--low", "9", "--high", "3"],
        "above the high one",
    );
    assert!(!Path::new(&nowhere).exists());
}

#[test]
fn a_server_that_is_not_there_ends_with_3() {
    let server = dead_server();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.csv").display().to_string();
    fs::write(&file, "external_id\nc1\n").expect("written");
    for arguments in [
        &["batch", "create", file.as_str(), "--patience", "0"][..],
        &["batch", "show", BATCH],
        &["batch", "list"],
        &["batch", "pause", BATCH],
        &["batch", "results", BATCH],
        &["wallet", "show", WALLET],
        &["wallet", "list", "--all"],
        &["wallet", "assign", "c1"],
        &["wallet", "activate", WALLET],
        &["wallet", "reject", WALLET, "--reason", "no"],
        &["address", "lookup", "0x00"],
        &["key", "create", "ci", "--scopes", "wallets:read"],
        &["key", "list"],
        &["vault", "list"],
        &["vault", "show", VAULT],
        &["vault", "drill", VAULT],
        &["vault", "gate", VAULT, "--mode", "manual"],
        &["vault", "allow-list", "show", VAULT],
        &["vault", "allow-list", "add", VAULT, "c1"],
        &["pool", "show", VAULT],
        &["audit", "verify"],
        &["doctor"],
    ] {
        let output = coffer(&[arguments, &["--server", &server]].concat());
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {text}");
        assert!(text.contains("coffer serve"), "{arguments:?}: {text}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn problems_are_json_when_json_is_asked_for() {
    let server = dead_server();
    let check = |arguments: &[&str], exit_code: i64, code: &str| {
        let output = coffer(arguments);
        assert_eq!(
            output.status.code().map(i64::from),
            Some(exit_code),
            "{arguments:?}"
        );
        assert!(output.stdout.is_empty(), "{arguments:?}");
        let problem: Value = serde_json::from_slice(&output.stderr).expect("one JSON document");
        assert_eq!(problem["code"], code);
        assert_eq!(problem["exit_code"], exit_code);
        for name in ["type", "title", "detail", "advice"] {
            assert!(
                problem[name].as_str().is_some_and(|text| !text.is_empty()),
                "{name}"
            );
        }
    };
    check(&["--json", "bathc"], 2, "usage");
    check(&["batch", "show", "x", "--json"], 2, "usage");
    let csv = ["batch", "results", BATCH, "--json", "--format", "csv"];
    check(&csv, 2, "usage");
    check(
        &["batch", "show", BATCH, "--json", "--server", &server],
        3,
        "unreachable",
    );
}

#[test]
fn an_upload_that_fails_gives_the_key_to_go_on_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.csv").display().to_string();
    fs::write(&file, "external_id\nc1\n").expect("written");
    let create = [
        "batch",
        "create",
        &file,
        "--patience",
        "0",
        "--server",
        &dead_server(),
    ];
    let text = stderr(&coffer(&create));
    let key = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("idempotency key: "));
    assert!(key.is_some_and(|key| key.len() == 36), "{text}");
}

#[test]
fn a_key_is_never_repeated() {
    let server = dead_server();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    fs::write(&file, format!("{SECRET}\n")).expect("written");
    let file = file.display().to_string();
    for arguments in [
        &["wallet", "list", "--api-key", SECRET][..],
        &["wallet", "list", "--api-key", SECRET, "--json"],
        &["wallet", "list", "--api-key-file", &file],
        &["wallet", "list", SECRET],
        &["wallet", "show", SECRET, "--json"],
    ] {
        let output = coffer(&[arguments, &["--server", &server]].concat());
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert!(!said.contains(&SECRET[5..40]), "{said}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    command.env_clear().env("COFFER_API_KEY", SECRET);
    let help = command
        .args(["wallet", "list", "--help"])
        .output()
        .expect("coffer starts");
    assert!(!stdout(&help).contains(&SECRET[5..40]));
}

#[test]
fn doctor_finds_unsafe_settings_of_a_folder_without_a_server() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display().to_string();
    let server = dead_server();
    let arguments = ["doctor", "--data-dir", &path, "--json", "--server", &server];

    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("set");
    let output = coffer(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["safe"], true);

    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("set");
    let output = coffer(&arguments);
    assert_eq!(output.status.code(), Some(7));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = answer["findings"].as_array().expect("a list");
    let found = findings
        .iter()
        .any(|finding| finding["check"] == "data-dir" && finding["level"] == "unsafe");
    assert!(found, "{findings:?}");
    let problem: Value = serde_json::from_slice(&output.stderr).expect("JSON");
    assert_eq!(problem["code"], "unsafe_settings");
}
