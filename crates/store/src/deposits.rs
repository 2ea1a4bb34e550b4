//! Deposits: inserted at first sight, changed by compare-and-set on their version, never deleted.

use coffer_domain::address::{AddressKind, AddressPayload};
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef, TransactionHash};
use coffer_domain::deposit::{Deposit, DepositState};
use coffer_domain::id::{AssetId, DepositId, NetworkId, OrganizationId, WalletId};
use coffer_domain::movement::MovementId;

use crate::units::{from_bytes, to_bytes};
use crate::{Param, Row, Sealed, StoreError, Tx, bulk};

const COLUMNS: &str = "id, organization_id, network_id, asset_id, wallet_id, address_kind, address, sender, \
    transaction_hash, part, face_units, units, block_height, block_hash, inclusion, state, reason, \
    detected_at, changed_at, version, seal";
/// Ids asked for in one statement.
const IDS_PER_QUERY: usize = 500;

/// A row as it is found: one that cannot be read keeps its id, so that it can be named and refused.
pub type Found = Result<Sealed<Deposit>, (DepositId, StoreError)>;

fn found(row: &Row) -> Result<Found, StoreError> {
    let id = DepositId::from_bytes(row.bytes(0)?);
    Ok(read(row).map_err(|error| (id, error)))
}

fn read(row: &Row) -> Result<Sealed<Deposit>, StoreError> {
    let corrupt = || StoreError::Corrupt("an address of a deposit that is none".to_owned());
    let kind = AddressKind::from_code(row.int(5)?).ok_or_else(corrupt)?;
    let payload = |bytes: Vec<u8>| AddressPayload::try_new(kind, &bytes).ok_or_else(corrupt);
    let deposit = Deposit {
        id: DepositId::from_bytes(row.bytes(0)?),
        organization: OrganizationId::from_bytes(row.bytes(1)?),
        network: NetworkId::from_bytes(row.bytes(2)?),
        asset: AssetId::from_bytes(row.bytes(3)?),
        wallet: WalletId::from_bytes(row.bytes(4)?),
        address: payload(row.blob(6)?)?,
        from: row.opt_blob(7)?.map(payload).transpose()?,
        movement: MovementId {
            transaction: TransactionHash(row.bytes(8)?),
            part: row.parsed(9)?,
        },
        face_units: from_bytes(&row.blob(10)?)?,
        units: from_bytes(&row.blob(11)?)?,
        block: BlockRef {
            height: BlockHeight(row.u64(12)?),
            hash: BlockHash(row.bytes(13)?),
        },
        inclusion: row.u32(14)?,
        state: row.parsed(15)?,
        reason: row.opt_text(16)?,
        detected_at_ms: row.int(17)?,
        changed_at_ms: row.int(18)?,
        version: row.u32(19)?,
    };
    Ok(Sealed {
        value: deposit,
        seal: row.blob(20)?,
    })
}

/// Inserts deposits seen for the first time. One that exists breaks the primary key.
pub async fn insert_many(tx: &mut Tx, deposits: &[Sealed<Deposit>]) -> Result<(), StoreError> {
    let texts: Vec<_> = deposits
        .iter()
        .map(|sealed| {
            let deposit = &sealed.value;
            (
                deposit.movement.part.to_string(),
                to_bytes(deposit.face_units),
                to_bytes(deposit.units),
            )
        })
        .collect();
    let columns: Vec<&str> = COLUMNS.split(',').map(str::trim).collect();
    let rows = deposits
        .iter()
        .zip(&texts)
        .map(|(sealed, (part, face, units))| {
            let deposit = &sealed.value;
            vec![
                Param::Blob(deposit.id.as_bytes()),
                Param::Blob(deposit.organization.as_bytes()),
                Param::Blob(deposit.network.as_bytes()),
                Param::Blob(deposit.asset.as_bytes()),
                Param::Blob(deposit.wallet.as_bytes()),
                Param::Int(i64::from(deposit.address.kind().code())),
                Param::Blob(deposit.address.bytes()),
                Param::OptBlob(deposit.from.as_ref().map(AddressPayload::bytes)),
                Param::Blob(&deposit.movement.transaction.0),
                Param::Text(part),
                Param::Blob(face),
                Param::Blob(units),
                Param::Int(signed(deposit.block.height)),
                Param::Blob(&deposit.block.hash.0),
                Param::Int(i64::from(deposit.inclusion)),
                Param::Text(deposit.state.name()),
                Param::OptText(deposit.reason.as_deref()),
                Param::Int(deposit.detected_at_ms),
                Param::Int(deposit.changed_at_ms),
                Param::Int(i64::from(deposit.version)),
                Param::Blob(&sealed.seal),
            ]
        });
    bulk::insert(tx, "deposits", &columns, rows).await?;
    Ok(())
}

