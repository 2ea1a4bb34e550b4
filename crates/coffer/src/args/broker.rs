use clap::Subcommand;

use super::page::PageArgs;
use super::values;

#[derive(Subcommand)]
pub(crate) enum SinkCommand {
    /// List the message brokers that events go to, and how far each has come.
    List,
    /// Have events published again: everything behind one event.
    Rewind {
        #[arg(value_name = "NAME")]
        name: String,
        /// The number of the last event that is not published again; 0 for all.
        #[arg(long, value_name = "SEQ")]
        to: u64,
        #[arg(long, value_name = "KEY", value_parser = values::idempotency_key)]
        idempotency_key: Option<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum SourceCommand {
    /// List messages that could not be worked on, with the reason.
    Parked {
        /// The name of a source; without it, of all.
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Forget a parked message.
    Discard {
        #[arg(value_name = "ID", value_parser = values::parked_message_id)]
        id: String,
    },
}
