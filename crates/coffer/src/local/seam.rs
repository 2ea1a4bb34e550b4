//! Stands for `coffer_server` until its `init`, `serve` and `openapi_json` are linked: then this file
//! becomes one `use`. Its types are what the command line can say and what it prints.

use std::net::SocketAddr;
use std::path::PathBuf;

#[expect(dead_code, reason = "read by coffer_server, which is not linked yet")]
pub(super) struct InitOptions {
    pub data_dir: PathBuf,
    pub import_mnemonic: Option<PathBuf>,
    pub passphrase_file: Option<PathBuf>,
    pub database_url: Option<String>,
    /// mainnet, testnet, signet or regtest.
    pub bitcoin_network: String,
    pub signer_program: PathBuf,
}

pub(super) struct Initialized {
    pub organization_id: String,
    pub vault_id: String,
    /// The admin key; nobody can read it again.
    pub api_key: String,
    /// `None` on import.
    pub recovery_file: Option<PathBuf>,
    /// Only when a passphrase was made up.
    pub passphrase_file: Option<PathBuf>,
}

/// `None` and empty: as the configuration file says, else the default.
#[expect(dead_code, reason = "read by coffer_server, which is not linked yet")]
pub(super) struct ServeOptions {
    pub config: Option<PathBuf>,
    pub data_dir: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
    pub database_url: Option<String>,
    pub roles: Vec<String>,
    pub passphrase_file: Option<PathBuf>,
    pub signer_program: PathBuf,
}

pub(super) async fn init(_options: InitOptions) -> anyhow::Result<Initialized> {
    Err(absent())
}

/// Returns after SIGTERM or SIGINT, when what was in hand is done.
pub(super) async fn serve(_options: ServeOptions) -> anyhow::Result<()> {
    Err(absent())
}

pub(super) fn openapi_json() -> anyhow::Result<String> {
    Err(absent())
}

fn absent() -> anyhow::Error {
    anyhow::anyhow!("this build does not hold the server")
}
