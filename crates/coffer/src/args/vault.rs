use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values;

#[derive(Subcommand)]
pub(crate) enum VaultCommand {
    /// List vaults.
    List,
    /// Show one vault.
    Show {
        #[arg(value_name = "ID", value_parser = values::vault_id)]
        id: String,
    },
    /// Prove that the vault's backup gives its keys and a sample of its addresses again.
    Drill(DrillArgs),
    /// Choose who decides that a new wallet becomes active.
    Gate {
        #[arg(value_name = "ID", value_parser = values::vault_id)]
        id: String,
        #[arg(long, value_parser = ["automatic", "allow-list", "manual", "hook"])]
        mode: String,
        /// Where the customer-check service is asked; with --mode hook.
        #[arg(long, value_name = "URL", required_if_eq("mode", "hook"))]
        hook_url: Option<String>,
    },
    /// The external ids that the allow-list gate lets through.
    #[command(subcommand)]
    AllowList(AllowListCommand),
}

#[derive(Args)]
pub(crate) struct DrillArgs {
    #[arg(value_name = "ID", value_parser = values::vault_id)]
    pub id: String,
    /// The backup; without it coffer-signer asks for it on the terminal. Read by coffer-signer alone.
    #[arg(long, value_name = "FILE")]
    pub mnemonic_file: Option<PathBuf>,
    /// How many issued addresses to compare.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub samples: Option<u32>,
    /// The coffer-signer program [default: beside this one, else from PATH].
    #[arg(long, value_name = "FILE")]
    pub signer_program: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum AllowListCommand {
    /// Print the list.
    Show {
        #[arg(value_name = "ID", value_parser = values::vault_id)]
        id: String,
    },
    /// Add external ids; pending wallets among them become active.
    Add(AllowListChange),
    /// Take external ids off; wallets that are active stay so.
    Remove(AllowListChange),
}

#[derive(Args)]
pub(crate) struct AllowListChange {
    #[arg(value_name = "ID", value_parser = values::vault_id)]
    pub id: String,
    #[arg(value_name = "EXTERNAL_ID", required_unless_present = "file")]
    pub external_ids: Vec<String>,
    /// A file with one external id a line; - reads standard input.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum PoolCommand {
    /// Show a vault's watermarks and how many addresses are ready.
    Show {
        #[arg(value_name = "VAULT", value_parser = values::vault_id)]
        vault: String,
    },
    /// Set the watermarks: below LOW the pool is filled up to HIGH.
    Set {
        #[arg(value_name = "VAULT", value_parser = values::vault_id)]
        vault: String,
        #[arg(long)]
        low: u32,
        #[arg(long)]
        high: u32,
    },
}
