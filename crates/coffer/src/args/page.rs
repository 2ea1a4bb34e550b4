use clap::Args;

/// What every list takes.
#[derive(Args)]
pub(crate) struct PageArgs {
    /// Lines per page [default: 50, with --all 1000].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: Option<u32>,
    /// Go on where an earlier answer's next_cursor says.
    #[arg(long)]
    pub cursor: Option<String>,
    /// All pages, not only one.
    #[arg(long)]
    pub all: bool,
}
