use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::page::PageArgs;
use super::values;

#[derive(Subcommand)]
pub(crate) enum BatchCommand {
    /// Send a file of customers; each row becomes a wallet.
    Create(CreateArgs),
    /// Show a batch and how far it is.
    Show(BatchId),
    /// List batches, newest first.
    List(BatchListArgs),
    /// Stop handing out chunks; what is in hand finishes.
    Pause(BatchId),
    /// Go on with a paused batch.
    Resume(BatchId),
    /// End a batch for good; wallets that exist stay.
    Cancel(BatchId),
    /// Fetch the results, one row per row of the file, in its order.
    Results(ResultsArgs),
}

#[derive(Args)]
pub(crate) struct BatchId {
    #[arg(value_name = "ID", value_parser = values::batch_id)]
    pub id: String,
}

#[derive(Args)]
pub(crate) struct BatchListArgs {
    /// Only batches in this state.
    #[arg(long)]
    pub state: Option<String>,
    #[command(flatten)]
    pub page: PageArgs,
}

#[derive(Args)]
pub(crate) struct CreateArgs {
    /// CSV, NDJSON or JSON, plain or gzipped; - reads standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Kinds of address for every row that names none, parted by commas.
    #[arg(long, value_delimiter = ',', value_parser = values::CHAINS)]
    pub chains: Vec<String>,
    /// The file's format, when its name does not say.
    #[arg(long)]
    pub format: Option<UploadFormat>,
    /// The vault, when there is more than one.
    #[arg(long, value_name = "ID", value_parser = values::vault_id)]
    pub vault: Option<String>,
    /// What a bad row does: leave it out, or refuse the whole batch.
    #[arg(long)]
    pub on_error: Option<OnError>,
    /// Makes a repetition harmless: the same key and file give the same batch. Random when not given.
    #[arg(long, value_name = "KEY", value_parser = values::idempotency_key)]
    pub idempotency_key: Option<String>,
    /// Stay until the batch has ended.
    #[arg(long)]
    pub wait: bool,
    /// Write the results here when the batch has ended (implies --wait); .ndjson by name, else CSV.
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// How long to put up with a server that cannot be reached [default: 3 at first, later 120].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub patience: Option<u64>,
}

#[derive(Args)]
pub(crate) struct ResultsArgs {
    #[arg(value_name = "ID", value_parser = values::batch_id)]
    pub id: String,
    /// Without it, by the output file's name, else NDJSON with --json and CSV without.
    #[arg(long)]
    pub format: Option<ResultsFormat>,
    /// Write a file, whole or not at all, instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UploadFormat {
    Csv,
    Ndjson,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResultsFormat {
    Csv,
    Ndjson,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    Skip,
    Abort,
}

impl UploadFormat {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Json => "json",
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Ndjson => "application/x-ndjson",
            Self::Json => "application/json",
        }
    }
}

impl ResultsFormat {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

impl OnError {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Abort => "abort",
        }
    }
}
