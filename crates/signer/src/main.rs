//! `coffer-signer`: the process that holds the keys.
//!
//! It makes or imports a mnemonic (`init`), answers `coffer` over one private socket (`serve`) and
//! proves that a backup restores the vault (`drill`). Guarantees: it opens no network connection
//! and, once it serves, cannot; no command and no answer gives a private key or a seed; words go to a
//! file of mode 0600 that the caller names, and nowhere else; its messages and its log carry no secret.
//! Deliberately not here: a way to export keys, and (as yet) to sign.
//! The socket is the only way in: end of file on it ends the process, so it never outlives `coffer`.

mod confine;
mod drill;
mod error;
mod init;
mod log;
mod secrets;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  something else failed; the message says what
  2  the command line is wrong
  3  wrong passphrase, or a file of keys, words or passphrase cannot be read or must not be overwritten
  4  the environment is unsafe: no entropy, no private socket, no terminal, a defence that failed
  5  the drill failed: this backup is not that of the vault
  6  the channel to coffer broke";

#[derive(Parser)]
#[command(version, about = "Holds the keys of a Coffer installation", after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Creates a key file, from new words or from imported ones
    #[command(after_help = EXIT_CODES)]
    Init(InitArguments),
    /// Answers `coffer` on the Unix socket that is its standard input
    #[command(after_help = EXIT_CODES)]
    Serve {
        #[arg(long)]
        key_file: PathBuf,
        /// Asks on the terminal when left out
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
    },
    /// Reads a challenge on standard input, proves that these words restore the vault, prints the proof
    #[command(after_help = EXIT_CODES)]
    Drill {
        /// The words on one line; asks on the terminal when left out
        #[arg(long)]
        mnemonic_file: Option<PathBuf>,
    },
    /// Applies the defences of `serve`, tries to break out of them, prints what held as JSON
    #[command(after_help = EXIT_CODES)]
    CheckHardening,
}

#[derive(clap::Args)]
struct InitArguments {
    /// Must not exist
    #[arg(long)]
    key_file: PathBuf,
    /// Where new words are written (mode 0600, must not exist); `{vault_id}` in it is replaced.
    /// Not used on import
    #[arg(long, required_unless_present = "import_mnemonic")]
    recovery_file: Option<PathBuf>,
    /// Asks twice on the terminal when left out
    #[arg(long)]
    passphrase_file: Option<PathBuf>,
    /// A file with 12 to 24 words (BIP-39, English) instead of new ones
    #[arg(long)]
    import_mnemonic: Option<PathBuf>,
    /// Prints one JSON object instead of text
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    // A panic's text may quote what it stumbled over; where it happened is enough to find it.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        log::error("panic", &[("at", place.unwrap_or_default().into())]);
    }));
    let result = match Arguments::parse().command {
        Command::Init(arguments) => init::run(arguments),
        Command::Serve {
            key_file,
            passphrase_file,
        } => {
            log::for_programs();
            serve::run(&key_file, passphrase_file.as_deref())
        }
        Command::Drill { mnemonic_file } => drill::run(mnemonic_file.as_deref()),
        Command::CheckHardening => confine::check(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}
