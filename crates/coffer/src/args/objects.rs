use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::page::PageArgs;
use super::values;

#[derive(Subcommand)]
pub(crate) enum WalletCommand {
    /// Show one wallet, by its id or by your own id of the customer.
    Show(WalletShowArgs),
    /// List wallets.
    List(ListArgs),
    /// Show what a wallet has, by the ledger and on the chain.
    Balances {
        #[arg(value_name = "ID", value_parser = values::wallet_id)]
        id: String,
    },
    /// Make wallets, at once, from the vault's pool of ready addresses: for one customer, or for up to 1,000.
    Assign(AssignArgs),
    /// Let a pending wallet show its addresses.
    Activate {
        #[arg(value_name = "ID", value_parser = values::wallet_id)]
        id: String,
        /// Kept in the audit chain.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Refuse a pending wallet for good.
    Reject {
        #[arg(value_name = "ID", value_parser = values::wallet_id)]
        id: String,
        /// Kept in the audit chain.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WalletShowArgs {
    #[arg(value_name = "ID", value_parser = values::wallet_id)]
    pub id: Option<String>,
    #[arg(long, value_name = "TEXT")]
    pub external_id: Option<String>,
}

#[derive(Args)]
pub(crate) struct ListArgs {
    #[arg(long, value_name = "TEXT")]
    pub external_id: Option<String>,
    /// pending, active or rejected.
    #[arg(long)]
    pub state: Option<String>,
    #[arg(long, value_name = "ID", value_parser = values::vault_id)]
    pub vault: Option<String>,
    #[command(flatten)]
    pub page: PageArgs,
}

#[derive(Args)]
pub(crate) struct AssignArgs {
    /// Your own ids of the customers; unique. Asking again gives the same wallets.
    #[arg(value_name = "EXTERNAL_ID", num_args = 1.., required_unless_present = "file", conflicts_with = "file")]
    pub external_ids: Vec<String>,
    /// A file of external ids, one a line; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// For one customer.
    #[arg(long)]
    pub label: Option<String>,
    /// A JSON object kept with the wallet; for one customer.
    #[arg(long, value_name = "JSON", value_parser = values::json_object)]
    pub metadata: Option<serde_json::Value>,
    #[arg(long, value_name = "ID", value_parser = values::vault_id)]
    pub vault: Option<String>,
    #[arg(long, value_delimiter = ',', value_parser = values::CHAINS)]
    pub chains: Vec<String>,
    #[arg(long, value_name = "KEY", value_parser = values::idempotency_key)]
    pub idempotency_key: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum AddressCommand {
    /// Show the wallet that an address belongs to.
    Lookup {
        #[arg(value_name = "ADDRESS", value_parser = values::address)]
        address: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Make an API key. It is shown once.
    Create {
        #[arg(value_name = "NAME")]
        name: String,
        /// What it may do, parted by commas, such as batches:write,wallets:read.
        #[arg(long, value_delimiter = ',', required = true)]
        scopes: Vec<String>,
        #[arg(long, value_name = "DAYS")]
        expires_in_days: Option<u32>,
    },
    /// List API keys, without the keys themselves.
    List,
    /// End an API key at once.
    Revoke {
        #[arg(value_name = "ID", value_parser = values::key_id)]
        id: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Recompute the whole audit chain here, from its first record to its head.
    Verify(VerifyArgs),
    /// Print the proof that an audit record created a wallet, to be kept or handed on.
    Prove {
        #[arg(value_name = "ID", value_parser = values::wallet_id)]
        id: String,
    },
    /// Check such a proof here, against anchors of your own; no server is asked.
    CheckProof(CheckProofArgs),
}

#[derive(Args)]
pub(crate) struct CheckProofArgs {
    /// What `coffer audit prove` printed.
    #[arg(value_name = "FILE")]
    pub proof: PathBuf,
    /// A file of anchors kept apart from the database.
    #[arg(long, value_name = "FILE")]
    pub anchor: PathBuf,
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// A file of anchors kept apart from the database; without one, a cut tail cannot be seen.
    #[arg(long, value_name = "FILE")]
    pub anchor: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::Cli;

    #[test]
    fn customers_are_named_or_come_from_a_file() {
        let check = |words: &[&str], good: bool| {
            let words = ["coffer", "wallet", "assign"].iter().chain(words);
            assert_eq!(Cli::try_parse_from(words).is_ok(), good);
        };
        check(&["a", "--label", "One", "--chains", "evm"], true);
        check(&["a", "b"], true);
        check(&["--file", "customers"], true);
        check(&["a", "--file", "customers"], false);
        check(&[], false);
    }
}
