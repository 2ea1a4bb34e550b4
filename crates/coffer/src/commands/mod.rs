//! The commands: each reads its arguments, makes its calls and prints one answer.
//!
//! A client command runs until it is done or Ctrl-C arrives. Then its future is dropped, which takes
//! half-written files away, and what it last left in [`Session::on_interrupt`] is said.

mod address;
mod asset;
mod audit;
mod batch;
mod deposit;
mod doctor;
mod events;
mod input;
mod key;
mod ledger;
mod network;
mod pages;
mod pool;
mod reconcile;
mod sink;
mod source;
mod vault;
mod wallet;
mod webhook;

use std::cell::RefCell;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::Environment;
use crate::args::{AuditCommand, Cli, Command, Global};
use crate::client::Client;
use crate::error::{Failure, Kind};
use crate::local;
use crate::output::Output;

pub(crate) struct Session {
    pub client: Client,
    pub out: Output,
    farewell: RefCell<Farewell>,
}

#[derive(Default, Clone)]
struct Farewell {
    what: String,
    advice: String,
    members: Vec<(&'static str, String)>,
}

pub(crate) fn run(cli: Cli, environment: Environment) -> Result<(), Failure> {
    let out = Output::new(cli.global.json);
    match cli.command {
        Command::Init(args) => local::init(args, environment, out),
        Command::Serve(args) => local::serve(args, environment, out),
        Command::Openapi => local::openapi(out),
        Command::Audit(AuditCommand::CheckProof(args)) => audit::check_proof(&args, out),
        command => {
            let session = Session::open(cli.global, environment.api_key)?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let outcome = runtime.block_on(session.run(command));
            // A read of the terminal cannot be called off; it is not waited for.
            runtime.shutdown_background();
            outcome
        }
    }
}

impl Session {
    fn open(global: Global, key_of_environment: Option<String>) -> Result<Self, Failure> {
        let out = Output::new(global.json);
        let key = match (global.api_key, &global.api_key_file) {
            (Some(key), _) => Some(Zeroizing::new(key)),
            (None, Some(file)) => {
                warn_of_open_file(file, out);
                let text = std::fs::read_to_string(file)
                    .map_err(|error| Failure::file("read", file, &error))?;
                Some(Zeroizing::new(text))
            }
            (None, None) => key_of_environment.map(Zeroizing::new),
        };
        let key = key.map(|key| Zeroizing::new(key.trim().to_owned()));
        let client = Client::new(global.server, key.as_ref(), global.ca_file.as_deref())?;
        if key.is_some() && client.is_exposed() {
            out.note("warning: plain http to another machine: the API key can be read on the way; use https");
        }
        Ok(Self {
            client,
            out,
            farewell: RefCell::default(),
        })
    }

    async fn run(&self, command: Command) -> Result<(), Failure> {
        tokio::select! {
            result = self.dispatch(command) => result,
            Ok(()) = tokio::signal::ctrl_c() => Err(self.interrupted()),
        }
    }

    async fn dispatch(&self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Batch(command) => batch::run(self, command).await,
            Command::Wallet(command) => wallet::run(self, command).await,
            Command::Address(command) => address::run(self, command).await,
            Command::Key(command) => key::run(self, command).await,
            Command::Vault(command) => vault::run(self, command).await,
            Command::Pool(command) => pool::run(self, command).await,
            Command::Network(command) => network::run(self, command).await,
            Command::Asset(command) => asset::run(self, command).await,
            Command::Deposit(command) => deposit::run(self, command).await,
            Command::Reconcile(command) => reconcile::run(self, command).await,
            Command::Ledger(command) => ledger::run(self, command).await,
            Command::Sink(command) => sink::run(self, command).await,
            Command::Source(command) => source::run(self, command).await,
            Command::Events(command) => events::run(self, command).await,
            Command::Webhook(command) => webhook::run(self, command).await,
            Command::Audit(command) => audit::run(self, command).await,
            Command::Doctor(args) => doctor::run(self, &args).await,
            Command::Init(_) | Command::Serve(_) | Command::Openapi => {
                unreachable!("commands of this machine were taken out before")
            }
        }
    }

    /// What Ctrl-C says from now on: what has become of the work, and what to do about it.
    fn on_interrupt(&self, what: &str, advice: &str, members: &[(&'static str, &str)]) {
        let members = members
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        *self.farewell.borrow_mut() = Farewell {
            what: what.to_owned(),
            advice: advice.to_owned(),
            members: members.collect(),
        };
    }

    fn interrupted(&self) -> Failure {
        let farewell = self.farewell.borrow().clone();
        let what = match farewell.what.as_str() {
            "" => "interrupted",
            what => what,
        };
        let failure = Failure::new(Kind::Interrupted, what, farewell.advice);
        let members = farewell.members.into_iter();
        members.fold(failure, |failure, (name, value)| failure.with(name, value))
    }
}

fn warn_of_open_file(file: &Path, out: Output) {
    let mode = std::fs::metadata(file).map_or(0, |metadata| metadata.mode());
    if mode & 0o077 != 0 {
        out.note(&format!(
            "warning: others can read {}; `chmod 600` it",
            file.display()
        ));
    }
}
