//! The record of outputs, row by row against what the blocks made and spent.

use std::collections::HashSet;

use super::chain::{Chain, OutputKey};
use super::report::{Check, Report};
use super::tables::{NetworkRow, OutputRow, Tables};
use super::values::{name, short};

pub(super) fn check(tables: &Tables, network: &NetworkRow, chain: &Chain, report: &mut Report) {
    let mut problems = Vec::new();
    let mut known: HashSet<OutputKey> = HashSet::new();
    let own = tables
        .outputs
        .iter()
        .filter(|row| row.network == network.id);
    for row in own {
        let text = format!("output {}:{}", short(&row.transaction), row.number);
        let Ok(transaction) = <[u8; 32]>::try_from(row.transaction.as_slice()) else {
            problems.push(format!("{text} is of no transaction"));
            continue;
        };
        if !known.insert((transaction, row.number)) {
            problems.push(format!("{text} is on record twice"));
        }
        one(tables, (row, &text, transaction), chain, &mut problems);
    }
    for (key, output) in &chain.outputs {
        // An output of nothing is no deposit, and need not be on record.
        if !known.contains(key) && !output.units.is_zero() {
            problems.push(format!(
                "block {} made output {}:{} of {} for {}, and it is not on record",
                output.height,
                short(&key.0),
                key.1,
                output.units,
                output.address
            ));
        }
    }
    for text in problems {
        report.problem(Check::Outputs, text);
    }
}

fn one(
    tables: &Tables,
    (row, text, transaction): (&OutputRow, &str, [u8; 32]),
    chain: &Chain,
    problems: &mut Vec<String>,
) {
    let Some(output) = chain.outputs.get(&(transaction, row.number)) else {
        return problems.push(format!("{text} was made for us by no block of the chain"));
    };
    let mut differs = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            problems.push(format!("{text}: {what} is {ours}, on the chain {theirs}"));
        }
    };
    differs(
        "its address",
        row.address.to_string(),
        output.address.to_string(),
    );
    differs(
        "its amount",
        row.units.to_string(),
        output.units.to_string(),
    );
    let block = |height: i64, hash: &[u8]| format!("{height} {}", short(hash));
    differs(
        "its block",
        block(row.height, &row.hash),
        block(output.height, &output.hash),
    );
    differs(
        "being a coinbase's",
        row.is_coinbase.to_string(),
        output.is_coinbase.to_string(),
    );
    let spent = |by: Option<(&[u8], i64, &[u8])>| match by {
        None => "not spent".to_owned(),
        Some((by, height, hash)) => format!("spent by {} in {}", short(by), block(height, hash)),
    };
    let theirs = output.spent.as_ref();
    let theirs = theirs.map(|(by, height, hash)| (&by[..], *height, &hash[..]));
    let ours = match (&row.spent_by, row.spent_height, &row.spent_hash) {
        (None, None, None) => spent(None),
        (Some(by), Some(height), Some(hash)) => spent(Some((by, height, hash))),
        _ => "half spent".to_owned(),
    };
    differs("its end", ours, spent(theirs));
    let asset = tables.assets.iter().find(|asset| asset.id == row.asset);
    if asset.is_none_or(|asset| asset.network != row.network || asset.contract.is_some()) {
        problems.push(format!("{text} is of another asset than the chain's coin"));
    }
    match tables.addresses.get(&output.address) {
        Some(wallet) if *wallet != row.wallet => problems.push(format!(
            "{text} belongs to {}, its address to {}",
            name("wal", &row.wallet),
            name("wal", wallet)
        )),
        _ => {}
    }
}
