//! The books: accounts, transactions, entries.

use anyhow::{Context, Result};
use ruint::aliases::U256;

use super::super::values::units;
use super::{Bytes, Connected};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) struct Sums {
    pub posted_debits: U256,
    pub posted_credits: U256,
    pub pending_debits: U256,
    pub pending_credits: U256,
}

type SumBytes = (Bytes, Bytes, Bytes, Bytes);

impl Sums {
    fn of(bytes: &SumBytes) -> Result<Self> {
        Ok(Self {
            posted_debits: units(&bytes.0)?,
            posted_credits: units(&bytes.1)?,
            pending_debits: units(&bytes.2)?,
            pending_credits: units(&bytes.3)?,
        })
    }
}

pub(in super::super) struct AccountRow {
    pub id: Bytes,
    pub organization: Bytes,
    pub asset: Bytes,
    pub kind: String,
    pub wallet: Option<Bytes>,
    pub version: i64,
    pub sums: Sums,
}

pub(in super::super) struct TransactionRow {
    pub organization: Bytes,
    pub seq: i64,
    pub id: Bytes,
    pub source_kind: String,
    pub source_id: String,
    pub phase: String,
    pub resolves: Option<Bytes>,
    pub asset: Bytes,
    pub legs: Bytes,
    pub at: i64,
    pub hash: Bytes,
}

pub(in super::super) struct EntryRow {
    pub account: Bytes,
    pub version: i64,
    pub organization: Bytes,
    pub seq: i64,
    pub leg: i64,
    pub side: String,
    pub phase: String,
    pub units: U256,
    pub sums: Sums,
}

type AccountTuple = (
    Bytes,
    Bytes,
    Bytes,
    String,
    Option<Bytes>,
    i64,
    Bytes,
    Bytes,
    Bytes,
    Bytes,
);

pub(super) async fn accounts(db: &mut Connected) -> Result<Vec<AccountRow>> {
    let rows = rows!(
        *db,
        "SELECT id, organization_id, asset_id, kind, wallet_id, version, posted_debits, posted_credits, pending_debits, \
         pending_credits FROM ledger_accounts",
        AccountTuple
    );
    rows.into_iter()
        .map(|row| {
            Ok(AccountRow {
                id: row.0,
                organization: row.1,
                asset: row.2,
                kind: row.3,
                wallet: row.4,
                version: row.5,
                sums: Sums::of(&(row.6, row.7, row.8, row.9))?,
            })
        })
        .collect()
}

type TransactionTuple = (
    Bytes,
    i64,
    Bytes,
    String,
    String,
    String,
    Option<Bytes>,
    Bytes,
    Bytes,
    i64,
    Bytes,
);

pub(super) async fn transactions(db: &mut Connected) -> Result<Vec<TransactionRow>> {
    let rows = rows!(
        *db,
        "SELECT organization_id, seq, id, source_kind, source_id, phase, resolves, asset_id, legs, at, hash \
         FROM ledger_transactions ORDER BY organization_id, seq",
        TransactionTuple
    );
    let row = |row: TransactionTuple| TransactionRow {
        organization: row.0,
        seq: row.1,
        id: row.2,
        source_kind: row.3,
        source_id: row.4,
        phase: row.5,
        resolves: row.6,
        asset: row.7,
        legs: row.8,
        at: row.9,
        hash: row.10,
    };
    Ok(rows.into_iter().map(row).collect())
}

type EntryTuple = (
    Bytes,
    i64,
    Bytes,
    i64,
    i64,
    String,
    String,
    Bytes,
    Bytes,
    Bytes,
    Bytes,
    Bytes,
);

pub(super) async fn entries(db: &mut Connected) -> Result<Vec<EntryRow>> {
    let rows = rows!(
        *db,
        "SELECT account_id, version, organization_id, transaction_seq, leg, side, phase, units, posted_debits, \
         posted_credits, pending_debits, pending_credits FROM ledger_entries ORDER BY account_id, version",
        EntryTuple
    );
    rows.into_iter()
        .map(|row| {
            Ok(EntryRow {
                account: row.0,
                version: row.1,
                organization: row.2,
                seq: row.3,
                leg: row.4,
                side: row.5,
                phase: row.6,
                units: units(&row.7)?,
                sums: Sums::of(&(row.8, row.9, row.10, row.11))?,
            })
        })
        .collect()
}
