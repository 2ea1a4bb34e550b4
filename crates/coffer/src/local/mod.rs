//! What runs on this machine instead of over HTTP: `init`, `serve` and `openapi`.
//!
//! This is the only place that knows `coffer_server`. It turns the command line into options, starts the
//! log and the runtime, and prints what came of it; everything else is the server's.

mod log;

use std::path::{Path, PathBuf};

use coffer_server::config::{Config, LogFormat, Role};
use coffer_server::{Announce, InitOptions, Initialized, ServeOptions};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::Environment;
use crate::args::{DATA_DIR, InitArgs, ServeArgs};
use crate::client;
use crate::error::Failure;
use crate::output::{Output, fields};

const SIGNER: &str = "coffer-signer";

pub(crate) fn init(args: InitArgs, environment: Environment, out: Output) -> Result<(), Failure> {
    log::start(
        environment.log.as_deref().unwrap_or("warn"),
        LogFormat::Text,
    )?;
    let bitcoin_network = args.bitcoin_network.parse();
    let options = InitOptions {
        data_dir: args.data_dir.clone(),
        import_mnemonic: args.import_mnemonic,
        passphrase_file: args.passphrase_file,
        database_url: args.database_url.or(environment.database_url),
        bitcoin_network: bitcoin_network.map_err(|error| Failure::usage(format!("{error}"), ""))?,
        signer_program: Some(signer_program(args.signer_program.as_deref())),
    };
    let made = runtime()?.block_on(coffer_server::init(options))?;
    out.answer(&as_json(&args.data_dir, &made), || {
        as_text(&args.data_dir, &made)
    })?;
    Ok(())
}

/// Says where it listens in one line on standard output, and returns when it was told to stop.
pub(crate) fn serve(args: ServeArgs, environment: Environment, out: Output) -> Result<(), Failure> {
    let data_dir = args
        .data_dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(DATA_DIR));
    let config = configure(args, environment)?;
    log::start(&config.log.filter, config.log.format)?;
    client::install_cryptography();
    let options = ServeOptions {
        config,
        data_dir,
        announce: if out.is_json() {
            Announce::Json
        } else {
            Announce::Text
        },
    };
    let runtime = runtime()?;
    let served = runtime.block_on(coffer_server::serve(options));
    // What still runs in the background was given its time; a call to the signer may block for longer.
    runtime.shutdown_background();
    Ok(served?)
}

/// The configuration file, over it the environment, over it the command line.
fn configure(args: ServeArgs, environment: Environment) -> Result<Config, Failure> {
    let mut config = Config::load(args.config.as_deref()).map_err(|error| {
        Failure::usage(
            error.to_string(),
            "correct the file, or leave --config out for the defaults",
        )
    })?;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    if !args.roles.is_empty() {
        let has = |name: &str| args.roles.iter().any(|role| role == name);
        let roles = [
            ("api", Role::Api),
            ("worker", Role::Worker),
            ("watcher", Role::Watcher),
            ("notifier", Role::Notifier),
        ];
        let chosen = roles.into_iter().filter(|(name, _)| has(name));
        config.server.roles = chosen.map(|(_, role)| role).collect();
    }
    if let Some(url) = args.database_url.or(environment.database_url) {
        config.database.url = Some(url);
    }
    if let Some(file) = args.passphrase_file {
        config.signer.passphrase_file = Some(file);
    }
    if args.signer_program.is_some() {
        config.signer.program = args.signer_program;
    }
    if let Some(filter) = args.log.or(environment.log) {
        config.log.filter = filter;
    }
    if let Some(format) = args.log_format {
        config.log.format = format.into();
    }
    Ok(config)
}

pub(crate) fn openapi(out: Output) -> Result<(), Failure> {
    Ok(out.line(coffer_server::openapi_json().trim_end())?)
}

/// The named one, else the one beside this program, else whatever PATH finds.
pub(crate) fn signer_program(named: Option<&Path>) -> PathBuf {
    if let Some(named) = named {
        return named.to_owned();
    }
    let own = std::env::current_exe().ok();
    let beside = own.and_then(|own| Some(own.parent()?.join(SIGNER)));
    let beside = beside.filter(|path| path.is_file());
    beside.unwrap_or_else(|| PathBuf::from(SIGNER))
}

fn runtime() -> Result<Runtime, Failure> {
    // The database, its log and the anchor are for this user alone, whatever the shell's habit is.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.map_err(|error| {
        Failure::unexpected(
            format!("cannot start threads: {error}"),
            "raise the limit of processes (ulimit -u) and try again",
        )
    })
}

