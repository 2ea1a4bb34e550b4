//! Every change lies under an audit record: each ledger transaction, each block that brought a deposit, each block
//! that was taken back.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::report::{Check, Report};
use super::tables::Tables;
use super::values::{name, short};

/// By organization and number of the ledger transaction.
type Hashes<'a> = HashMap<(&'a [u8], i64), String>;

/// A record says how far the ledger had come with it: number and hash of the last transaction.
struct Mark {
    audit_seq: i64,
    ledger_seq: i64,
    hash: String,
}

pub(super) fn check(tables: &Tables, report: &mut Report) {
    let mut hashes: Hashes<'_> = HashMap::new();
    for row in &tables.transactions {
        let key = (row.organization.as_slice(), row.seq);
        hashes.insert(key, hex::encode(&row.hash));
    }
    let mut ends: HashMap<&[u8], i64> = HashMap::new();
    let mut blocks = Blocks::default();
    for row in &tables.audit {
        let Ok(payload) = serde_json::from_str::<Value>(&row.payload) else {
            report.problem(Check::Audit, format!("audit record {} is no JSON", row.seq));
            continue;
        };
        blocks.take(&row.object, &row.action, &payload["data"]["block"]["hash"]);
        let mut marks = Vec::new();
        collect(row.seq, &payload, &mut marks);
        let end = ends.entry(&row.organization).or_insert(0);
        for mark in marks {
            judge(&mark, *end, &row.organization, &hashes, report);
            *end = mark.ledger_seq.max(*end);
        }
    }
    blocks.judge(tables, report);
    heads(tables, (&hashes, &ends), report);
}

fn heads(
    tables: &Tables,
    (hashes, ends): (&Hashes<'_>, &HashMap<&[u8], i64>),
    report: &mut Report,
) {
    for (organization, seq, hash) in &tables.heads {
        let last = hashes.get(&(organization.as_slice(), *seq));
        let empty = *seq == 0;
        if !empty && last != Some(&hex::encode(hash)) {
            report.problem(
                Check::Ledger,
                format!("the ledger's head names transaction {seq} with another hash"),
            );
        }
        let audited = ends.get(organization.as_slice()).copied().unwrap_or(0);
        if audited != *seq {
            report.problem(
                Check::Audit,
                format!("the ledger ends at {seq}, the audit records name {audited}"),
            );
        }
        let more = hashes
            .keys()
            .filter(|(owner, number)| *owner == organization.as_slice() && number > seq)
            .count();
        if more > 0 {
            report.problem(
                Check::Ledger,
                format!("{more} transactions lie beyond the ledger's head"),
            );
        }
    }
    let headless = |owner: &[u8]| !tables.heads.iter().any(|(known, ..)| known == owner);
    if hashes.keys().any(|(owner, _)| headless(owner)) {
        report.problem(
            Check::Ledger,
            "an organization has transactions and no head".to_owned(),
        );
    }
}

/// Network and hash of the blocks that records name.
#[derive(Default)]
struct Blocks {
    undone: HashMap<(String, String), usize>,
    others: HashSet<(String, String)>,
}

impl Blocks {
    fn take(&mut self, network: &str, action: &str, hash: &Value) {
        let Some(hash) = hash.as_str() else { return };
        let key = (network.to_owned(), hash.to_owned());
        if action == "block.undone" {
            *self.undone.entry(key).or_default() += 1;
        } else {
            self.others.insert(key);
        }
    }

    fn judge(mut self, tables: &Tables, report: &mut Report) {
        for (network, hash) in &tables.orphaned {
            let key = (name("net", network), short(hash));
            match self.undone.get_mut(&key) {
                Some(left) if *left > 0 => *left -= 1,
                _ => report.problem(
                    Check::Audit,
                    format!(
                        "block {} was taken back, and no audit record says so",
                        key.1
                    ),
                ),
            }
        }
        if self.undone.values().any(|left| *left > 0) {
            report.problem(
                Check::Audit,
                "audit records name blocks taken back that are not on record".to_owned(),
            );
        }
        for deposit in &tables.deposits {
            let key = (name("net", &deposit.network), short(&deposit.hash));
            if !self.others.contains(&key) {
                report.problem(
                    Check::Audit,
                    format!(
                        "no audit record names the block of {}",
                        name("dep", &deposit.id)
                    ),
                );
            }
        }
    }
}

fn judge(mark: &Mark, end: i64, organization: &[u8], hashes: &Hashes<'_>, report: &mut Report) {
    let Mark {
        audit_seq,
        ledger_seq,
        hash,
    } = mark;
    if *ledger_seq < end {
        report.problem(
            Check::Audit,
            format!("audit record {audit_seq} names ledger transaction {ledger_seq} after {end}"),
        );
    }
    // Before the first transaction there is no hash to compare with.
    if *ledger_seq > 0 && hashes.get(&(organization, *ledger_seq)) != Some(hash) {
        report.problem(
            Check::Audit,
            format!(
                "audit record {audit_seq} names another hash of ledger transaction {ledger_seq}"
            ),
        );
    }
}

/// Marks may lie anywhere in a record.
fn collect(audit_seq: i64, value: &Value, marks: &mut Vec<Mark>) {
    match value {
        Value::Object(map) => {
            if let (Some(seq), Some(hash)) = (
                map.get("ledger_seq").and_then(Value::as_i64),
                map.get("ledger_hash").and_then(Value::as_str),
            ) {
                marks.push(Mark {
                    audit_seq,
                    ledger_seq: seq,
                    hash: hash.trim_start_matches("0x").to_owned(),
                });
            }
            map.values()
                .for_each(|value| collect(audit_seq, value, marks));
        }
        Value::Array(list) => list
            .iter()
            .for_each(|value| collect(audit_seq, value, marks)),
        _ => {}
    }
}
