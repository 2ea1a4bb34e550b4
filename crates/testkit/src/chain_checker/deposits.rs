//! Deposits and movements of the chain, one to one.

use std::collections::{HashMap, HashSet};

use ruint::aliases::U256;

use super::chain::{Chain, GainKey, MovementKey};
use super::report::{Check, Report};
use super::tables::{AssetRow, DepositRow, NetworkRow, Tables};
use super::values::{name, short};

/// Confirmations of a coinbase before a next block may spend it.
const MATURITY: i64 = 100;

pub(super) fn check(tables: &Tables, network: &NetworkRow, chain: &Chain, report: &mut Report) {
    let assets = tables.assets.iter();
    let assets: HashMap<&[u8], &AssetRow> = assets
        .filter(|asset| asset.network == network.id)
        .map(|asset| (asset.id.as_slice(), asset))
        .collect();
    let mut problems = Vec::new();
    let mut live: HashMap<MovementKey, &DepositRow> = HashMap::new();
    let mut shares: HashMap<GainKey, (U256, U256)> = HashMap::new();
    let own = tables
        .deposits
        .iter()
        .filter(|row| row.network == network.id);
    for deposit in own {
        let text = name("dep", &deposit.id);
        let (Some(key), Some(asset)) = (key_of(deposit), assets.get(deposit.asset.as_slice()))
        else {
            problems.push(format!(
                "{text} is of another network's asset, or unreadable"
            ));
            continue;
        };
        whose(tables, deposit, &key, &mut problems);
        if !deposit.is_live() {
            if chain.movements.contains_key(&key) {
                problems.push(format!(
                    "{text} is retracted, and its movement is canonical"
                ));
            }
            continue;
        }
        if live.insert(key.clone(), deposit).is_some() {
            problems.push(format!("{text}: another deposit is the same movement"));
        }
        one(deposit, &key, asset, (chain, &mut problems));
        let share = shares
            .entry((deposit.height, deposit.address.clone(), asset.contract))
            .or_default();
        share.0 = share.0.saturating_add(deposit.units);
        share.1 = share.1.saturating_add(deposit.face);
        age(tables, network, (deposit, asset, chain), &mut problems);
    }
    gains(&shares, chain, &mut problems);
    missing(&live, chain, &mut problems);
    for text in problems {
        report.problem(Check::Deposits, text);
    }
}

fn key_of(deposit: &DepositRow) -> Option<MovementKey> {
    let transaction = deposit.transaction.as_slice().try_into().ok()?;
    Some((transaction, deposit.part.clone(), deposit.address.clone()))
}

/// The wallet of the address, if it has been given to one.
fn whose(tables: &Tables, deposit: &DepositRow, key: &MovementKey, problems: &mut Vec<String>) {
    let text = name("dep", &deposit.id);
    match tables.addresses.get(&key.2) {
        Some(wallet) if *wallet == deposit.wallet => {}
        Some(wallet) => problems.push(format!(
            "{text} belongs to {}, its address to {}",
            name("wal", &deposit.wallet),
            name("wal", wallet)
        )),
        None if tables.pooled.contains(&key.2) => {}
        None => problems.push(format!("{text} is to {}, which is not ours", key.2)),
    }
}

/// A deposit that counts is a movement of the canonical chain, in the block that it names.
fn one(
    deposit: &DepositRow,
    key: &MovementKey,
    asset: &AssetRow,
    (chain, problems): (&Chain, &mut Vec<String>),
) {
    let text = name("dep", &deposit.id);
    let Some(movement) = chain.movements.get(key) else {
        return problems.push(format!(
            "{text} ({} of {}) is {} and no movement of the chain: {} {}",
            deposit.units,
            asset.name,
            deposit.state,
            short(&key.0),
            key.1
        ));
    };
    if (movement.height, &movement.hash[..]) != (deposit.height, deposit.hash.as_slice()) {
        problems.push(format!(
            "{text} names block {}, its movement is in {}",
            deposit.height, movement.height
        ));
    }
    if movement.token != asset.contract || movement.face != deposit.face {
        problems.push(format!(
            "{text} says {} of {}, the chain says {} of {}",
            deposit.face,
            asset.name,
            movement.face,
            movement
                .token
                .map_or("its own coin".to_owned(), |token| short(&token))
        ));
    }
    if deposit.units > deposit.face {
        problems.push(format!("{text} credits more than its face"));
    }
}

/// Together they credit what the address gained, and never more than they claim.
fn gains(shares: &HashMap<GainKey, (U256, U256)>, chain: &Chain, problems: &mut Vec<String>) {
    for (key, (units, face)) in shares {
        let Some(gain) = chain.gains.get(key) else {
            // Said already: not a movement of the chain.
            continue;
        };
        let right = gain.unwrap_or(U256::ZERO).min(*face);
        if right != *units {
            problems.push(format!(
                "block {}: {} gained {right} of {}, deposits say {units}",
                key.0,
                key.1,
                key.2
                    .map_or("the chain's coin".to_owned(), |token| short(&token))
            ));
        }
    }
}

/// Credited not before its confirmations, and not later, unless the breaker or a person holds it.
fn age(
    tables: &Tables,
    network: &NetworkRow,
    (deposit, asset, chain): (&DepositRow, &AssetRow, &Chain),
    problems: &mut Vec<String>,
) {
    let text = name("dep", &deposit.id);
    let tip = i64::try_from(chain.tip.height).unwrap_or(i64::MAX);
    let confirmations = tip - deposit.height + 1;
    let needed = network.settings["confirmations"].as_i64().unwrap_or(1);
    // What pays a block's maker may be spent by nobody before.
    let needed = match deposit.part.starts_with("coinbase:") {
        true => needed.max(MATURITY),
        false => needed,
    };
    if deposit.is_credited() && confirmations < needed {
        problems.push(format!(
            "{text} is {} with {confirmations} confirmations of {needed}",
            deposit.state
        ));
    }
    let free = asset.state == "active" && network.state == "active";
    if deposit.state == "detected" && free && confirmations >= needed {
        problems.push(format!(
            "{text} is not credited after {confirmations} confirmations of {needed}"
        ));
    }
    let progress = tables.progress.iter().find(|row| row.network == network.id);
    let finalized = progress.and_then(|row| row.finalized);
    if deposit.state == "finalized" && finalized.is_none_or(|height| deposit.height > height) {
        problems.push(format!(
            "{text} is finalized, its block {} is not",
            deposit.height
        ));
    }
}

/// What came to an address of ours and is no deposit. Movements of nothing need not be one.
fn missing(live: &HashMap<MovementKey, &DepositRow>, chain: &Chain, problems: &mut Vec<String>) {
    let known: HashSet<&MovementKey> = live.keys().collect();
    for (key, movement) in &chain.movements {
        let gain = (movement.height, key.2.clone(), movement.token);
        let gained = chain.gains.get(&gain);
        let nothing = movement.face.is_zero()
            || gained.is_none_or(|gain| gain.is_none_or(|units| units.is_zero()));
        if !known.contains(key) && !nothing {
            problems.push(format!(
                "block {} moved {} to {} ({} {}), and there is no deposit of it",
                movement.height,
                movement.face,
                key.2,
                short(&key.0),
                key.1
            ));
        }
    }
}
