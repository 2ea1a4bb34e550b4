use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::page::PageArgs;
use super::values;

#[derive(Subcommand)]
pub(crate) enum WebhookCommand {
    /// Have events sent to a URL; prints the secret that signs them, once.
    Create(WebhookCreateArgs),
    /// List webhooks.
    List,
    /// Show one webhook and how far it is.
    Show {
        #[arg(value_name = "ID", value_parser = values::webhook_id)]
        id: String,
    },
    /// Change a webhook; what is left out stays.
    Set(WebhookSetArgs),
    /// List attempts to deliver, the latest first.
    Deliveries(WebhookDeliveriesArgs),
    /// Send events again: one, an object's, or a range.
    Redeliver(WebhookRedeliverArgs),
    /// Give a webhook a new secret; the old one signs as well for a while.
    Rotate {
        #[arg(value_name = "ID", value_parser = values::webhook_id)]
        id: String,
        /// How long both sign; 0: the old one signs nothing more.
        #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(0..=720))]
        overlap_hours: u32,
    },
    /// Send a signed test event now.
    Test {
        #[arg(value_name = "ID", value_parser = values::webhook_id)]
        id: String,
    },
    /// Go on with a webhook that was disabled, where it stopped.
    Enable {
        #[arg(value_name = "ID", value_parser = values::webhook_id)]
        id: String,
    },
    /// Send nothing more; the webhook's place is kept.
    Disable {
        #[arg(value_name = "ID", value_parser = values::webhook_id)]
        id: String,
        /// Shown with the webhook, and kept in the audit chain.
        #[arg(long)]
        reason: String,
    },
    /// Delete a webhook for good, with its log.
    Delete {
        #[arg(value_name = "ID", value_parser = values::webhook_id)]
        id: String,
    },
    /// Receive events on this machine and print them: for developers.
    Listen(WebhookListenArgs),
}

#[derive(Args)]
pub(crate) struct WebhookCreateArgs {
    #[arg(value_name = "URL")]
    pub url: String,
    /// A type of event or all of an object's (`deposit.*`); may be repeated. Left out: all.
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    #[arg(long)]
    pub description: Option<String>,
    #[arg(long, value_name = "N")]
    pub rate_per_second: Option<u32>,
    /// Sends under way at once.
    #[arg(long, value_name = "N")]
    pub concurrency: Option<u32>,
    /// The number of the last event that is not wanted; 0 sends all there ever were. Left out: only new ones.
    #[arg(long, value_name = "NUMBER")]
    pub after: Option<u64>,
    /// Do not call the URL now.
    #[arg(long)]
    pub no_check: bool,
    #[arg(long, value_name = "KEY", value_parser = values::idempotency_key)]
    pub idempotency_key: Option<String>,
}

#[derive(Args)]
pub(crate) struct WebhookSetArgs {
    #[arg(value_name = "ID", value_parser = values::webhook_id)]
    pub id: String,
    #[arg(long)]
    pub url: Option<String>,
    /// May be repeated; replaces the types there were.
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    #[arg(long)]
    pub description: Option<String>,
    /// 0: no limit.
    #[arg(long, value_name = "N")]
    pub rate_per_second: Option<u32>,
    #[arg(long, value_name = "N")]
    pub concurrency: Option<u32>,
}

#[derive(Args)]
pub(crate) struct WebhookDeliveriesArgs {
    #[arg(value_name = "ID", value_parser = values::webhook_id)]
    pub id: String,
    #[arg(long, value_parser = ["delivered", "failed", "parked"])]
    pub result: Option<String>,
    /// An event's id.
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// An object's id.
    #[arg(long, value_name = "ID")]
    pub subject: Option<String>,
    #[command(flatten)]
    pub page: PageArgs,
}

/// All that is given must hold.
#[derive(Args)]
pub(crate) struct WebhookRedeliverArgs {
    #[arg(value_name = "ID", value_parser = values::webhook_id)]
    pub id: String,
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    #[arg(long, value_name = "ID")]
    pub delivery: Option<String>,
    /// An object's id.
    #[arg(long, value_name = "ID")]
    pub subject: Option<String>,
    /// The number of the first event,
    #[arg(long, value_name = "NUMBER")]
    pub first: Option<u64>,
    /// and of the last.
    #[arg(long, value_name = "NUMBER")]
    pub last: Option<u64>,
    /// RFC 3339, such as 2026-11-28T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// RFC 3339; not included.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    #[arg(long, value_name = "KEY", value_parser = values::idempotency_key)]
    pub idempotency_key: Option<String>,
}

#[derive(Args)]
pub(crate) struct WebhookListenArgs {
    /// A file that holds the webhook's secret, whsec_…
    #[arg(long, value_name = "FILE")]
    pub secret_file: PathBuf,
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8477")]
    pub listen: SocketAddr,
    /// Answer genuine events with this status instead of 200, to see what Coffer makes of it.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(200..=599))]
    pub status: u16,
    /// End after so many events.
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
}
