//! `cargo xtask demo deposits`: money coming in, blocks being taken back, and a ledger that equals the chain.
//!
//! Two real Ethereum nodes, a real Bitcoin node, a real `coffer serve`, a thousand wallets. `coffer-testkit` plays the payers and
//! the reorganizations, shows what the server says of it, and proves the end with its independent
//! checker. It leaves nothing running, unless `--keep` is given.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::folder::DataFolder;
use super::{Client, Demo, summary};
use crate::chain::Chain;
use crate::process::{self, GuardOptions, Guarded};
use crate::repo::{self, CC, NODE, NPM, PYTHON};
use crate::test;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Wallets to pay to
    #[arg(long, default_value_t = 1_000)]
    wallets: u64,
    /// Blocks on each chain while deposits come in
    #[arg(long, default_value_t = 80)]
    blocks: u32,
    /// The same number, the same payments and reorganizations
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Leave the server and the nodes running at the end
    #[arg(long)]
    keep: bool,
    /// Where the demo puts everything
    #[arg(long, default_value = "demo-deposits")]
    data_dir: PathBuf,
    /// Remove what an earlier demo left there without asking
    #[arg(long)]
    yes: bool,
}

const CHAIN_IDS: [u64; 2] = [31337, 31338];
const REGTEST: &str = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328";
/// The secret of the installation that holds the Bitcoin node's login.
const LOGIN: &str = "bitcoin-node";
const EVM_FILE: &str = "addresses-evm.txt";
const BITCOIN_FILE: &str = "addresses-bitcoin.txt";
const CONFIRMATIONS: u64 = 3;
const FINALITY: u64 = 12;

fn say(step: u32, what: &str) {
    eprintln!("\n[{step}/7] {what}");
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    repo::need(&[CC, NODE, NPM, PYTHON])?;
    let data = DataFolder::prepare(&options.data_dir, options.yes)?;
    say(
        1,
        "Build coffer, coffer-signer and the payers; install a real Ethereum node and a real Bitcoin node, and compile the \
         contracts (three to six minutes the first time, seconds after that)",
    );
    let chain = Chain::prepare(root)?;
    process::run(
        Command::new("cargo")
            .args(["build", "--bins"])
            .args(test::PROGRAMS)
            .current_dir(root),
    )?;
    let programs = test::target_folder(root)?.join("debug");
    let demo = Demo {
        root,
        coffer: programs.join("coffer"),
        data: data.path.join("coffer"),
        folder: data.path.clone(),
        rows: options.wallets,
    };

    say(
        2,
        "Start three chains: two of Ethereum with a token on each, and Bitcoin",
    );
    let payer = programs.join("coffer-testkit");
    let nodes = start_nodes(&chain, &payer, &data.path)?;
    let bitcoin = start_bitcoin(&chain, &payer, &data.path)?;
    let urls: Vec<String> = nodes.iter().map(|node| node.url.clone()).collect();
    let payers = Payers {
        program: payer,
        chain: &chain,
        urls: &urls,
        bitcoin_url: &bitcoin.url,
    };
    let contracts = payers.prepare()?;
    say(3, "Make an installation and start coffer serve");
    let api_key = demo.init(&["--bitcoin-network", "regtest"])?;
    keep_login(&demo)?;
    let (server, url) = demo.serve()?;
    data.remember_server(server.pid())?;
    let client = Client {
        demo: &demo,
        url: &url,
        api_key: &api_key,
    };
    say(4, &format!("Create {} wallets", options.wallets));
    wallets(&client, &data.path)?;
    say(5, "Watch all three chains: coffer network apply");
    let file = data.path.join("networks.toml");
    fs::write(
        &file,
        networks(&urls, &contracts)? + &bitcoin_network(&bitcoin.url),
    )?;
    client.run(&["network", "apply"], |command| command.arg(&file))?;
    say(6, "Deposits come in, and blocks are taken back");
    payers.show(&client, &contracts, options)?;
    say(7, "The ledger proves itself: coffer ledger verify");
    client.run(&["ledger", "verify"], |command| command)?;
    let nodes = nodes.into_iter().chain([bitcoin]).collect();
    finish((server, nodes), &data, (&client, options))
}

struct Node {
    process: Guarded,
    url: String,
}

impl Node {
    /// Runs until it is dropped; can be used once `is_ready` says so.
    fn start(
        command: &Command,
        log: &Path,
        port: u16,
        is_ready: impl Fn() -> bool,
    ) -> Result<Self> {
        eprintln!("$ {}", process::describe(command));
        // A shell starts it in the background, where the signal of Ctrl-C is ignored.
        let options = GuardOptions {
            signal: "TERM",
            log,
            trash: None,
        };
        let mut process = Guarded::start(command, &options)?;
        process::wait_for("the node", Duration::from_secs(60), || {
            process.check_alive()?;
            Ok(is_ready().then_some(()))
        })
        .map_err(|error| anyhow!("{error:#}\nIts log ends:\n{}", process.log_tail()))?;
        Ok(Self {
            process,
            url: format!("http://127.0.0.1:{port}"),
        })
    }
}