/// Stores what changes of a deposit, if its version is still `expected_version`.
pub async fn update(
    tx: &mut Tx,
    sealed: &Sealed<Deposit>,
    expected_version: u32,
) -> Result<(), StoreError> {
    let deposit = &sealed.value;
    tx.execute_one(
        "UPDATE deposits SET face_units = $1, units = $2, block_height = $3, block_hash = $4, inclusion = $5, \
         state = $6, reason = $7, changed_at = $8, version = $9, seal = $10, asset_id = $11, sender = $12 \
         WHERE id = $13 AND version = $14",
        &[
            Param::Blob(&to_bytes(deposit.face_units)),
            Param::Blob(&to_bytes(deposit.units)),
            Param::Int(signed(deposit.block.height)),
            Param::Blob(&deposit.block.hash.0),
            Param::Int(i64::from(deposit.inclusion)),
            Param::Text(deposit.state.name()),
            Param::OptText(deposit.reason.as_deref()),
            Param::Int(deposit.changed_at_ms),
            Param::Int(i64::from(deposit.version)),
            Param::Blob(&sealed.seal),
            // Run in another block, a transaction may bring another asset, from somebody else.
            Param::Blob(deposit.asset.as_bytes()),
            Param::OptBlob(deposit.from.as_ref().map(AddressPayload::bytes)),
            Param::Blob(deposit.id.as_bytes()),
            Param::Int(i64::from(expected_version)),
        ],
        &deposit.id,
    )
    .await
}

pub async fn by_id(tx: &mut Tx, id: DepositId) -> Result<Option<Found>, StoreError> {
    Ok(by_ids(tx, &[id]).await?.into_iter().next())
}

/// Those that exist, in no order.
pub async fn by_ids(tx: &mut Tx, ids: &[DepositId]) -> Result<Vec<Found>, StoreError> {
    let mut deposits = Vec::with_capacity(ids.len());
    for ids in ids.chunks(IDS_PER_QUERY) {
        let mut params: Vec<Param<'_>> = ids.iter().map(|id| Param::Blob(id.as_bytes())).collect();
        let marks = bulk::placeholders(tx.engine(), &mut params);
        let sql = format!("SELECT {COLUMNS} FROM deposits WHERE id IN ({marks})");
        for row in tx.fetch(sql, &params).await? {
            deposits.push(found(&row)?);
        }
    }
    Ok(deposits)
}

/// All whose block is at `height`, in the order in which they were stored there or near it.
pub async fn at_height(
    tx: &mut Tx,
    network: NetworkId,
    height: BlockHeight,
) -> Result<Vec<Found>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deposits WHERE network_id = $1 AND block_height = $2 ORDER BY changed_at, id"
    );
    let params = [Param::Blob(network.as_bytes()), Param::Int(signed(height))];
    tx.fetch(sql, &params).await?.iter().map(found).collect()
}

/// The highest heights whose detected deposits are old enough.
#[derive(Debug, Clone, Copy)]
pub struct Detected {
    pub others: Option<BlockHeight>,
    /// Of rewards to a block's maker, which mature later.
    pub coinbases: Option<BlockHeight>,
}

