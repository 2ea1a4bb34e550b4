//! `coffer`: the server's roles and the client commands, in one program.
//!
//! `init`, `serve` and `openapi` call into `coffer_server`; every other command speaks the HTTP API and
//! nothing else, so what it may do is what its API key may do. No secret key and no mnemonic ever
//! enters this program: a drill's mnemonic goes into `coffer-signer` alone.
//! Standard output carries the answer, standard error what is said about it; with `--json` both
//! carry JSON only. The environment is read here, once, and handed in.

mod advice;
mod args;
mod client;
mod commands;
mod error;
mod local;
mod meter;
mod output;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::error::Failure;

/// A batch makes and drops some twenty small allocations a row, on whichever thread; glibc's allocator takes a sixth of its
/// processor time for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the environment says; nothing else reads it.
#[derive(Default)]
struct Environment {
    api_key: Option<String>,
    database_url: Option<String>,
    log: Option<String>,
}

impl Environment {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where configuration is read from the environment"
    )]
    fn read() -> Self {
        let of = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            api_key: of("COFFER_API_KEY"),
            database_url: of("COFFER_DATABASE_URL"),
            log: of("COFFER_LOG"),
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    // A command line that cannot be understood is still answered in the form it asked for.
    let json = arguments.iter().any(|argument| argument == "--json");
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => {
            // Help and version are answers. A reader that went away is no failure of theirs.
            error.print().ok();
            return ExitCode::SUCCESS;
        }
        Err(error) => return report(&Failure::from_clap(&error), json),
    };
    match commands::run(cli, Environment::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, json),
    }
}

fn report(failure: &Failure, json: bool) -> ExitCode {
    if let Some(text) = failure.render(json) {
        output::error(&text);
    }
    ExitCode::from(failure.exit_code())
}
