//! `cargo xtask demo`: the main job, from nothing to ten thousand checked wallets.
//!
//! It does by hand what the README tells an operator to do: init, serve, batch create, and then
//! checks a sample of the addresses by a second implementation, in another language, from the
//! mnemonic alone. It leaves nothing running, unless `--keep` is given, and never touches a folder that an
//! earlier demo did not make. `cargo xtask demo deposits` is another demo, in a file of its own.

mod deposits;
mod folder;
mod summary;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::process::{self, GuardOptions, Guarded};
use crate::repo::{self, CC, NODE, NPM, PYTHON};
use crate::{postgres, test};
use folder::DataFolder;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    other: Option<Other>,
    /// Rows of the customers' file
    #[arg(long, default_value_t = 10_000)]
    rows: u64,
    /// Leave the server running at the end
    #[arg(long)]
    keep: bool,
    /// Where the demo puts everything
    #[arg(long, default_value = "demo-data")]
    data_dir: PathBuf,
    /// Remove what an earlier demo left there without asking
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Other {
    /// Three chains, 1,000 wallets, deposits and reorganizations, live; then the proof that ledger = chain
    Deposits(deposits::Options),
}

const CHAINS: &str = "evm,tron,bitcoin,bitcoin-taproot,solana";
const SAMPLE: u64 = 200;

pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    if let Some(Other::Deposits(options)) = &options.other {
        return deposits::run(root, options);
    }
    repo::need(&[CC, NODE, NPM, PYTHON])?;
    let data = DataFolder::prepare(&options.data_dir, options.yes)?;
    say(
        1,
        "Build coffer and coffer-signer (three to six minutes the first time: SQLite, curves and hashes are compiled with optimisation; seconds after that)",
    );
    process::run(
        Command::new("cargo")
            .args(["build", "-p", "coffer", "-p", "coffer-signer"])
            .current_dir(root),
    )?;
    let coffer = test::target_folder(root)?.join("debug/coffer");
    let demo = Demo {
        root,
        coffer,
        data: data.path.join("coffer"),
        folder: data.path.clone(),
        rows: options.rows,
    };

    say(
        2,
        "Make the data folder: a SQLite database, an encrypted key file, an API key",
    );
    let api_key = demo.init(&[])?;
    say(3, "Start coffer serve, which starts coffer-signer");
    let (server, url) = demo.serve()?;
    data.remember_server(server.pid())?;
    let client = Client {
        demo: &demo,
        url: &url,
        api_key: &api_key,
    };
    say(
        4,
        &format!(
            "Create {} wallets, each with five addresses, through the HTTP API",
            options.rows
        ),
    );
    let took = client.create_batch()?;
    say(
        5,
        &format!(
            "Check {SAMPLE} rows against the second implementation (JavaScript, from the mnemonic alone)"
        ),
    );
    demo.check_sample()?;
    say(6, "Verify the audit trail, its anchor included");
    client.run(&["audit", "verify"], |command| {
        command.arg("--anchor").arg(demo.data.join("audit.anchor"))
    })?;

    let facts = summary::Facts {
        demo: &demo,
        url: &url,
        took,
        kept: options.keep,
    };
    let text = summary::text(&facts)?;
    finish(server, &data, &text, options.keep.then_some(&url))
}

/// Stops the server, or leaves it at `kept`, and prints the summary last.
fn finish(server: Guarded, data: &DataFolder, text: &str, kept: Option<&String>) -> Result<()> {
    if let Some(url) = kept {
        let pid = server.keep()?;
        println!("{text}\nThe server runs on at {url}, process {pid}. To stop it: kill {pid}");
        return Ok(());
    }
    let status = server.stop()?;
    data.forget_server();
    if !status.success() {
        bail!(
            "coffer serve did not stop cleanly ({status}); see {}",
            data.path.join("serve.log").display()
        );
    }
    println!("{text}\nThe server was stopped; nothing is left running.");
    Ok(())
}

fn say(step: u32, what: &str) {
    eprintln!("\n[{step}/6] {what}");
}

struct Demo<'a> {
    root: &'a Path,
    coffer: PathBuf,
    /// What belongs to the demo alone: passphrase, API key, results, log.
    folder: PathBuf,
    /// The data folder of `coffer`, which `coffer init` makes.
    data: PathBuf,
    rows: u64,
}

