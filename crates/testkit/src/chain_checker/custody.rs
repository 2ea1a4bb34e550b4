//! What the ledger says that an address holds, against what it holds at the tip.

use std::collections::HashMap;

use anyhow::Result;

use super::Options;
use super::movements::Chain;
use super::node::Node;
use super::report::{Check, Report};
use super::tables::{AccountRow, AssetRow, NetworkRow, Tables};
use super::values::{Signed, name, short};

pub(super) async fn check(
    options: &Options,
    tables: &Tables,
    (node, network, chain): (&Node, &NetworkRow, &Chain),
    report: &mut Report,
) -> Result<()> {
    let assets: Vec<&AssetRow> = tables
        .assets
        .iter()
        .filter(|asset| asset.network == network.id && asset.state != "disabled")
        .collect();
    let mut custody: HashMap<(&[u8], &[u8]), &AccountRow> = HashMap::new();
    for account in tables.accounts.iter().filter(|row| row.kind == "custody") {
        let wallet = account.wallet.as_deref().unwrap_or_default();
        custody.insert((wallet, &account.asset), account);
    }
    for asset in assets {
        if let Some(token) = &asset.contract
            && !node.has_code(token, &chain.tip.hash).await?
        {
            let text = format!(
                "there is no contract of {} at the tip: nothing to compare",
                asset.name
            );
            report.problem(Check::Custody, text);
            continue;
        }
        let owners: Vec<(&[u8; 20], &Vec<u8>)> = tables.addresses.iter().collect();
        let asked: Vec<_> = owners
            .iter()
            .map(|(address, _)| (**address, asset.contract, chain.tip.hash))
            .collect();
        let balances = node.balances(&asked).await?;
        for ((address, wallet), held) in owners.iter().zip(balances) {
            let account = custody.get(&(wallet.as_slice(), asset.id.as_slice()));
            let ledger = account.map(|row| position(row)).unwrap_or_default();
            report.positions += 1;
            if ledger.is(held) {
                continue;
            }
            let text = format!(
                "{} at {} holds {held} of {}, the ledger says {ledger}",
                name("wal", wallet),
                short(&address[..]),
                asset.name
            );
            if options.tripped_may_differ && asset.state == "tripped" {
                report.tripped.push(text);
            } else {
                report.problem(Check::Custody, text);
            }
        }
    }
    Ok(())
}

/// Posted and pending together: what lies at the address, credited or not.
fn position(account: &AccountRow) -> Signed {
    let mut sum = Signed::default();
    sum.add(account.sums.posted_debits);
    sum.add(account.sums.pending_debits);
    sum.sub(account.sums.posted_credits);
    sum.sub(account.sums.pending_credits);
    sum
}
