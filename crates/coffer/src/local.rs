//! What runs on this machine instead of over HTTP: making an installation, serving it, printing the API's description.

use coffer_server::config::{Config, LogFormat as ConfiguredFormat, Role};
use coffer_server::{InitOptions, Initialized, ServeOptions};
use serde_json::json;
use tracing_subscriber::EnvFilter;

use crate::Environment;
use crate::args::{DATA_DIR, InitArgs, LogFormat, ServeArgs};
use crate::error::Failure;
use crate::output::Output;

pub(crate) fn init(
    args: &InitArgs,
    database_url: Option<String>,
    out: Output,
) -> Result<(), Failure> {
    let bitcoin_network = args.bitcoin_network.parse();
    let options = InitOptions {
        data_dir: args.data_dir.clone(),
        import_mnemonic: args.import_mnemonic.clone(),
        passphrase_file: args.passphrase_file.clone(),
        database_url: args.database_url.clone().or(database_url),
        bitcoin_network: bitcoin_network
            .map_err(|error| Failure::usage(format!("{error}"), "see `coffer init --help`"))?,
        signer_program: args.signer_program.clone(),
    };
    start_log("warn", ConfiguredFormat::Text)?;
    let made = runtime()?.block_on(coffer_server::init(options));
    let made = made.map_err(|error| failed(&error))?;
    out.answer(&description(&made), || told(&made, args))
        .map_err(Failure::from)
}

fn description(made: &Initialized) -> serde_json::Value {
    json!({
        "organization_id": made.organization_id.to_string(),
        "vault_id": made.vault_id.to_string(),
        "api_key": made.api_key.as_str(),
        "key_file": made.key_file,
        "recovery_file": made.recovery_file,
        "passphrase_file_written": made.passphrase_file_written,
        "drill": "passed",
    })
}

fn told(made: &Initialized, args: &InitArgs) -> String {
    let mut text = format!(
        "Made an installation in {}.\n\n  vault     {} (its restore drill has passed)\n  key file  {}\n  API key   {}\n\n\
         The API key is shown this once. Give it to client commands as COFFER_API_KEY.\n",
        args.data_dir.display(),
        made.vault_id,
        made.key_file.display(),
        made.api_key.as_str(),
    );
    if let Some(file) = &made.recovery_file {
        text.push_str(&format!(
            "The recovery words are in {}: write them down, keep them off this machine, and remove the file.\n",
            file.display()
        ));
    }
    if let Some(file) = &made.passphrase_file_written {
        text.push_str(&format!(
            "A random passphrase was written to {}: for production keep it elsewhere and name it with --passphrase-file.\n",
            file.display()
        ));
    }
    text.push_str(&format!(
        "\nNext: coffer serve --data-dir {}",
        args.data_dir.display()
    ));
    text
}

pub(crate) fn serve(args: ServeArgs, environment: Environment, out: Output) -> Result<(), Failure> {
    let mut config = Config::load(args.config.as_deref())
        .map_err(|error| Failure::usage(error.to_string(), "correct the file named by --config"))?;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    if !args.roles.is_empty() {
        config.server.roles = args.roles.iter().map(|name| role(name)).collect();
    }
    config.database.url = args
        .database_url
        .or(config.database.url)
        .or(environment.database_url);
    config.signer.passphrase_file = args.passphrase_file.or(config.signer.passphrase_file);
    config.signer.program = args.signer_program.or(config.signer.program);
    if let Some(filter) = args.log.or(environment.log) {
        config.log.filter = filter;
    }
    if args.log_format == LogFormat::Json {
        config.log.format = ConfiguredFormat::Json;
    }
    start_log(&config.log.filter, config.log.format)?;
    let data_dir = args.data_dir.unwrap_or_else(|| DATA_DIR.into());
    let options = ServeOptions {
        config,
        data_dir,
        json: out.is_json(),
    };
    runtime()?
        .block_on(coffer_server::serve(options))
        .map_err(|error| failed(&error))
}

/// The names that the command line lets through.
fn role(name: &str) -> Role {
    match name {
        "worker" => Role::Worker,
        _ => Role::Api,
    }
}

pub(crate) fn openapi(out: Output) -> Result<(), Failure> {
    out.line(&coffer_server::openapi_json())
        .map_err(Failure::from)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // Hooks are called over TLS; the provider is chosen once for the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Runtime::new().map_err(Failure::from)
}

/// Logs go to standard error; secrets have no form in which they could be logged.
fn start_log(filter: &str, format: ConfiguredFormat) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::usage(
            format!("the log filter {filter:?} cannot be read: {error}"),
            "use a form such as info or coffer_platform=debug,warn",
        )
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        ConfiguredFormat::Json => log.json().init(),
        ConfiguredFormat::Text => log.init(),
    }
    Ok(())
}

/// The causes in a row, each of which says more than the one before.
fn failed(error: &anyhow::Error) -> Failure {
    Failure::unexpected(
        format!("{error:#}"),
        "look at the messages above; `coffer doctor` checks the settings",
    )
}
