//! Restore drills: the challenge as text, and when it was passed.

use coffer_domain::id::{DrillId, VaultId};

use crate::{Param, Sealed, StoreError, Tx};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drill {
    pub id: DrillId,
    pub vault: VaultId,
    /// The challenge as it was sent, JSON.
    pub challenge: String,
    pub created_at_ms: i64,
    pub passed_at_ms: Option<i64>,
}

pub async fn insert(tx: &mut Tx, sealed: &Sealed<Drill>) -> Result<(), StoreError> {
    let drill = &sealed.value;
    tx.execute(
        "INSERT INTO drills (id, vault_id, challenge, created_at, passed_at, seal) VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            Param::Blob(drill.id.as_bytes()),
            Param::Blob(drill.vault.as_bytes()),
            Param::Text(&drill.challenge),
            Param::Int(drill.created_at_ms),
            Param::OptInt(drill.passed_at_ms),
            Param::Blob(&sealed.seal),
        ],
    )
    .await?;
    Ok(())
}

pub async fn by_id(tx: &mut Tx, id: DrillId) -> Result<Option<Sealed<Drill>>, StoreError> {
    let row = tx
        .fetch_optional(
            "SELECT id, vault_id, challenge, created_at, passed_at, seal FROM drills WHERE id = $1",
            &[Param::Blob(id.as_bytes())],
        )
        .await?;
    row.map(|row| {
        let value = Drill {
            id: DrillId::from_bytes(row.bytes(0)?),
            vault: VaultId::from_bytes(row.bytes(1)?),
            challenge: row.text(2)?,
            created_at_ms: row.int(3)?,
            passed_at_ms: row.opt_int(4)?,
        };
        Ok(Sealed {
            value,
            seal: row.blob(5)?,
        })
    })
    .transpose()
}

/// Marks the drill passed; `false` when it had been already.
pub async fn mark_passed(tx: &mut Tx, id: DrillId, at_ms: i64) -> Result<bool, StoreError> {
    let changed = tx
        .execute(
            "UPDATE drills SET passed_at = $1 WHERE id = $2 AND passed_at IS NULL",
            &[Param::Int(at_ms), Param::Blob(id.as_bytes())],
        )
        .await?;
    Ok(changed == 1)
}