fn start_nodes(chain: &Chain, payer: &Path, folder: &Path) -> Result<Vec<Node>> {
    CHAIN_IDS
        .into_iter()
        .map(|id| {
            let port = process::free_port()?;
            let mut node = Command::new(payer);
            node.arg("node").args(["--port", &port.to_string()]);
            node.args(["--chain-id", &id.to_string()]);
            chain.tell(&mut node);
            let log = folder.join(format!("chain-{id}.log"));
            // A GET is no call, and yet an answer.
            Node::start(&node, &log, port, || {
                process::http_status(port, "/").is_some()
            })
        })
        .collect()
}

/// It has coins once its login is written.
fn start_bitcoin(chain: &Chain, payer: &Path, folder: &Path) -> Result<Node> {
    let port = process::free_port()?;
    let login = folder.join("bitcoin-login");
    let mut node = Command::new(payer);
    node.arg("bitcoin-node").args(["--port", &port.to_string()]);
    node.arg("--login").arg(&login);
    chain.tell(&mut node);
    let log = folder.join("bitcoin.log");
    Node::start(&node, &log, port, || login.exists())
}

/// Puts the Bitcoin node's login where the server looks for it.
fn keep_login(demo: &Demo<'_>) -> Result<()> {
    let login = fs::read_to_string(demo.folder.join("bitcoin-login"))?;
    let secrets = demo.data.join("secrets");
    fs::create_dir_all(&secrets)?;
    super::folder::write_secret(&secrets.join(LOGIN), login.trim())
}

/// Who pays, and makes the blocks.
struct Payers<'a> {
    program: PathBuf,
    chain: &'a Chain,
    urls: &'a [String],
    bitcoin_url: &'a str,
}

impl Payers<'_> {
    fn command(&self, job: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(job);
        for url in self.urls {
            command.args(["--node", url]);
        }
        self.chain.tell(&mut command);
        command
    }

    /// What `show` is to be told again.
    fn prepare(&self) -> Result<String> {
        Ok(process::output(&mut self.command("show-prepare"))?
            .trim()
            .to_owned())
    }

    fn show(&self, client: &Client<'_>, contracts: &str, options: &Options) -> Result<()> {
        let database = client.demo.data.join("coffer.db");
        let mut command = self.command("show");
        command
            .args(["--server", client.url, "--contracts", contracts])
            .arg("--database-url")
            .arg(format!("sqlite:{}", database.display()))
            .arg("--addresses")
            .arg(client.demo.folder.join(EVM_FILE))
            .args(["--bitcoin-node", self.bitcoin_url])
            .arg("--bitcoin-login")
            .arg(client.demo.folder.join("bitcoin-login"))
            .arg("--bitcoin-addresses")
            .arg(client.demo.folder.join(BITCOIN_FILE))
            .args(["--beats", &options.blocks.to_string()])
            .args(["--seed", &options.seed.to_string()])
            .args(["--settle", &(FINALITY + CONFIRMATIONS).to_string()])
            .env("COFFER_API_KEY", client.api_key);
        let status = command
            .status()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        if !status.success() {
            bail!("ledger and chain could not be shown to be equal ({status})");
        }
        Ok(())
    }
}

/// The addresses that the batch made, one per line, in a file for each family.
fn wallets(client: &Client<'_>, folder: &Path) -> Result<()> {
    let file = folder.join("customers.csv");
    let rows = (1..=client.demo.rows).map(|row| format!("customer-{row:06}\n"));
    fs::write(&file, format!("external_id\n{}", rows.collect::<String>()))?;
    let results = client.demo.results();
    client.run(&["batch", "create"], |command| {
        command
            .arg(file)
            .args(["--chains", "evm,bitcoin,bitcoin-taproot"])
            .args(["--wait", "--results"])
            .arg(&results)
    })?;
    let records = summary::records(&fs::read_to_string(&results)?);
    let evm = column(&records, "evm")?;
    fs::write(folder.join(EVM_FILE), evm.join("\n") + "\n")?;
    let mut bitcoin = column(&records, "bitcoin")?;
    bitcoin.extend(column(&records, "bitcoin_taproot")?);
    fs::write(folder.join(BITCOIN_FILE), bitcoin.join("\n") + "\n")?;
    Ok(())
}

/// What is not empty in a column of a file with a header.
fn column<'a>(records: &'a [Vec<String>], name: &str) -> Result<Vec<&'a str>> {
    let (header, rows) = records.split_first().context("the results are empty")?;
    let column = header.iter().position(|column| column == name);
    let column = column.with_context(|| format!("the results have no column `{name}`"))?;
    let cells = rows
        .iter()
        .filter_map(|row| Some(row.get(column)?.as_str()));
    Ok(cells.filter(|cell| !cell.is_empty()).collect())
}

