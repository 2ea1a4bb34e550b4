//! What customers have, from their deposits.
//!
//! Per wallet and asset, with `of(kind)` for what deposits have posted to the account of that kind:
//!
//! - customer, less what is owed back, = the credited deposits;
//! - customer's pending = the detected ones; suspense = those held and rejected;
//! - and each deposit by itself: what its steps did to custody is its amount while it counts, else nothing.
//!
//! What other sources than deposits posted (holds, transfers, corrections) is left out of the sums, and is
//! checked by the ledger's own rules.

use std::collections::HashMap;

use ruint::aliases::U256;

use super::report::{Check, Report};
use super::tables::{AccountRow, DepositRow, EntryRow, Tables, TransactionRow};
use super::values::{Signed, name};

/// Wallet and asset.
type Owner<'a> = (&'a [u8], &'a [u8]);

#[derive(Default, Clone, Copy)]
struct Totals {
    credited: U256,
    detected: U256,
    shelved: U256,
}

#[derive(Default, Clone, Copy)]
struct Books {
    /// Customer, posted, less what is owed back.
    customer: Signed,
    pending: Signed,
    suspense: Signed,
}

pub(super) fn check(tables: &Tables, report: &mut Report) {
    let accounts: HashMap<&[u8], &AccountRow> = tables
        .accounts
        .iter()
        .map(|row| (row.id.as_slice(), row))
        .collect();
    let sources: HashMap<(&[u8], i64), &TransactionRow> = tables
        .transactions
        .iter()
        .map(|row| ((row.organization.as_slice(), row.seq), row))
        .collect();
    let mut books: HashMap<Owner<'_>, Books> = HashMap::new();
    let mut custody: HashMap<&str, Signed> = HashMap::new();
    for entry in &tables.entries {
        let source = sources.get(&(entry.organization.as_slice(), entry.seq));
        let account = accounts.get(entry.account.as_slice());
        let (Some(source), Some(account)) = (source, account) else {
            // The ledger's own check has said so.
            continue;
        };
        if source.source_kind != "deposit" {
            continue;
        }
        let deposit = source.source_id.split('/').next().unwrap_or_default();
        let wallet = account.wallet.as_deref().unwrap_or_default();
        let own = books.entry((wallet, &account.asset)).or_default();
        match account.kind.as_str() {
            "custody" => position(custody.entry(deposit).or_default(), entry, true),
            "customer" => customer(own, entry),
            "suspense" => position(&mut own.suspense, entry, false),
            // A debt: what is owed back counts against what the customer has.
            "reversal_due" => position(&mut own.customer, entry, false),
            kind => report.problem(
                Check::Customers,
                format!("{} posted to an account of kind {kind}", source.source_id),
            ),
        }
    }
    each(tables, &mut custody, report);
    owners(tables, books, report);
}

/// Adds an entry to a sum that grows on the debit side, or on the credit side.
fn position(sum: &mut Signed, entry: &EntryRow, debit_adds: bool) {
    let adds = (entry.side == "debit") == debit_adds;
    let counts = match entry.phase.as_str() {
        // What was pending was counted when it was announced.
        "post" => return,
        "void" => !adds,
        _ => adds,
    };
    if counts {
        sum.add(entry.units);
    } else {
        sum.sub(entry.units);
    }
}

fn customer(own: &mut Books, entry: &EntryRow) {
    let credit = entry.side == "credit";
    let add = |sum: &mut Signed, up: bool| {
        if up {
            sum.add(entry.units);
        } else {
            sum.sub(entry.units);
        }
    };
    match entry.phase.as_str() {
        "pending" => add(&mut own.pending, credit),
        "void" => add(&mut own.pending, !credit),
        "post" => {
            add(&mut own.pending, !credit);
            add(&mut own.customer, credit);
        }
        _ => add(&mut own.customer, credit),
    }
}

/// Each deposit's steps together come to its amount, or to nothing.
fn each(tables: &Tables, custody: &mut HashMap<&str, Signed>, report: &mut Report) {
    for deposit in &tables.deposits {
        let id = name("dep", &deposit.id);
        let sum = custody.remove(id.as_str()).unwrap_or_default();
        let right = if deposit.is_live() {
            deposit.units
        } else {
            U256::ZERO
        };
        if !sum.is(right) {
            report.problem(
                Check::Customers,
                format!(
                    "{id} is {} with {} units after {} inclusions, its postings come to {sum}",
                    deposit.state, deposit.units, deposit.inclusion
                ),
            );
        }
    }
    for source in custody.keys() {
        report.problem(
            Check::Customers,
            format!("the ledger has postings of {source}, which is no deposit"),
        );
    }
}

fn totals(tables: &Tables) -> HashMap<Owner<'_>, Totals> {
    let mut totals: HashMap<Owner<'_>, Totals> = HashMap::new();
    let live = tables.deposits.iter().filter(|row| row.is_live());
    for deposit in live {
        let own = totals.entry((&deposit.wallet, &deposit.asset)).or_default();
        let sum = sum_of(own, deposit);
        *sum = sum.saturating_add(deposit.units);
    }
    totals
}

fn sum_of<'a>(own: &'a mut Totals, deposit: &DepositRow) -> &'a mut U256 {
    match deposit.state.as_str() {
        "confirmed" | "finalized" => &mut own.credited,
        "detected" => &mut own.detected,
        _ => &mut own.shelved,
    }
}

fn owners<'a>(tables: &'a Tables, mut books: HashMap<Owner<'a>, Books>, report: &mut Report) {
    let mut judge = |owner: Owner<'a>, own: Books, right: Totals| {
        let lines = [
            ("has", own.customer, right.credited),
            ("has pending", own.pending, right.detected),
            ("has in suspense", own.suspense, right.shelved),
        ];
        for (what, sum, right) in lines {
            if !sum.is(right) {
                report.problem(
                    Check::Customers,
                    format!(
                        "{} {what} {sum} of {}, its deposits come to {right}",
                        name("wal", owner.0),
                        name("ast", owner.1)
                    ),
                );
            }
        }
    };
    for (owner, right) in totals(tables) {
        judge(owner, books.remove(&owner).unwrap_or_default(), right);
    }
    for (owner, own) in books {
        judge(owner, own, Totals::default());
    }
}
