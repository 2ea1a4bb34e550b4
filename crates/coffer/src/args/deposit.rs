use clap::{Args, Subcommand};

use super::page::PageArgs;
use super::values;

#[derive(Subcommand)]
pub(crate) enum DepositCommand {
    /// List deposits, the latest first.
    List(DepositListArgs),
    /// List payments that no block has yet, and what became of those of the last 14 days.
    Unconfirmed(UnconfirmedListArgs),
    /// Show one deposit, or the payment that will be one.
    Show {
        #[arg(value_name = "ID", value_parser = values::deposit_id)]
        id: String,
    },
    /// Credit a held deposit.
    Release(DepositDecisionArgs),
    /// Refuse a held deposit for good.
    Reject(DepositDecisionArgs),
}

#[derive(Args)]
pub(crate) struct DepositListArgs {
    #[arg(long, value_name = "ID", value_parser = values::network_id)]
    pub network: Option<String>,
    #[arg(long, value_name = "ID", value_parser = values::asset_id)]
    pub asset: Option<String>,
    #[arg(long, value_name = "ID", value_parser = values::wallet_id)]
    pub wallet: Option<String>,
    #[arg(long, value_parser = ["detected", "confirmed", "finalized", "retracted", "rejected", "held"])]
    pub state: Option<String>,
    #[command(flatten)]
    pub page: PageArgs,
}

#[derive(Args)]
pub(crate) struct UnconfirmedListArgs {
    #[arg(long, value_name = "ID", value_parser = values::network_id)]
    pub network: Option<String>,
    #[arg(long, value_name = "ID", value_parser = values::asset_id)]
    pub asset: Option<String>,
    #[arg(long, value_name = "ID", value_parser = values::wallet_id)]
    pub wallet: Option<String>,
    #[arg(long, value_parser = ["detected", "included", "replaced", "double_spent", "evicted"])]
    pub state: Option<String>,
    #[command(flatten)]
    pub page: PageArgs,
}

#[derive(Args)]
pub(crate) struct DepositDecisionArgs {
    #[arg(value_name = "ID", value_parser = values::deposit_id)]
    pub id: String,
    /// Kept in the audit chain.
    #[arg(long)]
    pub reason: String,
    #[arg(long, value_name = "KEY", value_parser = values::idempotency_key)]
    pub idempotency_key: Option<String>,
}