fn as_json(data_dir: &Path, made: &Initialized) -> Value {
    json!({
        "data_dir": data_dir.display().to_string(),
        "organization_id": made.organization_id.to_string(),
        "vault_id": made.vault_id.to_string(),
        "api_key": made.api_key.as_str(),
        "key_file": made.key_file.display().to_string(),
        "recovery_file": made.recovery_file.as_ref().map(|file| file.display().to_string()),
        "passphrase_file": made.passphrase_file_written.as_ref().map(|file| file.display().to_string()),
    })
}

fn as_text(data_dir: &Path, made: &Initialized) -> String {
    let path = |path: &Option<PathBuf>| {
        let path = path.as_ref();
        path.map(|path| path.display().to_string())
            .unwrap_or_default()
    };
    let mut text = fields(&[
        ("data folder", data_dir.display().to_string()),
        ("organization", made.organization_id.to_string()),
        ("vault", made.vault_id.to_string()),
        ("key file", made.key_file.display().to_string()),
        ("recovery file", path(&made.recovery_file)),
        ("passphrase file", path(&made.passphrase_file_written)),
        ("api key", made.api_key.to_string()),
    ]);
    text.push_str("\nThe API key may do everything and is shown this once; keep it in a file that only you can read.\n");
    if made.recovery_file.is_some() {
        text.push_str("The recovery file is the only way to the keys when this machine is lost: move it to a safe place off this machine.\n");
    }
    if made.passphrase_file_written.is_some() {
        text.push_str("WARNING: the passphrase was made up and lies beside the key file; whoever copies the folder has the keys.\n");
    }
    text.push_str(&format!(
        "\nnext:  coffer serve --data-dir {}\n",
        data_dir.display()
    ));
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn made(recovery_file: Option<&str>) -> Initialized {
        let organization = format!("org_{}", "0".repeat(32));
        let vault = format!("vlt_{}", "0".repeat(32));
        Initialized {
            organization_id: organization.parse().expect("an id"),
            vault_id: vault.parse().expect("an id"),
            api_key: "cfr_0_0".to_owned().into(),
            key_file: PathBuf::from("d/keys/vault.key"),
            recovery_file: recovery_file.map(PathBuf::from),
            passphrase_file_written: None,
        }
    }

    fn serve_args(arguments: &[&str]) -> ServeArgs {
        let start = ["coffer", "serve"].iter().chain(arguments);
        match Cli::parse_from(start).command {
            Command::Serve(args) => args,
            _ => unreachable!("serve was asked for"),
        }
    }

    #[test]
    fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("coffer.toml");
        let text = "[server]\nlisten = \"127.0.0.1:1\"\n[database]\nurl = \"sqlite:file\"\n[log]\nfilter = \"warn\"\n";
        std::fs::write(&file, text).expect("written");
        let file = file.display().to_string();
        let environment = || Environment {
            database_url: Some("sqlite:environment".to_owned()),
            ..Environment::default()
        };
        let of = |arguments: &[&str], environment| {
            let arguments = [&["--config", file.as_str()], arguments].concat();
            configure(serve_args(&arguments), environment).expect("a configuration")
        };
        let config = of(&[], Environment::default());
        assert_eq!(config.server.listen.port(), 1);
        assert_eq!(config.database.url.as_deref(), Some("sqlite:file"));
        assert_eq!(config.log.filter, "warn");
        let config = of(&["--roles", "worker"], environment());
        assert_eq!(config.database.url.as_deref(), Some("sqlite:environment"));
        assert_eq!(config.server.roles, [Role::Worker]);
        let arguments = [
            "--listen",
            "[::1]:2",
            "--database-url",
            "sqlite:line",
            "--log-format",
            "json",
        ];
        let config = of(&arguments, environment());
        assert_eq!(config.server.listen.port(), 2);
        assert_eq!(config.database.url.as_deref(), Some("sqlite:line"));
        assert_eq!(config.log.format, LogFormat::Json);
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_a_usage_error() {
        let missing = serve_args(&["--config", "/nonexistent/coffer.toml"]);
        let failure = configure(missing, Environment::default()).expect_err("refused");
        assert_eq!(failure.exit_code(), 2);
    }

    #[test]
    fn the_named_signer_wins() {
        let named = Path::new("/nowhere/signer");
        assert_eq!(signer_program(Some(named)), named);
        assert!(signer_program(None).ends_with(SIGNER));
    }

    #[test]
    fn what_init_made_is_said_with_what_to_do_about_it() {
        let made_new = made(Some("d/recovery/vlt_0.mnemonic"));
        let text = as_text(Path::new("d"), &made_new);
        assert!(
            text.contains("cfr_0_0") && text.contains("off this machine"),
            "{text}"
        );
        assert!(text.contains("coffer serve --data-dir d"), "{text}");
        assert!(!as_text(Path::new("d"), &made(None)).contains("recovery"));
        let json = as_json(Path::new("d"), &made_new);
        assert_eq!(json["api_key"], "cfr_0_0");
        assert_eq!(json["passphrase_file"], Value::Null);
    }
}
