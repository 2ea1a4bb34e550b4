//! The external ids that an allow-list gate lets through, per vault.

use coffer_domain::id::VaultId;

use crate::{Param, Row, Sealed, StoreError, Tx};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedId {
    pub vault: VaultId,
    pub external_key: [u8; 16],
    pub external_id: String,
    /// How often the id was removed before: an entry from before a removal does not count.
    pub generation: u32,
}

/// Adds one id; `false` when it was there.
pub async fn add(tx: &mut Tx, sealed: &Sealed<AllowedId>) -> Result<bool, StoreError> {
    let changed = tx
        .execute(
            "INSERT INTO allow_list (vault_id, external_key, external_id, generation, seal) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (vault_id, external_key) DO NOTHING",
            &[
                Param::Blob(sealed.value.vault.as_bytes()),
                Param::Blob(&sealed.value.external_key),
                Param::Text(&sealed.value.external_id),
                Param::Int(i64::from(sealed.value.generation)),
                Param::Blob(&sealed.seal),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Removes one id; `false` when it was not there.
pub async fn remove(
    tx: &mut Tx,
    vault: VaultId,
    external_key: &[u8; 16],
) -> Result<bool, StoreError> {
    let changed = tx
        .execute(
            "DELETE FROM allow_list WHERE vault_id = $1 AND external_key = $2",
            &[Param::Blob(vault.as_bytes()), Param::Blob(external_key)],
        )
        .await?;
    Ok(changed == 1)
}

fn read(vault: VaultId, row: &Row) -> Result<Sealed<AllowedId>, StoreError> {
    let value = AllowedId {
        vault,
        external_key: row.bytes(0)?,
        external_id: row.text(1)?,
        generation: row.u32(2)?,
    };
    Ok(Sealed {
        value,
        seal: row.blob(3)?,
    })
}

/// Which of `keys` are on the vault's list; in no order.
pub async fn among(
    tx: &mut Tx,
    vault: VaultId,
    keys: &[[u8; 16]],
) -> Result<Vec<Sealed<AllowedId>>, StoreError> {
    let mut allowed = Vec::new();
    for keys in keys.chunks(500) {
        let marks = (2..keys.len() + 2)
            .map(|n| format!("${n}"))
            .collect::<Vec<_>>()
            .join(", ");
        let mut params = vec![Param::Blob(vault.as_bytes())];
        params.extend(keys.iter().map(|key| Param::Blob(key)));
        let sql = format!(
            "SELECT external_key, external_id, generation, seal FROM allow_list WHERE vault_id = $1 AND external_key IN ({marks})"
        );
        for row in tx.fetch(sql, &params).await? {
            allowed.push(read(vault, &row)?);
        }
    }
    Ok(allowed)
}

/// One page of the list in the order of its keys, after `after`.
pub async fn page(
    tx: &mut Tx,
    vault: VaultId,
    after: [u8; 16],
    limit: u32,
) -> Result<Vec<Sealed<AllowedId>>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT external_key, external_id, generation, seal FROM allow_list WHERE vault_id = $1 AND external_key > $2 \
             ORDER BY external_key LIMIT $3",
            &[Param::Blob(vault.as_bytes()), Param::Blob(&after), Param::Int(i64::from(limit))],
        )
        .await?;
    rows.iter().map(|row| read(vault, row)).collect()
}
