//! API keys: of the secret only its SHA-256 is here.

use coffer_domain::id::{ApiKeyId, OrganizationId};

use crate::{Db, Param, Row, Sealed, StoreError, Tx};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    pub id: ApiKeyId,
    pub organization: OrganizationId,
    pub name: String,
    pub secret_hash: [u8; 32],
    /// Scope names parted by single spaces.
    pub scopes: String,
    pub created_at_ms: i64,
    pub expires_at_ms: Option<i64>,
    pub revoked_at_ms: Option<i64>,
    pub version: u32,
}

const COLUMNS: &str = "id, organization_id, name, secret_hash, scopes, created_at, expires_at, revoked_at, version, seal";

fn read(row: &Row) -> Result<Sealed<ApiKeyRow>, StoreError> {
    let key = ApiKeyRow {
        id: ApiKeyId::from_bytes(row.bytes(0)?),
        organization: OrganizationId::from_bytes(row.bytes(1)?),
        name: row.text(2)?,
        secret_hash: row.bytes(3)?,
        scopes: row.text(4)?,
        created_at_ms: row.int(5)?,
        expires_at_ms: row.opt_int(6)?,
        revoked_at_ms: row.opt_int(7)?,
        version: row.u32(8)?,
    };
    Ok(Sealed {
        value: key,
        seal: row.blob(9)?,
    })
}

pub async fn insert(tx: &mut Tx, sealed: &Sealed<ApiKeyRow>) -> Result<(), StoreError> {
    let key = &sealed.value;
    tx.execute(
        format!(
            "INSERT INTO api_keys ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        ),
        &[
            Param::Blob(key.id.as_bytes()),
            Param::Blob(key.organization.as_bytes()),
            Param::Text(&key.name),
            Param::Blob(&key.secret_hash),
            Param::Text(&key.scopes),
            Param::Int(key.created_at_ms),
            Param::OptInt(key.expires_at_ms),
            Param::OptInt(key.revoked_at_ms),
            Param::Int(i64::from(key.version)),
            Param::Blob(&sealed.seal),
        ],
    )
    .await?;
    Ok(())
}

/// Stores a revocation, if the version is still `expected_version`.
pub async fn update(
    tx: &mut Tx,
    sealed: &Sealed<ApiKeyRow>,
    expected_version: u32,
) -> Result<(), StoreError> {
    let key = &sealed.value;
    tx.execute_one(
            "UPDATE api_keys SET revoked_at = $1, version = $2, seal = $3 WHERE id = $4 AND version = $5",
            &[
                Param::OptInt(key.revoked_at_ms),
                Param::Int(i64::from(key.version)),
                Param::Blob(&sealed.seal),
                Param::Blob(key.id.as_bytes()),
                Param::Int(i64::from(expected_version)),
            ],
            &key.id,
    )
    .await
}

fn select_by_id() -> String {
    format!("SELECT {COLUMNS} FROM api_keys WHERE id = $1")
}

pub async fn by_id(tx: &mut Tx, id: ApiKeyId) -> Result<Option<Sealed<ApiKeyRow>>, StoreError> {
    tx.fetch_optional(select_by_id(), &[Param::Blob(id.as_bytes())])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Like [`by_id`], outside of a transaction.
pub async fn look_by_id(db: &Db, id: ApiKeyId) -> Result<Option<Sealed<ApiKeyRow>>, StoreError> {
    let rows = db
        .look(select_by_id(), &[Param::Blob(id.as_bytes())])
        .await?;
    rows.first().map(read).transpose()
}

pub async fn of_organization(
    tx: &mut Tx,
    organization: OrganizationId,
) -> Result<Vec<Sealed<ApiKeyRow>>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM api_keys WHERE organization_id = $1 ORDER BY id");
    tx.fetch(sql, &[Param::Blob(organization.as_bytes())])
        .await?
        .iter()
        .map(read)
        .collect()
}