/// What `coffer network apply` reads: each chain with its node, its coin, and the token on it.
fn networks(urls: &[String], contracts: &str) -> Result<String> {
    let contracts: serde_json::Value = serde_json::from_str(contracts)?;
    let mut text = String::new();
    for (position, (id, url)) in CHAIN_IDS.into_iter().zip(urls).enumerate() {
        let token = contracts[position]["token"]
            .as_str()
            .context("no token was deployed")?;
        text += &format!(
            r#"[[network]]
chain = "eip155:{id}"
name = "Demo chain {id}"
nodes = [{{ rpc = "{url}" }}]
# One node can only be believed; in production name three or more, of independent operators, and ask for two.
quorum = 1
confirmations = {CONFIRMATIONS}
finality = {{ rule = "depth", blocks = {FINALITY} }}
start_height = 1
poll_interval_ms = 200

[[network.asset]]
name = "eip155:{id}/slip44:60"
symbol = "ETH"
decimals = 18

[[network.asset]]
name = "eip155:{id}/erc20:{token}"
symbol = "USDX"
decimals = 6

"#
        );
    }
    Ok(text)
}

/// The same for the Bitcoin node, whose login stays in the installation's folder of secrets.
fn bitcoin_network(url: &str) -> String {
    let place = url.trim_start_matches("http://");
    format!(
        r#"[[network]]
chain = "{REGTEST}"
name = "Demo Bitcoin"
nodes = [{{ rpc = "http://{{secret:{LOGIN}}}@{place}" }}]
quorum = 1
confirmations = {CONFIRMATIONS}
finality = {{ rule = "depth", blocks = {FINALITY} }}
start_height = 1
poll_interval_ms = 200

[[network.asset]]
name = "{REGTEST}/slip44:0"
symbol = "BTC"
decimals = 8
"#
    )
}

/// Stops everything, or leaves it, and says what to look at.
fn finish(
    (server, nodes): (Guarded, Vec<Node>),
    data: &DataFolder,
    (client, options): (&Client<'_>, &Options),
) -> Result<()> {
    println!("{}", text(client, options.keep));
    if options.keep {
        let mut pids = vec![server.keep()?.to_string()];
        for node in nodes {
            pids.push(node.process.keep()?.to_string());
        }
        println!(
            "The server runs on at {}, and so do all three chains. To stop all: kill {}",
            client.url,
            pids.join(" ")
        );
        return Ok(());
    }
    let status = server.stop()?;
    data.forget_server();
    drop(nodes);
    if !status.success() {
        bail!(
            "coffer serve did not stop cleanly ({status}); see {}",
            data.path.join("serve.log").display()
        );
    }
    println!("Server and chains were stopped; nothing is left running.");
    Ok(())
}

fn text(client: &Client<'_>, kept: bool) -> String {
    let folder = client.demo.folder.display();
    let programs = client.demo.coffer.parent().unwrap_or(&client.demo.folder);
    let mut text = format!("\n{}\nFiles\n", "─".repeat(72));
    for (name, what) in [
        ("networks.toml", "what is watched: chains, nodes, assets"),
        (
            EVM_FILE,
            "the addresses that were paid to on the EVM chains",
        ),
        (BITCOIN_FILE, "those that were paid to on Bitcoin"),
        ("coffer/coffer.db", "the database, with the ledger in it"),
        ("serve.log", "what the server said"),
    ] {
        text += &format!("  {folder}/{name}\n      {what}\n");
    }
    text += if kept {
        "\nTry next\n"
    } else {
        "\nTry next, after another run with --keep\n"
    };
    text += &format!(
        "  export PATH=\"{}:$PATH\" COFFER_API_KEY=\"$(cat '{folder}/api-key')\"\n",
        programs.display()
    );
    for words in [
        "network list",
        "deposit list",
        "ledger balances",
        "reconcile list",
    ] {
        text += &format!("  coffer --server {} {words}\n", client.url);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_every_chain_and_its_assets() {
        let urls = ["http://127.0.0.1:1", "http://127.0.0.1:2"].map(str::to_owned);
        let contracts = r#"[{"token":"0xaa"},{"token":"0xbb"}]"#;
        let text = networks(&urls, contracts).expect("two tokens");
        for part in [
            "chain = \"eip155:31337\"",
            "rpc = \"http://127.0.0.1:2\"",
            "name = \"eip155:31338/erc20:0xbb\"",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(networks(&urls, "[]").is_err());
        let text = bitcoin_network("http://127.0.0.1:3");
        let rpc = "rpc = \"http://{secret:bitcoin-node}@127.0.0.1:3\"";
        assert!(text.contains(rpc), "{text}");
    }

    #[test]
    fn empty_cells_are_no_addresses() {
        let records = summary::records("row,bitcoin\n1,bcrt1a\n2,\n3,bcrt1b\n");
        assert_eq!(
            column(&records, "bitcoin").expect("there"),
            ["bcrt1a", "bcrt1b"]
        );
        assert!(column(&records, "tron").is_err());
    }
}
