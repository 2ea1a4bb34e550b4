//! Networks, with their settings as the text that `platform` sealed.

use coffer_domain::chain::ChainId;
use coffer_domain::id::{ApiKeyId, NetworkId, OrganizationId};
use coffer_domain::network::NetworkState;

use crate::{Param, Row, Sealed, StoreError, Tx};

/// A network as the database holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRow {
    pub id: NetworkId,
    pub organization: OrganizationId,
    pub chain: ChainId,
    /// JSON, exactly as sealed.
    pub settings: String,
    pub state: NetworkState,
    pub reason: Option<String>,
    pub resume_by: Option<ApiKeyId>,
    pub created_at_ms: i64,
    pub version: u32,
}

const COLUMNS: &str =
    "id, organization_id, chain, settings, state, reason, resume_by, created_at, version, seal";

fn read(row: &Row) -> Result<Sealed<NetworkRow>, StoreError> {
    let value = NetworkRow {
        id: NetworkId::from_bytes(row.bytes(0)?),
        organization: OrganizationId::from_bytes(row.bytes(1)?),
        chain: row.parsed(2)?,
        settings: row.text(3)?,
        state: row.parsed(4)?,
        reason: row.opt_text(5)?,
        resume_by: row.opt_bytes(6)?.map(ApiKeyId::from_bytes),
        created_at_ms: row.int(7)?,
        version: row.u32(8)?,
    };
    Ok(Sealed {
        value,
        seal: row.blob(9)?,
    })
}

pub async fn insert(tx: &mut Tx, sealed: &Sealed<NetworkRow>) -> Result<(), StoreError> {
    let network = &sealed.value;
    let resume_by = network.resume_by.as_ref().map(|key| &key.as_bytes()[..]);
    tx.execute(
        format!(
            "INSERT INTO networks ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        ),
        &[
            Param::Blob(network.id.as_bytes()),
            Param::Blob(network.organization.as_bytes()),
            Param::Text(network.chain.as_str()),
            Param::Text(&network.settings),
            Param::Text(network.state.name()),
            Param::OptText(network.reason.as_deref()),
            Param::OptBlob(resume_by),
            Param::Int(network.created_at_ms),
            Param::Int(i64::from(network.version)),
            Param::Blob(&sealed.seal),
        ],
    )
    .await?;
    Ok(())
}

/// Stores what may change of a network, if its version is still `expected_version`.
pub async fn update(
    tx: &mut Tx,
    sealed: &Sealed<NetworkRow>,
    expected_version: u32,
) -> Result<(), StoreError> {
    let network = &sealed.value;
    let resume_by = network.resume_by.as_ref().map(|key| &key.as_bytes()[..]);
    tx.execute_one(
        "UPDATE networks SET settings = $1, state = $2, reason = $3, resume_by = $4, version = $5, seal = $6 \
         WHERE id = $7 AND version = $8",
        &[
            Param::Text(&network.settings),
            Param::Text(network.state.name()),
            Param::OptText(network.reason.as_deref()),
            Param::OptBlob(resume_by),
            Param::Int(i64::from(network.version)),
            Param::Blob(&sealed.seal),
            Param::Blob(network.id.as_bytes()),
            Param::Int(i64::from(expected_version)),
        ],
        &network.id,
    )
    .await
}

pub async fn by_id(tx: &mut Tx, id: NetworkId) -> Result<Option<Sealed<NetworkRow>>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM networks WHERE id = $1");
    let row = tx
        .fetch_optional(sql, &[Param::Blob(id.as_bytes())])
        .await?;
    row.as_ref().map(read).transpose()
}

/// Like [`by_id`], and nobody else changes the network until this transaction ends.
pub async fn lock(tx: &mut Tx, id: NetworkId) -> Result<Option<Sealed<NetworkRow>>, StoreError> {
    let lock = tx.engine().for_update();
    let sql = format!("SELECT {COLUMNS} FROM networks WHERE id = $1{lock}");
    let row = tx
        .fetch_optional(sql, &[Param::Blob(id.as_bytes())])
        .await?;
    row.as_ref().map(read).transpose()
}

pub async fn of_organization(
    tx: &mut Tx,
    organization: OrganizationId,
) -> Result<Vec<Sealed<NetworkRow>>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM networks WHERE organization_id = $1 ORDER BY created_at, id"
    );
    let rows = tx
        .fetch(sql, &[Param::Blob(organization.as_bytes())])
        .await?;
    rows.iter().map(read).collect()
}

/// Whether a block of the network was ever taken, be it that it was taken back.
pub async fn has_blocks(tx: &mut Tx, id: NetworkId) -> Result<bool, StoreError> {
    let row = tx
        .fetch_optional(
            "SELECT 1 FROM networks WHERE id = $1 AND (EXISTS (SELECT 1 FROM blocks WHERE network_id = $1) \
             OR EXISTS (SELECT 1 FROM orphaned_blocks WHERE network_id = $1))",
            &[Param::Blob(id.as_bytes())],
        )
        .await?;
    Ok(row.is_some())
}
