//! No block passed over: the rows are the node's blocks, each on its parent.

use std::collections::HashMap;

use anyhow::{Context, Result};

use super::Options;
use super::chain::{Chain, Tip};
use super::node::Node;
use super::report::{Check, Report};
use super::tables::{BlockRow, NetworkRow, Tables};
use super::values::short;

/// The tip to compare at; `None` when nothing was followed yet, or it is not a block of the node's.
pub(super) async fn check(
    options: &Options,
    tables: &Tables,
    (node, network): (&Node, &NetworkRow),
    report: &mut Report,
) -> Result<Option<Tip>> {
    let mut problem = |text: String| report.problem(Check::Coverage, text);
    let chain = &network.chain;
    let rows: Vec<&BlockRow> = own(tables, network).collect();
    let progress = tables.progress.iter().find(|row| row.network == network.id);
    let tip = progress.and_then(|row| Some((row.height?, row.hash.clone()?)));
    let (Some((height, hash)), Some(last)) = (tip, rows.last()) else {
        if !rows.is_empty() || options.at_head {
            problem(format!(
                "{chain} has blocks and no tip, or was not followed"
            ));
        }
        return Ok(None);
    };
    if (last.height, &last.hash) != (height, &hash) {
        problem(format!(
            "{chain}: the tip is {height} {}, the last block {} {}",
            short(&hash),
            last.height,
            short(&last.hash)
        ));
    }
    let own_start = network.settings["start_height"].as_i64();
    let start = options
        .from
        .and_then(|from| i64::try_from(from).ok())
        .or(own_start);
    if start.is_some_and(|start| rows[0].height != start) {
        problem(format!(
            "{chain} begins at block {}, not at {start:?}",
            rows[0].height
        ));
    }
    links(chain, &rows, &mut problem);
    same_genesis((node, network), &mut problem).await?;
    let good = same_hashes((node, chain), &rows, &mut problem).await?;
    let head = node.height().await?;
    if options.at_head && i64::try_from(head).ok() != Some(height) {
        problem(format!(
            "{chain} was followed to {height}, the node is at {head}"
        ));
    }
    let tip = Tip {
        first: u64::try_from(rows[0].height)?,
        height: u64::try_from(last.height)?,
        hash: last
            .hash
            .as_slice()
            .try_into()
            .context("a hash of 32 bytes")?,
    };
    Ok(good.then_some(tip))
}

fn own<'a>(tables: &'a Tables, network: &NetworkRow) -> impl Iterator<Item = &'a BlockRow> {
    tables
        .blocks
        .iter()
        .filter(move |row| row.network == network.id)
}

fn links(chain: &str, rows: &[&BlockRow], problem: &mut impl FnMut(String)) {
    for pair in rows.windows(2) {
        let [below, above] = pair else { continue };
        if above.height != below.height + 1 {
            problem(format!(
                "{chain}: block {} follows on {}",
                above.height, below.height
            ));
        } else if above.parent != below.hash {
            problem(format!(
                "{chain}: block {} is not on its parent",
                above.height
            ));
        }
    }
}

async fn same_genesis(
    (node, network): (&Node, &NetworkRow),
    problem: &mut impl FnMut(String),
) -> Result<()> {
    let genesis = node.headers(&[0]).await?[0];
    let genesis = genesis.context("the node has no first block")?;
    let hash = hex::encode(genesis.hash);
    let known = network.settings["genesis"].as_str().unwrap_or_default();
    if hash != known.trim_start_matches("0x") {
        problem(format!(
            "{}: the genesis block is {known:?}, the node's {hash:?}",
            network.chain
        ));
    }
    Ok(())
}

/// Whether the last row is a block of the node's; without that nothing can be compared.
async fn same_hashes(
    (node, chain): (&Node, &str),
    rows: &[&BlockRow],
    problem: &mut impl FnMut(String),
) -> Result<bool> {
    let heights: Result<Vec<u64>, _> = rows.iter().map(|row| u64::try_from(row.height)).collect();
    let headers = node.headers(&heights?).await?;
    let mut last_is_good = false;
    for (row, header) in rows.iter().zip(&headers) {
        last_is_good = false;
        let Some(header) = header else {
            problem(format!("{chain}: the node has no block {}", row.height));
            continue;
        };
        last_is_good = header.hash[..] == row.hash;
        if !last_is_good || header.parent[..] != row.parent {
            problem(format!(
                "{chain}: block {} is {} on the node, {} here",
                row.height,
                short(&header.hash),
                short(&row.hash)
            ));
        } else if header.root[..] != row.root {
            problem(format!("{chain}: block {} has another root", row.height));
        }
    }
    Ok(last_is_good)
}

/// What the rows say that the blocks hold is what they hold.
pub(super) fn counts(tables: &Tables, network: &NetworkRow, chain: &Chain, report: &mut Report) {
    let mut live: HashMap<i64, i64> = HashMap::new();
    let deposits = tables.deposits.iter();
    for deposit in deposits.filter(|row| row.network == network.id && row.is_live()) {
        *live.entry(deposit.height).or_default() += 1;
    }
    for row in own(tables, network) {
        let Some(block) = chain.blocks.get(&row.height) else {
            continue;
        };
        if (row.transactions, row.logs) != (block.transactions, block.logs) {
            report.problem(
                Check::Coverage,
                format!(
                    "{}: block {} holds {} transactions and {} logs or outputs; here {} and {}",
                    network.chain,
                    row.height,
                    block.transactions,
                    block.logs,
                    row.transactions,
                    row.logs
                ),
            );
        }
        let deposits = live.get(&row.height).copied().unwrap_or(0);
        if deposits != row.movements {
            report.problem(
                Check::Coverage,
                format!(
                    "{}: block {} has {deposits} deposits and says {} movements",
                    network.chain, row.height, row.movements
                ),
            );
        }
    }
}
