//! What runs on this machine instead of over HTTP: `init`, `serve` and `openapi`.
//!
//! This is the only place that knows `coffer_server`. It turns the command line into options, starts the
//! log and the runtime, and prints what came of it; everything else is the server's.

mod log;
mod seam;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use self::seam::{InitOptions, Initialized, ServeOptions};
use crate::Environment;
use crate::args::{InitArgs, ServeArgs};
use crate::error::Failure;
use crate::output::{Output, fields};

const SIGNER: &str = "coffer-signer";

pub(crate) fn init(args: InitArgs, environment: Environment, out: Output) -> Result<(), Failure> {
    let made = runtime()?.block_on(seam::init(InitOptions {
        data_dir: args.data_dir.clone(),
        import_mnemonic: args.import_mnemonic,
        passphrase_file: args.passphrase_file,
        database_url: args.database_url.or(environment.database_url),
        bitcoin_network: args.bitcoin_network,
        signer_program: signer_program(args.signer_program.as_deref()),
    }))?;
    out.answer(&as_json(&args.data_dir, &made), || {
        as_text(&args.data_dir, &made)
    })?;
    Ok(())
}

pub(crate) fn serve(args: ServeArgs, environment: Environment) -> Result<(), Failure> {
    let filter = args.log.or(environment.log);
    log::start(filter.as_deref().unwrap_or("info"), args.log_format)?;
    let options = ServeOptions {
        config: args.config,
        data_dir: args.data_dir,
        listen: args.listen,
        database_url: args.database_url.or(environment.database_url),
        roles: args.roles,
        passphrase_file: args.passphrase_file,
        signer_program: signer_program(args.signer_program.as_deref()),
    };
    Ok(runtime()?.block_on(seam::serve(options))?)
}

pub(crate) fn openapi(out: Output) -> Result<(), Failure> {
    Ok(out.line(seam::openapi_json()?.trim_end())?)
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
        "organization_id": made.organization_id,
        "vault_id": made.vault_id,
        "api_key": made.api_key,
        "recovery_file": made.recovery_file.as_ref().map(|file| file.display().to_string()),
        "passphrase_file": made.passphrase_file.as_ref().map(|file| file.display().to_string()),
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
        ("organization", made.organization_id.clone()),
        ("vault", made.vault_id.clone()),
        ("recovery file", path(&made.recovery_file)),
        ("passphrase file", path(&made.passphrase_file)),
        ("api key", made.api_key.clone()),
    ]);
    text.push_str("\nThe API key may do everything and is shown this once; keep it in a file that only you can read.\n");
    if made.recovery_file.is_some() {
        text.push_str("The recovery file is the only way to the keys when this machine is lost: move it to a safe place off this machine.\n");
    }
    if made.passphrase_file.is_some() {
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
    use super::*;

    fn made(recovery_file: Option<&str>) -> Initialized {
        Initialized {
            organization_id: "org_0".to_owned(),
            vault_id: "vlt_0".to_owned(),
            api_key: "cfr_0_0".to_owned(),
            recovery_file: recovery_file.map(PathBuf::from),
            passphrase_file: None,
        }
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
