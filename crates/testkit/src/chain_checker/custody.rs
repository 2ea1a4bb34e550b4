//! What the ledger says that a wallet's addresses hold, against what they hold at the tip.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use ruint::aliases::U256;

use super::Options;
use super::chain::Chain;
use super::node::Node;
use super::report::{Check, Report};
use super::tables::{AccountRow, Address, AssetRow, NetworkRow, Tables};
use super::values::{Signed, name};

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
    let mut owned: BTreeMap<&[u8], Vec<&Address>> = BTreeMap::new();
    for (address, wallet) in tables.addresses.iter().filter(|one| node.has(one.0)) {
        owned.entry(wallet).or_default().push(address);
    }
    let addresses: Vec<&Address> = owned.values().flatten().copied().collect();
    for asset in assets {
        if !node.knows(asset.contract.as_ref(), &chain.tip).await? {
            let text = format!(
                "there is no contract of {} at the tip: nothing to compare",
                asset.name
            );
            report.problem(Check::Custody, text);
            continue;
        }
        let holdings = node.holdings(chain, asset.contract, &addresses).await?;
        let mut holdings = holdings.into_iter();
        for (wallet, addresses) in &owned {
            let own = holdings.by_ref().take(addresses.len());
            let held = own.fold(U256::ZERO, |sum, units| sum.saturating_add(units));
            let account = custody.get(&(*wallet, asset.id.as_slice()));
            let ledger = account.map(|row| position(row)).unwrap_or_default();
            report.positions += 1;
            if ledger.is(held) {
                continue;
            }
            let at: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let text = format!(
                "{} at {} holds {held} of {}, the ledger says {ledger}",
                name("wal", wallet),
                at.join(" and "),
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
