use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum EventsCommand {
    /// Follow events as they happen, until Ctrl-C; a server that is gone is waited for.
    Tail(TailArgs),
    /// Print events that have happened, in order, then end.
    Replay(ReplayArgs),
}

#[derive(Args)]
pub(crate) struct EventFilterArgs {
    /// Only these: types, or all of an object's, parted by commas (deposit.*,wallet.created).
    #[arg(long, value_name = "TYPES")]
    pub types: Option<String>,
    /// Only those of one object.
    #[arg(long, value_name = "ID")]
    pub subject: Option<String>,
}

#[derive(Args)]
pub(crate) struct TailArgs {
    #[command(flatten)]
    pub filter: EventFilterArgs,
    /// Begin behind this event instead of with the next one; 0: from the first.
    #[arg(long, value_name = "SEQUENCE")]
    pub after: Option<u64>,
}

#[derive(Args)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub filter: EventFilterArgs,
    /// Begin behind this event.
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    pub after: u64,
    /// End with this event; left out: with the newest.
    #[arg(long, value_name = "SEQUENCE")]
    pub to: Option<u64>,
}
