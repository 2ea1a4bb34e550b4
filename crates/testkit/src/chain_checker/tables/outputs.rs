//! The record of outputs.

use anyhow::{Context, Result};
use ruint::aliases::U256;

use super::super::values::units;
use super::{Address, Bytes, Connected};

pub(in super::super) struct OutputRow {
    pub network: Bytes,
    pub transaction: Bytes,
    pub number: i64,
    pub asset: Bytes,
    pub wallet: Bytes,
    pub address: Address,
    pub units: U256,
    pub height: i64,
    pub hash: Bytes,
    pub is_coinbase: bool,
    pub spent_by: Option<Bytes>,
    pub spent_height: Option<i64>,
    pub spent_hash: Option<Bytes>,
}

type OutputTuple = (
    Bytes,
    Bytes,
    i64,
    Bytes,
    Bytes,
    i64,
    Bytes,
    Bytes,
    i64,
    Bytes,
    i64,
    Option<Bytes>,
    Option<i64>,
    Option<Bytes>,
);

pub(super) async fn read(db: &mut Connected) -> Result<Vec<OutputRow>> {
    let rows = rows!(
        *db,
        "SELECT network_id, transaction_hash, number, asset_id, wallet_id, address_kind, address, units, block_height, \
         block_hash, is_coinbase, spent_by, spent_height, spent_hash FROM outputs",
        OutputTuple
    );
    rows.into_iter()
        .map(|row| {
            Ok(OutputRow {
                network: row.0,
                transaction: row.1,
                number: row.2,
                asset: row.3,
                wallet: row.4,
                address: Address {
                    kind: row.5,
                    payload: row.6,
                },
                units: units(&row.7)?,
                height: row.8,
                hash: row.9,
                is_coinbase: row.10 != 0,
                spent_by: row.11,
                spent_height: row.12,
                spent_hash: row.13,
            })
        })
        .collect()
}