impl Demo<'_> {
    fn passphrase(&self) -> PathBuf {
        self.folder.join("passphrase")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("serve.log")
    }

    fn results(&self) -> PathBuf {
        self.folder.join("results.csv")
    }

    /// The API key, which `coffer init` tells only once.
    fn init(&self, more: &[&str]) -> Result<String> {
        folder::write_secret(&self.passphrase(), &postgres::random_hex(24)?)?;
        let mut init = Command::new(&self.coffer);
        init.arg("init")
            .arg("--data-dir")
            .arg(&self.data)
            .arg("--passphrase-file")
            .arg(self.passphrase())
            .arg("--json")
            .args(more);
        eprintln!("$ {}", process::describe(&init));
        let text = process::output(&mut init)?;
        let answer: serde_json::Value =
            serde_json::from_str(&text).context("coffer init --json printed no JSON")?;
        let api_key = answer["api_key"]
            .as_str()
            .context("the answer of coffer init has no `api_key`")?
            .to_owned();
        folder::write_secret(&self.folder.join("api-key"), &api_key)?;
        Ok(api_key)
    }

    fn serve(&self) -> Result<(Guarded, String)> {
        let port = process::free_port()?;
        let mut serve = Command::new(&self.coffer);
        serve
            .arg("serve")
            .arg("--data-dir")
            .arg(&self.data)
            .arg("--passphrase-file")
            .arg(self.passphrase());
        serve.args(["--listen", &format!("127.0.0.1:{port}")]);
        eprintln!("$ {} >{}", process::describe(&serve), self.log().display());
        let log = self.log();
        let mut server = Guarded::start(
            &serve,
            &GuardOptions {
                signal: "TERM",
                log: &log,
                trash: None,
            },
        )?;
        process::wait_for("coffer serve", Duration::from_secs(60), || {
            server.check_alive()?;
            Ok((process::http_status(port, "/readyz") == Some(200)).then_some(()))
        })
        .map_err(|error| anyhow!("{error:#}\nIts log ends:\n{}", server.log_tail()))?;
        Ok((server, format!("http://127.0.0.1:{port}")))
    }

    /// The example file, or one like it with another number of rows.
    fn customers(&self) -> Result<PathBuf> {
        let example = self.root.join("examples/customers.csv");
        if self.rows == 10_000 {
            return Ok(example);
        }
        let path = self.folder.join("customers.csv");
        let mut python = Command::new("python3");
        python
            .arg(self.root.join("examples/generate_customers.py"))
            .args(["--rows", &self.rows.to_string()]);
        process::run(python.arg("--out").arg(&path))?;
        Ok(path)
    }

    fn mnemonic(&self) -> Result<PathBuf> {
        let folder = self.data.join("recovery");
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mnemonics = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut mnemonics: Vec<_> = mnemonics
            .filter(|path| path.extension().is_some_and(|e| e == "mnemonic"))
            .collect();
        mnemonics.sort();
        mnemonics
            .into_iter()
            .next()
            .with_context(|| format!("coffer init wrote no mnemonic into {}", folder.display()))
    }

    fn check_sample(&self) -> Result<()> {
        repo::npm_ci(&repo::oracle(self.root))?;
        let mut node = Command::new("node");
        node.arg(repo::oracle(self.root).join("oracle.mjs"))
            .arg("check")
            .arg("--mnemonic-file")
            .arg(self.mnemonic()?);
        process::run(
            node.arg("--results")
                .arg(self.results())
                .args(["--sample", &SAMPLE.min(self.rows).to_string()]),
        )
    }
}

/// The client commands of `coffer`, which speak to the HTTP API only.
struct Client<'a> {
    demo: &'a Demo<'a>,
    url: &'a str,
    api_key: &'a str,
}

impl Client<'_> {
    fn run(&self, words: &[&str], more: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
        let mut command = Command::new(&self.demo.coffer);
        command
            .args(["--server", self.url])
            .args(words)
            .env("COFFER_API_KEY", self.api_key);
        process::run(more(&mut command))
    }

    fn create_batch(&self) -> Result<Duration> {
        let file = self.demo.customers()?;
        let start = Instant::now();
        self.run(&["batch", "create"], |command| {
            command
                .arg(file)
                .args(["--chains", CHAINS, "--wait", "--results"])
                .arg(self.demo.results())
        })?;
        Ok(start.elapsed())
    }
}
