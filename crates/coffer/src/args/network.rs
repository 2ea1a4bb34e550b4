use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values;

#[derive(Subcommand)]
pub(crate) enum NetworkCommand {
    /// List networks.
    List,
    /// Show one network: its progress, its nodes, its coverage.
    Show {
        #[arg(value_name = "ID", value_parser = values::network_id)]
        id: String,
    },
    /// Add a network; its nodes are asked for chain and genesis block first.
    Add(NetworkAddArgs),
    /// Bring networks and assets to what a file says: adds, updates, deletes nothing.
    Apply {
        /// TOML; examples/networks.toml explains it.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Take no block until it is resumed.
    Pause {
        #[arg(value_name = "ID", value_parser = values::network_id)]
        id: String,
        /// Kept in the audit chain.
        #[arg(long)]
        reason: String,
    },
    /// Resume a paused network; a frozen one needs this twice, with two API keys.
    Resume {
        #[arg(value_name = "ID", value_parser = values::network_id)]
        id: String,
    },
}

#[derive(Args)]
pub(crate) struct NetworkAddArgs {
    /// CAIP-2, such as eip155:1.
    #[arg(long, value_name = "CHAIN")]
    pub chain: String,
    #[arg(long)]
    pub name: String,
    /// A node's URL; once per node. {secret:NAME} stands for a file in the server's data folder.
    #[arg(long = "node", value_name = "URL", required = true)]
    pub nodes: Vec<String>,
    /// Nodes that must agree [default: the smallest majority].
    #[arg(long, value_name = "K")]
    pub quorum: Option<u32>,
    /// Confirmations until a deposit is credited.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub confirmations: u32,
    /// Blocks until one is final [default: the nodes' own finalized tag].
    #[arg(long, value_name = "BLOCKS", value_parser = clap::value_parser!(u32).range(1..))]
    pub finality_depth: Option<u32>,
    /// The first block that is looked at.
    #[arg(long, value_name = "HEIGHT")]
    pub start_height: u64,
    /// Hash of the genesis block [default: learned from the nodes].
    #[arg(long, value_name = "HASH")]
    pub genesis: Option<String>,
    #[arg(long, value_name = "MS")]
    pub poll_interval_ms: Option<u32>,
}

#[derive(Subcommand)]
pub(crate) enum AssetCommand {
    /// List the allow-list of assets.
    List {
        #[arg(long, value_name = "ID", value_parser = values::network_id)]
        network: Option<String>,
    },
    /// Show one asset.
    Show {
        #[arg(value_name = "ID", value_parser = values::asset_id)]
        id: String,
    },
    /// Put an asset on the allow-list.
    Add(AssetAddArgs),
    /// Look for its deposits again.
    Enable {
        #[arg(value_name = "ID", value_parser = values::asset_id)]
        id: String,
    },
    /// Look for no new deposits.
    Disable {
        #[arg(value_name = "ID", value_parser = values::asset_id)]
        id: String,
        /// Kept in the audit chain.
        #[arg(long)]
        reason: String,
    },
    /// Credit deposits again after a reconciliation found a difference.
    CloseBreaker {
        #[arg(value_name = "ID", value_parser = values::asset_id)]
        id: String,
        /// Kept in the audit chain.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Args)]
pub(crate) struct AssetAddArgs {
    #[arg(long, value_name = "ID", value_parser = values::network_id)]
    pub network: String,
    /// CAIP-19, such as eip155:1/slip44:60 or eip155:1/erc20:0x…
    #[arg(long)]
    pub name: String,
    #[arg(long)]
    pub symbol: String,
    /// Compared with what the contract says.
    #[arg(long)]
    pub decimals: u8,
    /// A smaller deposit is rejected; in the asset's decimals.
    #[arg(long, value_name = "AMOUNT")]
    pub deposit_minimum: Option<String>,
}
