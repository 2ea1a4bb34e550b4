//! Assets: the allow-list of what is credited.

use coffer_domain::address::{AddressKind, AddressPayload};
use coffer_domain::asset::{Asset, AssetKind};
use coffer_domain::id::{AssetId, NetworkId, OrganizationId};

use crate::{Param, Row, Sealed, StoreError, Tx, units};

const COLUMNS: &str = "id, organization_id, network_id, name, contract_kind, contract, symbol, decimals, \
    deposit_units_min, state, reason, created_at, version, seal";

fn read(row: &Row) -> Result<Sealed<Asset>, StoreError> {
    let decimals = row.int(7)?;
    let value = Asset {
        id: AssetId::from_bytes(row.bytes(0)?),
        organization: OrganizationId::from_bytes(row.bytes(1)?),
        network: NetworkId::from_bytes(row.bytes(2)?),
        name: row.parsed(3)?,
        kind: kind(row.opt_int(4)?, row.opt_blob(5)?.as_deref())?,
        symbol: row.text(6)?,
        decimals: u8::try_from(decimals)
            .map_err(|_| StoreError::Corrupt(format!("{decimals} decimals")))?,
        deposit_units_min: units::from_bytes(&row.blob(8)?)?,
        state: row.parsed(9)?,
        reason: row.opt_text(10)?,
        created_at_ms: row.int(11)?,
        version: row.u32(12)?,
    };
    Ok(Sealed {
        value,
        seal: row.blob(13)?,
    })
}

fn kind(code: Option<i64>, contract: Option<&[u8]>) -> Result<AssetKind, StoreError> {
    let corrupt = || StoreError::Corrupt("a contract that is no address".to_owned());
    match (code, contract) {
        (None, None) => Ok(AssetKind::Native),
        (Some(code), Some(contract)) => {
            let kind = AddressKind::ALL
                .into_iter()
                .find(|kind| i64::from(kind.code()) == code)
                .ok_or_else(corrupt)?;
            AddressPayload::try_new(kind, contract)
                .map(AssetKind::Token)
                .ok_or_else(corrupt)
        }
        _ => Err(corrupt()),
    }
}

pub async fn insert(tx: &mut Tx, sealed: &Sealed<Asset>) -> Result<(), StoreError> {
    let asset = &sealed.value;
    let contract = match &asset.kind {
        AssetKind::Native => None,
        AssetKind::Token(contract) => Some(contract),
    };
    tx.execute(
        format!(
            "INSERT INTO assets ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
        ),
        &[
            Param::Blob(asset.id.as_bytes()),
            Param::Blob(asset.organization.as_bytes()),
            Param::Blob(asset.network.as_bytes()),
            Param::Text(&asset.name.to_string()),
            Param::OptInt(contract.map(|contract| i64::from(contract.kind().code()))),
            Param::OptBlob(contract.map(AddressPayload::bytes)),
            Param::Text(&asset.symbol),
            Param::Int(i64::from(asset.decimals)),
            Param::Blob(&units::to_bytes(asset.deposit_units_min)),
            Param::Text(asset.state.name()),
            Param::OptText(asset.reason.as_deref()),
            Param::Int(asset.created_at_ms),
            Param::Int(i64::from(asset.version)),
            Param::Blob(&sealed.seal),
        ],
    )
    .await?;
    Ok(())
}

/// Stores what may change of an asset, if its version is still `expected_version`.
pub async fn update(
    tx: &mut Tx,
    sealed: &Sealed<Asset>,
    expected_version: u32,
) -> Result<(), StoreError> {
    let asset = &sealed.value;
    tx.execute_one(
        "UPDATE assets SET symbol = $1, deposit_units_min = $2, state = $3, reason = $4, version = $5, seal = $6 \
         WHERE id = $7 AND version = $8",
        &[
            Param::Text(&asset.symbol),
            Param::Blob(&units::to_bytes(asset.deposit_units_min)),
            Param::Text(asset.state.name()),
            Param::OptText(asset.reason.as_deref()),
            Param::Int(i64::from(asset.version)),
            Param::Blob(&sealed.seal),
            Param::Blob(asset.id.as_bytes()),
            Param::Int(i64::from(expected_version)),
        ],
        &asset.id,
    )
    .await
}

pub async fn by_id(tx: &mut Tx, id: AssetId) -> Result<Option<Sealed<Asset>>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM assets WHERE id = $1");
    let row = tx
        .fetch_optional(sql, &[Param::Blob(id.as_bytes())])
        .await?;
    row.as_ref().map(read).transpose()
}

/// Like [`by_id`], and nobody else changes the asset until this transaction ends.
pub async fn lock(tx: &mut Tx, id: AssetId) -> Result<Option<Sealed<Asset>>, StoreError> {
    let lock = tx.engine().for_update();
    let sql = format!("SELECT {COLUMNS} FROM assets WHERE id = $1{lock}");
    let row = tx
        .fetch_optional(sql, &[Param::Blob(id.as_bytes())])
        .await?;
    row.as_ref().map(read).transpose()
}

pub async fn of_organization(
    tx: &mut Tx,
    organization: OrganizationId,
) -> Result<Vec<Sealed<Asset>>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM assets WHERE organization_id = $1 ORDER BY created_at, id");
    let rows = tx
        .fetch(sql, &[Param::Blob(organization.as_bytes())])
        .await?;
    rows.iter().map(read).collect()
}
