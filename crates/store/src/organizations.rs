//! Organizations.

use coffer_domain::id::OrganizationId;

use crate::{Param, StoreError, Tx};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    pub id: OrganizationId,
    pub name: String,
    pub created_at_ms: i64,
}

pub async fn insert(tx: &mut Tx, organization: &Organization) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, $3)",
        &[
            Param::Blob(organization.id.as_bytes()),
            Param::Text(&organization.name),
            Param::Int(organization.created_at_ms),
        ],
    )
    .await?;
    Ok(())
}

pub async fn all(tx: &mut Tx) -> Result<Vec<Organization>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT id, name, created_at FROM organizations ORDER BY id",
            &[],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Organization {
                id: OrganizationId::from_bytes(row.bytes(0)?),
                name: row.text(1)?,
                created_at_ms: row.int(2)?,
            })
        })
        .collect()
}
