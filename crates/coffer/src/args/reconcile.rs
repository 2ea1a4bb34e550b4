use clap::{Args, Subcommand};

use super::page::PageArgs;
use super::values;

#[derive(Subcommand)]
pub(crate) enum ReconcileCommand {
    /// Compare ledger and chain now, at the last block taken.
    Run {
        #[arg(value_name = "NETWORK", value_parser = values::network_id)]
        network: String,
    },
    /// List comparisons, the newest first.
    List(ReconcileListArgs),
    /// Show one comparison, with the addresses that differ.
    Show {
        #[arg(value_name = "ID", value_parser = values::reconciliation_id)]
        id: String,
    },
}

#[derive(Args)]
pub(crate) struct ReconcileListArgs {
    #[arg(long, value_name = "ID", value_parser = values::network_id)]
    pub network: Option<String>,
    #[arg(long, value_name = "ID", value_parser = values::asset_id)]
    pub asset: Option<String>,
    /// matched or drift.
    #[arg(long, value_parser = ["matched", "drift"])]
    pub state: Option<String>,
    #[command(flatten)]
    pub page: PageArgs,
}
