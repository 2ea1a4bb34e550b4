//! The command line: names and forms of every command, nothing of what they do.

mod batch;
mod broker;
mod deposit;
mod events;
mod ledger;
mod local;
mod network;
mod objects;
mod page;
mod reconcile;
mod values;
mod vault;
mod webhook;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use reqwest::Url;

pub(crate) use self::batch::{
    BatchCommand, BatchListArgs, CreateArgs, ResultsArgs, ResultsFormat, UploadFormat,
};
pub(crate) use self::broker::{SinkCommand, SourceCommand};
pub(crate) use self::deposit::{
    DepositCommand, DepositDecisionArgs, DepositListArgs, UnconfirmedListArgs,
};
pub(crate) use self::events::{EventFilterArgs, EventsCommand, ReplayArgs, TailArgs};
pub(crate) use self::ledger::{LedgerBalancesArgs, LedgerCommand, LedgerFilterArgs};
pub(crate) use self::local::{DATA_DIR, DoctorArgs, InitArgs, ServeArgs};
pub(crate) use self::network::{AssetAddArgs, AssetCommand, NetworkAddArgs, NetworkCommand};
pub(crate) use self::objects::{
    AddressCommand, AssignArgs, AuditCommand, CheckProofArgs, KeyCommand, ListArgs, VerifyArgs,
    WalletCommand, WalletShowArgs,
};
pub(crate) use self::page::PageArgs;
pub(crate) use self::reconcile::{ReconcileCommand, ReconcileListArgs};
pub(crate) use self::vault::{
    AllowListChange, AllowListCommand, DrillArgs, PoolCommand, VaultCommand,
};
pub(crate) use self::webhook::{
    WebhookCommand, WebhookCreateArgs, WebhookDeliveriesArgs, WebhookListenArgs,
    WebhookRedeliverArgs, WebhookSetArgs,
};

/// A self-hosted wallet platform: wallets by the million, from a file to sealed, audited addresses.
#[derive(Parser)]
#[command(name = "coffer", version, after_help = crate::error::EXIT_CODES, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Args)]
pub(crate) struct Global {
    /// The Coffer server that client commands talk to.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:8420",
        value_parser = values::server_url,
        help_heading = "Connection"
    )]
    pub server: Url,
    /// The API key itself; other users of this machine may see it in the list of processes.
    #[arg(long, global = true, value_name = "TOKEN", help_heading = "Connection")]
    pub api_key: Option<String>,
    /// A file that holds the API key.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub api_key_file: Option<PathBuf>,
    /// Certificates (PEM) to trust for https instead of the system's.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub ca_file: Option<PathBuf>,
    /// Answer in JSON on standard output, and report problems in JSON on standard error.
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a data folder: database, encrypted key file, first vault, admin API key.
    Init(InitArgs),
    /// Run the server.
    Serve(ServeArgs),
    /// Make many wallets from a file, and follow and collect the work.
    #[command(subcommand)]
    Batch(BatchCommand),
    /// Look at wallets, make one, decide about one.
    #[command(subcommand)]
    Wallet(WalletCommand),
    /// Find the wallet behind an address.
    #[command(subcommand)]
    Address(AddressCommand),
    /// API keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Vaults: their gate, allow-list and restore drill.
    #[command(subcommand)]
    Vault(VaultCommand),
    /// How many addresses a vault keeps ready.
    #[command(subcommand)]
    Pool(PoolCommand),
    /// Chains that are watched, and their nodes.
    #[command(subcommand)]
    Network(NetworkCommand),
    /// The allow-list of assets; nothing else is credited.
    #[command(subcommand)]
    Asset(AssetCommand),
    /// Look at deposits, and decide about held ones.
    #[command(subcommand)]
    Deposit(DepositCommand),
    /// Does the ledger equal the chain?
    #[command(subcommand)]
    Reconcile(ReconcileCommand),
    /// The double-entry ledger: accounts, entries, balances at any moment, and its proof.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Message brokers that events go to.
    #[command(subcommand)]
    Sink(SinkCommand),
    /// Message brokers that work comes from.
    #[command(subcommand)]
    Source(SourceCommand),
    /// What other systems are told: follow it, or print what was.
    #[command(subcommand)]
    Events(EventsCommand),
    /// Events sent to your URLs, signed; and a receiver to try them with.
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// The audit chain.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look for unsafe settings, here and in the server.
    Doctor(DoctorArgs),
    /// Print the OpenAPI document of the HTTP API.
    Openapi,
}
