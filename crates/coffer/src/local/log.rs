use coffer_server::config::LogFormat;
use tracing_subscriber::EnvFilter;

use crate::error::Failure;

/// To standard error, so that standard output stays the answer's.
pub(super) fn start(filter: &str, format: LogFormat) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::usage(
            format!("the log filter {filter:?} cannot be read: {error}"),
            "write a level such as info, or module=level pairs parted by commas",
        )
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::unexpected(format!("cannot start the log: {error}"), ""))
}
