//! Deposits, in whatever state.

use anyhow::{Context, Result};
use ruint::aliases::U256;

use super::super::values::units;
use super::{Address, Bytes, Connected};

pub(in super::super) struct DepositRow {
    pub id: Bytes,
    pub network: Bytes,
    pub asset: Bytes,
    pub wallet: Bytes,
    pub address: Address,
    pub transaction: Bytes,
    pub part: String,
    pub face: U256,
    pub units: U256,
    pub height: i64,
    pub hash: Bytes,
    pub inclusion: i64,
    pub state: String,
}

impl DepositRow {
    pub(in super::super) fn is_live(&self) -> bool {
        self.state != "retracted"
    }

    pub(in super::super) fn is_credited(&self) -> bool {
        matches!(self.state.as_str(), "confirmed" | "finalized")
    }
}

type DepositTuple = (
    Bytes,
    Bytes,
    Bytes,
    Bytes,
    i64,
    Bytes,
    Bytes,
    String,
    Bytes,
    Bytes,
    i64,
    Bytes,
    i64,
    String,
);

pub(super) async fn read(db: &mut Connected) -> Result<Vec<DepositRow>> {
    let rows = rows!(
        *db,
        "SELECT id, network_id, asset_id, wallet_id, address_kind, address, transaction_hash, part, face_units, units, \
         block_height, block_hash, inclusion, state FROM deposits ORDER BY network_id, block_height, id",
        DepositTuple
    );
    rows.into_iter()
        .map(|row| {
            Ok(DepositRow {
                id: row.0,
                network: row.1,
                asset: row.2,
                wallet: row.3,
                address: Address {
                    kind: row.4,
                    payload: row.5,
                },
                transaction: row.6,
                part: row.7,
                face: units(&row.8)?,
                units: units(&row.9)?,
                height: row.10,
                hash: row.11,
                inclusion: row.12,
                state: row.13,
            })
        })
        .collect()
}
