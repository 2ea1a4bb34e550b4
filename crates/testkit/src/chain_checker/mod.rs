//! The independent checker of money: reads a database and a node, and says where ledger and chain differ.
//!
//! It shares no code with what it judges: its own SQL, its own JSON-RPC calls, its own decoding of logs, call
//! traces and outputs. It believes the node that it is given, so give it the truth and never a node that a test
//! makes lie. It needs no key; that seals are whole is `coffer ledger verify`'s to say.
//!
//! What it proves, for each network whose node is named, at the block that the database says is its tip:
//!
//! - *ledger*: per transaction and asset debits equal credits; every balance is the fold of the raw entries;
//!   versions have no gap; heads are the last entries; what resolves a pending transaction does so once.
//! - *coverage*: the blocks are those of the node, linked by parent from the first height on, none passed over.
//! - *custody*: what the ledger says that a wallet's addresses hold is what the chain says, to the unit: balances, or
//!   the sum of the outputs that nobody has spent.
//! - *outputs*: on Bitcoin, the record of outputs is what the blocks made for our addresses, spent by what they say.
//! - *deposits*: each that is not retracted is one movement of the canonical chain, each such movement to an
//!   address of ours is one deposit; what was retracted comes to nothing.
//! - *customers*: what customers have is the sum of their credited deposits and of what people posted by hand.
//! - *audit*: every ledger transaction lies under an audit record that names its hash.
//!
//! Bound: everything is read into memory; a database of some hundred thousand entries is what it is for.

mod audit;
mod bitcoin;
mod chain;
mod coverage;
mod custody;
mod customers;
mod deposits;
mod evm;
mod ledger;
mod node;
mod outputs;
mod report;
mod rpc;
mod tables;
mod values;

use anyhow::{Context, Result};

pub use report::{Check, NetworkReport, Problem, Report};

use node::Node;
use tables::{NetworkRow, Tables};

#[derive(Debug, Clone, Default)]
pub struct Options {
    pub database_url: String,
    /// One node for each network; which is whose, the node's chain says. A login stands in the URL, or in a file
    /// that its fragment names: `http://127.0.0.1:18443#/folder/.cookie`.
    pub nodes: Vec<String>,
    /// The first height that must be covered; the network's own when left out.
    pub from: Option<u64>,
    /// The tip must be the node's head.
    pub at_head: bool,
    /// Where the breaker has tripped, ledger and chain may differ: that is what it tripped for.
    pub tripped_may_differ: bool,
}

/// Reads a database at rest and judges it.
///
/// # Errors
/// When database or node cannot be read; what is wrong in them is in the report.
pub async fn check(options: &Options) -> Result<Report> {
    let tables = tables::read(&options.database_url).await?;
    let mut report = Report::of(&tables);
    ledger::check(&tables, &mut report);
    audit::check(&tables, &mut report);
    customers::check(&tables, &mut report);
    for url in &options.nodes {
        let (node, name) = Node::open(url).await?;
        let networks = tables.networks.iter().filter(|row| row.chain == name);
        let networks: Vec<&NetworkRow> = networks.collect();
        if networks.is_empty() {
            report.problem(
                Check::Coverage,
                format!("no network of the database is {name}"),
            );
        }
        for network in networks {
            check_network(options, &tables, (&node, network), &mut report)
                .await
                .with_context(|| format!("network {name} cannot be checked"))?;
        }
    }
    Ok(report)
}

async fn check_network(
    options: &Options,
    tables: &Tables,
    (node, network): (&Node, &NetworkRow),
    report: &mut Report,
) -> Result<()> {
    let Some(tip) = coverage::check(options, tables, (node, network), report).await? else {
        return Ok(());
    };
    let chain = node.read(tables, network, tip).await?;
    coverage::counts(tables, network, &chain, report);
    deposits::check(tables, network, &chain, report);
    outputs::check(tables, network, &chain, report);
    custody::check(options, tables, (node, network, &chain), report).await?;
    report.networks.push(NetworkReport {
        chain: network.chain.clone(),
        height: tip.height,
        hash: format!("0x{}", hex::encode(tip.hash)),
        blocks: chain.blocks.len(),
        movements: chain.movements.len(),
        addresses: tables.addresses.keys().filter(|one| node.has(one)).count(),
    });
    Ok(())
}
