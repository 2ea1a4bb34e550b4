//! Address pools: watermarks, and entries that are derived and verified but belong to nobody yet.

use coffer_domain::id::VaultId;

use crate::{Param, Row, Sealed, StoreError, Tx, bulk};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    pub low: u32,
    pub high: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolEntry {
    pub vault: VaultId,
    pub index: u32,
    /// Payloads of every kind, packed as in a wallet's row.
    pub payloads: Vec<u8>,
}

pub async fn watermarks(tx: &mut Tx, vault: VaultId) -> Result<Option<Watermarks>, StoreError> {
    let row = tx
        .fetch_optional(
            "SELECT low, high FROM pools WHERE vault_id = $1",
            &[Param::Blob(vault.as_bytes())],
        )
        .await?;
    row.map(|row| {
        Ok(Watermarks {
            low: row.u32(0)?,
            high: row.u32(1)?,
        })
    })
    .transpose()
}

pub async fn set_watermarks(
    tx: &mut Tx,
    vault: VaultId,
    marks: Watermarks,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO pools (vault_id, low, high) VALUES ($1, $2, $3) \
         ON CONFLICT (vault_id) DO UPDATE SET low = excluded.low, high = excluded.high",
        &[
            Param::Blob(vault.as_bytes()),
            Param::Int(i64::from(marks.low)),
            Param::Int(i64::from(marks.high)),
        ],
    )
    .await?;
    Ok(())
}

/// Sets the watermarks of a pool that has none.
pub async fn begin(tx: &mut Tx, vault: VaultId, marks: Watermarks) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO pools (vault_id, low, high) VALUES ($1, $2, $3) ON CONFLICT (vault_id) DO NOTHING",
        &[
            Param::Blob(vault.as_bytes()),
            Param::Int(i64::from(marks.low)),
            Param::Int(i64::from(marks.high)),
        ],
    )
    .await?;
    Ok(())
}

/// Entries that wait to be taken, of which no more than `most` are counted.
pub async fn level_up_to(tx: &mut Tx, vault: VaultId, most: u32) -> Result<u32, StoreError> {
    let row = tx
        .fetch_optional(
            "SELECT count(*) FROM (SELECT 1 FROM pool_entries WHERE vault_id = $1 LIMIT $2) AS counted",
            &[Param::Blob(vault.as_bytes()), Param::Int(i64::from(most))],
        )
        .await?;
    row.map_or(Ok(0), |row| row.u32(0))
}

pub async fn add(tx: &mut Tx, entries: &[Sealed<PoolEntry>]) -> Result<(), StoreError> {
    let rows = entries.iter().map(|entry| {
        vec![
            Param::Blob(entry.value.vault.as_bytes()),
            Param::Int(i64::from(entry.value.index)),
            Param::Blob(&entry.value.payloads),
            Param::Blob(&entry.seal),
        ]
    });
    bulk::insert(
        tx,
        "pool_entries",
        &["vault_id", "derivation_index", "payloads", "seal"],
        rows,
    )
    .await?;
    Ok(())
}

/// Removes up to `count` entries, those with the lowest indexes that no other transaction is taking, and answers
/// them in the order of their indexes.
pub async fn take(
    tx: &mut Tx,
    vault: VaultId,
    count: u32,
) -> Result<Vec<Sealed<PoolEntry>>, StoreError> {
    let sql = format!(
        "DELETE FROM pool_entries WHERE vault_id = $1 AND derivation_index IN (SELECT p.derivation_index \
         FROM pool_entries p WHERE p.vault_id = $1 ORDER BY p.derivation_index LIMIT $2{}) \
         RETURNING vault_id, derivation_index, payloads, seal",
        tx.engine().skip_locked("p")
    );
    let params = [Param::Blob(vault.as_bytes()), Param::Int(i64::from(count))];
    let rows = tx.fetch(sql, &params).await?;
    let mut taken: Vec<_> = rows.iter().map(read).collect::<Result<_, _>>()?;
    taken.sort_unstable_by_key(|sealed| sealed.value.index);
    Ok(taken)
}

fn read(row: &Row) -> Result<Sealed<PoolEntry>, StoreError> {
    let entry = PoolEntry {
        vault: VaultId::from_bytes(row.bytes(0)?),
        index: row.u32(1)?,
        payloads: row.blob(2)?,
    };
    Ok(Sealed {
        value: entry,
        seal: row.blob(3)?,
    })
}
