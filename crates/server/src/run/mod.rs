//! Running an installation: making its data folder, starting its parts, stopping them in order.
//!
//! A data folder holds `coffer.db` (SQLite, unless another database is named), `keys/vault.key` (encrypted),
//! `recovery/<vault id>.mnemonic` (to be moved away), `passphrase` (only when `init` had none and no terminal),
//! `bootstrap.json` (what an empty database needs; no secret), `audit.anchor`, `instance` and `secrets/` (keys of
//! node providers, one file each). This process reads none of the key file, the mnemonic or the passphrase: it
//! hands their paths to the signer.

mod files;
mod init;
mod serve;
mod signer_process;
mod sources;

pub use files::DataDir;
pub use init::{InitOptions, Initialized, init};
pub use serve::{Announce, ServeOptions, serve, serve_until};
