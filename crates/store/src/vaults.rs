//! Vaults, with their account descriptors in the encrypted form that `platform` gives them.

use coffer_domain::id::{OrganizationId, VaultId};
use coffer_domain::vault::{Gate, Vault};

use crate::{Param, Row, Sealed, StoreError, Tx};

/// A vault as the database holds it; the seal covers both parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultRow {
    pub vault: Vault,
    pub encrypted_descriptors: Vec<u8>,
}

const COLUMNS: &str = "id, organization_id, name, tier, account, bitcoin_network, state, gate_mode, gate_hook_url, \
    attestation_public_key, descriptors, next_index, created_at, drilled_at, version, seal";

fn read(row: &Row) -> Result<Sealed<VaultRow>, StoreError> {
    let vault = Vault {
        id: VaultId::from_bytes(row.bytes(0)?),
        organization: OrganizationId::from_bytes(row.bytes(1)?),
        name: row.text(2)?,
        tier: row.parsed(3)?,
        account: row.u32(4)?,
        bitcoin_network: row.parsed(5)?,
        state: row.parsed(6)?,
        gate: Gate {
            mode: row.parsed(7)?,
            hook_url: row.opt_text(8)?,
        },
        attestation_public_key: row.bytes(9)?,
        next_index: row.u32(11)?,
        created_at_ms: row.int(12)?,
        drilled_at_ms: row.opt_int(13)?,
        version: row.u32(14)?,
    };
    Ok(Sealed {
        value: VaultRow {
            vault,
            encrypted_descriptors: row.blob(10)?,
        },
        seal: row.blob(15)?,
    })
}

pub async fn insert(tx: &mut Tx, sealed: &Sealed<VaultRow>) -> Result<(), StoreError> {
    let vault = &sealed.value.vault;
    tx.execute(
        format!("INSERT INTO vaults ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"),
        &[
            Param::Blob(vault.id.as_bytes()),
            Param::Blob(vault.organization.as_bytes()),
            Param::Text(&vault.name),
            Param::Text(vault.tier.name()),
            Param::Int(i64::from(vault.account)),
            Param::Text(vault.bitcoin_network.name()),
            Param::Text(vault.state.name()),
            Param::Text(vault.gate.mode.name()),
            Param::OptText(vault.gate.hook_url.as_deref()),
            Param::Blob(&vault.attestation_public_key),
            Param::Blob(&sealed.value.encrypted_descriptors),
            Param::Int(i64::from(vault.next_index)),
            Param::Int(vault.created_at_ms),
            Param::OptInt(vault.drilled_at_ms),
            Param::Int(i64::from(vault.version)),
            Param::Blob(&sealed.seal),
        ],
    )
    .await?;
    Ok(())
}

/// Stores what may change of a vault, if its version is still `expected_version`.
pub async fn update(
    tx: &mut Tx,
    sealed: &Sealed<VaultRow>,
    expected_version: u32,
) -> Result<(), StoreError> {
    let vault = &sealed.value.vault;
    tx.execute_one(
            "UPDATE vaults SET state = $1, gate_mode = $2, gate_hook_url = $3, next_index = $4, drilled_at = $5, \
             version = $6, seal = $7 WHERE id = $8 AND version = $9",
            &[
                Param::Text(vault.state.name()),
                Param::Text(vault.gate.mode.name()),
                Param::OptText(vault.gate.hook_url.as_deref()),
                Param::Int(i64::from(vault.next_index)),
                Param::OptInt(vault.drilled_at_ms),
                Param::Int(i64::from(vault.version)),
                Param::Blob(&sealed.seal),
                Param::Blob(vault.id.as_bytes()),
                Param::Int(i64::from(expected_version)),
            ],
            &vault.id,
    )
    .await
}

pub async fn by_id(tx: &mut Tx, id: VaultId) -> Result<Option<Sealed<VaultRow>>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM vaults WHERE id = $1");
    tx.fetch_optional(sql, &[Param::Blob(id.as_bytes())])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Like [`by_id`], and nobody else changes the vault until this transaction ends.
pub async fn lock(tx: &mut Tx, id: VaultId) -> Result<Option<Sealed<VaultRow>>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM vaults WHERE id = $1{}",
        tx.engine().for_update()
    );
    tx.fetch_optional(sql, &[Param::Blob(id.as_bytes())])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

pub async fn of_organization(
    tx: &mut Tx,
    organization: OrganizationId,
) -> Result<Vec<Sealed<VaultRow>>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM vaults WHERE organization_id = $1 ORDER BY created_at, id");
    tx.fetch(sql, &[Param::Blob(organization.as_bytes())])
        .await?
        .iter()
        .map(read)
        .collect()
}

pub async fn all(tx: &mut Tx) -> Result<Vec<Sealed<VaultRow>>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM vaults ORDER BY created_at, id");
    tx.fetch(sql, &[]).await?.iter().map(read).collect()
}
