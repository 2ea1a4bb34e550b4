//! The books by themselves: sums, folds, versions, links.

use std::collections::{HashMap, HashSet};

use ruint::aliases::U256;
use sha2::{Digest, Sha256};

use super::report::{Check, Report};
use super::tables::{AccountRow, EntryRow, Sums, Tables, TransactionRow};
use super::values::name;

pub(super) fn check(tables: &Tables, report: &mut Report) {
    let mut problems = Vec::new();
    accounts(tables, &mut problems);
    transactions(tables, &mut problems);
    totals(tables, &mut problems);
    for text in problems {
        report.problem(Check::Ledger, text);
    }
}

/// Each account's entries, folded again from the first: versions, running balances, and the head at the end.
fn accounts(tables: &Tables, problems: &mut Vec<String>) {
    let mut heads: HashMap<&[u8], &AccountRow> = HashMap::new();
    for account in &tables.accounts {
        heads.insert(&account.id, account);
    }
    for entries in tables
        .entries
        .chunk_by(|one, other| one.account == other.account)
    {
        let account = name("lac", &entries[0].account);
        let sums = folded(&account, entries, problems);
        match heads.remove(entries[0].account.as_slice()) {
            None => problems.push(format!("{account} has entries and no head")),
            Some(head) => {
                let last = entries.last().map_or(0, |entry| entry.version);
                if head.version != last || Some(head.sums) != sums {
                    problems.push(format!("the head of {account} is not its last entry"));
                }
                overdrawn(head, problems);
            }
        }
    }
    for (id, head) in heads {
        if head.version != 0 || head.sums != Sums::default() {
            problems.push(format!("{} has a balance and no entries", name("lac", id)));
        }
    }
}

/// The balance after the last entry; `None` once something cannot be added.
fn folded(account: &str, entries: &[EntryRow], problems: &mut Vec<String>) -> Option<Sums> {
    let mut sums = Some(Sums::default());
    for (position, entry) in entries.iter().enumerate() {
        if entry.version != position as i64 + 1 {
            problems.push(format!(
                "{account}: entry {} stands where {} belongs",
                entry.version,
                position + 1
            ));
        }
        if entry.units.is_zero() {
            problems.push(format!("{account}: entry {} moves nothing", entry.version));
        }
        sums = sums.and_then(|sums| moved(sums, entry));
        if sums != Some(entry.sums) {
            problems.push(format!(
                "{account}: the balance with entry {} is not the sum of its entries",
                entry.version
            ));
            sums = Some(entry.sums);
        }
    }
    sums
}

fn moved(mut sums: Sums, entry: &EntryRow) -> Option<Sums> {
    let (posted, pending) = match entry.side.as_str() {
        "debit" => (&mut sums.posted_debits, &mut sums.pending_debits),
        "credit" => (&mut sums.posted_credits, &mut sums.pending_credits),
        _ => return None,
    };
    let units = entry.units;
    match entry.phase.as_str() {
        "posted" => *posted = posted.checked_add(units)?,
        "pending" => *pending = pending.checked_add(units)?,
        "post" => {
            *pending = pending.checked_sub(units)?;
            *posted = posted.checked_add(units)?;
        }
        "void" => *pending = pending.checked_sub(units)?,
        _ => return None,
    }
    Some(sums)
}

/// Nobody may have less than nothing.
fn overdrawn(head: &AccountRow, problems: &mut Vec<String>) {
    let debits = head
        .sums
        .posted_debits
        .checked_add(head.sums.pending_debits);
    let credits = head
        .sums
        .posted_credits
        .checked_add(head.sums.pending_credits);
    let bad = match head.kind.as_str() {
        "custody" | "reversal_due" => head.sums.posted_credits > debits.unwrap_or(U256::MAX),
        "customer" | "suspense" | "holding" => {
            head.sums.posted_debits > credits.unwrap_or(U256::MAX)
        }
        "adjustment" => false,
        _ => true,
    };
    if bad {
        problems.push(format!(
            "{} ({}) is overdrawn or of no known kind",
            name("lac", &head.id),
            head.kind
        ));
    }
}

/// Numbers without a gap, legs that are the entries, sides that are equal, and pending ones resolved once.
fn transactions(tables: &Tables, problems: &mut Vec<String>) {
    let mut entries: HashMap<(&[u8], i64), Vec<&EntryRow>> = HashMap::new();
    for entry in &tables.entries {
        let key = (entry.organization.as_slice(), entry.seq);
        entries.entry(key).or_default().push(entry);
    }
    let assets: HashMap<&[u8], &AccountRow> = tables
        .accounts
        .iter()
        .map(|row| (row.id.as_slice(), row))
        .collect();
    let mut pending: HashMap<&[u8], Vec<Line>> = HashMap::new();
    let mut ids = HashSet::new();
    let mut ends: HashMap<&[u8], (i64, &[u8])> = HashMap::new();
    for row in &tables.transactions {
        let text = format!("ledger transaction {} ({})", row.seq, row.source_id);
        let end = ends.entry(&row.organization).or_insert((0, &[0; 32]));
        if row.seq != end.0 + 1 {
            problems.push(format!("{text} follows on number {}", end.0));
        }
        if !ids.insert((&row.id, &row.organization)) {
            problems.push(format!("{text} is there twice"));
        }
        let mut own = entries
            .remove(&(row.organization.as_slice(), row.seq))
            .unwrap_or_default();
        own.sort_by_key(|entry| entry.leg);
        if hash_of(row, &own, end.1)[..] != row.hash {
            problems.push(format!("{text} has another hash"));
        }
        *end = (row.seq, &row.hash);
        legs(row, &own, &assets, (&text, problems));
        resolved(row, &own, &mut pending, (&text, problems));
    }
    if !entries.is_empty() {
        problems.push(format!(
            "{} groups of entries belong to no transaction",
            entries.len()
        ));
    }
}

