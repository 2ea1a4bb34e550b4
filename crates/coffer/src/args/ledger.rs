use clap::{Args, Subcommand};

use super::page::PageArgs;
use super::values;

#[derive(Subcommand)]
pub(crate) enum LedgerCommand {
    /// List accounts and their balances.
    Accounts(LedgerAccountsArgs),
    /// List transactions, the oldest first.
    Transactions(PageArgs),
    /// List an account's entries, the oldest first.
    Entries {
        #[arg(value_name = "ACCOUNT", value_parser = values::ledger_account_id)]
        account: String,
        #[command(flatten)]
        page: PageArgs,
    },
    /// The trial balance, now or at any moment before.
    Balances(LedgerBalancesArgs),
    /// An account's statement as CSV, on standard output.
    Statement {
        #[arg(value_name = "ACCOUNT", value_parser = values::ledger_account_id)]
        account: String,
        /// The first moment, such as 2026-11-22T17:00:00Z [default: the beginning].
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// The last moment [default: now].
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
    },
    /// Have the server prove the whole ledger; ends with status 5 if it is not sound.
    Verify,
}

#[derive(Args)]
pub(crate) struct LedgerFilterArgs {
    #[arg(long, value_name = "ID", value_parser = values::asset_id)]
    pub asset: Option<String>,
    /// What the account stands for.
    #[arg(long, value_parser = ["custody", "customer", "suspense", "reversal_due", "holding", "adjustment"])]
    pub kind: Option<String>,
    #[arg(long, value_name = "ID", value_parser = values::wallet_id)]
    pub wallet: Option<String>,
}

#[derive(Args)]
pub(crate) struct LedgerAccountsArgs {
    #[command(flatten)]
    pub filter: LedgerFilterArgs,
    #[command(flatten)]
    pub page: PageArgs,
}

#[derive(Args)]
pub(crate) struct LedgerBalancesArgs {
    /// A moment, such as 2026-11-22T17:00:00Z [default: now].
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    #[command(flatten)]
    pub filter: LedgerFilterArgs,
}
