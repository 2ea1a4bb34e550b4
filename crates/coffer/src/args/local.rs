use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Where everything is unless told otherwise.
pub(crate) const DATA_DIR: &str = "coffer-data";

#[derive(Args)]
pub(crate) struct InitArgs {
    /// The folder to make; its parent must exist.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    pub data_dir: PathBuf,
    /// A file with a BIP-39 mnemonic to use instead of a new one. Read by coffer-signer alone.
    #[arg(long, value_name = "FILE")]
    pub import_mnemonic: Option<PathBuf>,
    /// A file with the passphrase of the key file; without it the terminal is asked.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// sqlite: or postgres: address of the database [default: COFFER_DATABASE_URL, else a SQLite file
    /// in the data folder].
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// The Bitcoin network of the first vault.
    #[arg(long, value_name = "NETWORK", default_value = "mainnet",
        value_parser = ["mainnet", "testnet", "signet", "regtest"])]
    pub bitcoin_network: String,
    /// The coffer-signer program [default: beside this one, else from PATH].
    #[arg(long, value_name = "FILE")]
    pub signer_program: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ServeArgs {
    /// A TOML file of settings; options given here win over it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder that `coffer init` made [default: coffer-data].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:8420].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// sqlite: or postgres: address of the database [default: COFFER_DATABASE_URL, else a SQLite file
    /// in the data folder].
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// What this process does [default: api,worker,watcher,notifier].
    #[arg(long, value_delimiter = ',', value_parser = ["api", "worker", "watcher", "notifier"])]
    pub roles: Vec<String>,
    /// A file with the passphrase of the key file.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// The coffer-signer program [default: beside this one, else from PATH].
    #[arg(long, value_name = "FILE")]
    pub signer_program: Option<PathBuf>,
    /// What to log, such as info or coffer_platform=debug [default: info, or COFFER_LOG].
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// [default: text]
    #[arg(long)]
    pub log_format: Option<LogForm>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogForm {
    Text,
    Json,
}

#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// Also look into this data folder; on the machine that holds it.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

impl From<LogForm> for coffer_server::config::LogFormat {
    fn from(form: LogForm) -> Self {
        match form {
            LogForm::Text => Self::Text,
            LogForm::Json => Self::Json,
        }
    }
}