/// SHA-256 over tag, the hash before, organization, number, id, asset, time; source kind, source id and phase with
/// their lengths; what it resolves; and of each entry account, version, side, phase and five amounts of 32 bytes.
fn hash_of(row: &TransactionRow, own: &[&EntryRow], previous: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let text = |hash: &mut Sha256, text: &str| {
        hash.update((text.len() as u32).to_be_bytes());
        hash.update(text.as_bytes());
    };
    hash.update(b"coffer ledger transaction v1");
    hash.update(previous);
    hash.update(&row.organization);
    hash.update(row.seq.to_be_bytes());
    hash.update(&row.id);
    hash.update(&row.asset);
    hash.update(row.at.to_be_bytes());
    for part in [&row.source_kind, &row.source_id, &row.phase] {
        text(&mut hash, part);
    }
    hash.update(row.resolves.as_deref().unwrap_or(&[0; 16]));
    hash.update((own.len() as u32).to_be_bytes());
    for entry in own {
        hash.update(&entry.account);
        hash.update(entry.version.to_be_bytes());
        hash.update([u8::from(entry.side == "credit")]);
        text(&mut hash, &entry.phase);
        let sums = entry.sums;
        for amount in [
            entry.units,
            sums.posted_debits,
            sums.posted_credits,
            sums.pending_debits,
            sums.pending_credits,
        ] {
            hash.update(amount.to_be_bytes::<32>());
        }
    }
    hash.finalize().into()
}

/// Account, side, amount.
type Line = (Vec<u8>, String, U256);

fn lines(own: &[&EntryRow]) -> Vec<Line> {
    own.iter()
        .map(|entry| (entry.account.clone(), entry.side.clone(), entry.units))
        .collect()
}

fn legs(
    row: &TransactionRow,
    own: &[&EntryRow],
    assets: &HashMap<&[u8], &AccountRow>,
    (text, problems): (&str, &mut Vec<String>),
) {
    let mut packed = Vec::new();
    let (mut debits, mut credits) = (U256::ZERO, U256::ZERO);
    for (position, entry) in own.iter().enumerate() {
        packed.extend(&entry.account);
        packed.extend(entry.version.to_be_bytes());
        if entry.leg != position as i64 || entry.phase != row.phase {
            problems.push(format!("{text}: leg {} is out of place", entry.leg));
        }
        match entry.side.as_str() {
            "debit" => debits = debits.saturating_add(entry.units),
            _ => credits = credits.saturating_add(entry.units),
        }
        match assets.get(entry.account.as_slice()) {
            Some(account)
                if account.asset == row.asset && account.organization == row.organization => {}
            _ => problems.push(format!("{text} touches an account of another asset")),
        }
    }
    if packed != row.legs {
        problems.push(format!("{text}: its legs are not its entries"));
    }
    if own.is_empty() || debits != credits {
        problems.push(format!("{text}: debits of {debits}, credits of {credits}"));
    }
}

/// What posts or voids has the lines of what it resolves, which no other has resolved.
fn resolved<'a>(
    row: &'a TransactionRow,
    own: &[&EntryRow],
    pending: &mut HashMap<&'a [u8], Vec<Line>>,
    (text, problems): (&str, &mut Vec<String>),
) {
    match (row.phase.as_str(), &row.resolves) {
        ("posted", None) => {}
        ("pending", None) => drop(pending.insert(&row.id, lines(own))),
        ("post" | "void", Some(of)) => match pending.remove(of.as_slice()) {
            Some(announced) if announced == lines(own) => {}
            Some(_) => problems.push(format!("{text} has other legs than what it resolves")),
            None => problems.push(format!("{text} resolves what is not pending")),
        },
        (phase, _) => problems.push(format!("{text} is {phase}, which it cannot be")),
    }
}

/// Per organization and asset, over everything: debits are credits.
fn totals(tables: &Tables, problems: &mut Vec<String>) {
    let mut sums: HashMap<(&[u8], &[u8]), [U256; 4]> = HashMap::new();
    for account in &tables.accounts {
        let key = (account.organization.as_slice(), account.asset.as_slice());
        let all = [
            account.sums.posted_debits,
            account.sums.posted_credits,
            account.sums.pending_debits,
            account.sums.pending_credits,
        ];
        let sum = sums.entry(key).or_default();
        for (sum, units) in sum.iter_mut().zip(all) {
            *sum = sum.saturating_add(units);
        }
    }
    for (
        (_, asset),
        [
            posted_debits,
            posted_credits,
            pending_debits,
            pending_credits,
        ],
    ) in sums
    {
        if posted_debits != posted_credits || pending_debits != pending_credits {
            problems.push(format!(
                "{}: debits of {posted_debits} (and {pending_debits} pending), credits of {posted_credits} (and \
                 {pending_credits} pending)",
                name("ast", asset)
            ));
        }
    }
}