/// Detected ones of `assets` up to `detected`, and confirmed ones up to `confirmed`; the lowest blocks first.
pub async fn open(
    tx: &mut Tx,
    network: NetworkId,
    (detected, assets): (Detected, &[AssetId]),
    confirmed: Option<BlockHeight>,
    limit: u32,
) -> Result<Vec<Found>, StoreError> {
    let mut deposits = Vec::new();
    for asset in assets {
        // Apart, so that many that wait for their maturity keep nobody from being credited.
        for (height, condition) in [
            (detected.others, "part NOT LIKE 'coinbase:%'"),
            (detected.coinbases, "part LIKE 'coinbase:%'"),
        ] {
            let Some(height) = height else { continue };
            let condition = format!("state = 'detected' AND asset_id = $4 AND {condition}");
            let more = open_rows(tx, network, (height, limit), &condition, Some(asset)).await?;
            deposits.extend(more);
        }
    }
    if let Some(height) = confirmed {
        let condition = "state = 'confirmed'";
        deposits.extend(open_rows(tx, network, (height, limit), condition, None).await?);
    }
    Ok(deposits)
}

async fn open_rows(
    tx: &mut Tx,
    network: NetworkId,
    (height, limit): (BlockHeight, u32),
    condition: &str,
    asset: Option<&AssetId>,
) -> Result<Vec<Found>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deposits WHERE network_id = $1 AND block_height <= $2 AND {condition} \
         AND state IN ('detected', 'confirmed') ORDER BY block_height, id LIMIT $3"
    );
    let mut params = vec![
        Param::Blob(network.as_bytes()),
        Param::Int(signed(height)),
        Param::Int(i64::from(limit)),
    ];
    if let Some(asset) = asset {
        params.push(Param::Blob(asset.as_bytes()));
    }
    tx.fetch(sql, &params).await?.iter().map(found).collect()
}

/// What a list is narrowed to: of deposits, and of unconfirmed ones, which have other states.
#[derive(Debug, Clone)]
pub struct Filter<S = DepositState> {
    pub network: Option<NetworkId>,
    pub asset: Option<AssetId>,
    pub wallet: Option<WalletId>,
    pub state: Option<S>,
}

impl<S> Default for Filter<S> {
    fn default() -> Self {
        Self {
            network: None,
            asset: None,
            wallet: None,
            state: None,
        }
    }
}

/// One page of an organization's deposits, the latest first, before the one named by `before`.
pub async fn page(
    tx: &mut Tx,
    organization: OrganizationId,
    filter: &Filter,
    before: Option<(i64, DepositId)>,
    limit: u32,
) -> Result<Vec<Found>, StoreError> {
    let columns = (COLUMNS, "deposits");
    let rows = page_of(tx, columns, (organization, filter), (before, limit)).await?;
    rows.iter().map(found).collect()
}

/// One page of a table that has a list's columns by these names.
pub(crate) async fn page_of<S: std::fmt::Display>(
    tx: &mut Tx,
    (columns, table): (&str, &str),
    (organization, filter): (OrganizationId, &Filter<S>),
    (before, limit): (Option<(i64, DepositId)>, u32),
) -> Result<Vec<Row>, StoreError> {
    let mut sql = format!("SELECT {columns} FROM {table} WHERE organization_id = $1 AND $2 > 0");
    let mut params = vec![
        Param::Blob(organization.as_bytes()),
        Param::Int(i64::from(limit)),
    ];
    let mut also = |condition: &str, param| {
        params.push(param);
        sql.push_str(&format!(" AND {condition} = ${}", params.len()));
    };
    if let Some(network) = &filter.network {
        also("network_id", Param::Blob(network.as_bytes()));
    }
    if let Some(asset) = &filter.asset {
        also("asset_id", Param::Blob(asset.as_bytes()));
    }
    if let Some(wallet) = &filter.wallet {
        also("wallet_id", Param::Blob(wallet.as_bytes()));
    }
    let state = filter.state.as_ref().map(S::to_string);
    if let Some(state) = &state {
        also("state", Param::Text(state));
    }
    if let Some((at, id)) = &before {
        params.push(Param::Int(*at));
        params.push(Param::Blob(id.as_bytes()));
        let (at, id) = (params.len() - 1, params.len());
        sql.push_str(&format!(
            " AND (detected_at < ${at} OR (detected_at = ${at} AND id < ${id}))"
        ));
    }
    sql.push_str(" ORDER BY detected_at DESC, id DESC LIMIT $2");
    tx.fetch(sql, &params).await
}

fn signed(height: BlockHeight) -> i64 {
    i64::try_from(height.0).unwrap_or(i64::MAX)
}
