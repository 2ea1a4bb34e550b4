//! Reconciliation lines, the addresses that differed, and thinning what says nothing new.

use coffer_domain::address::{AddressKind, AddressPayload};
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use coffer_domain::id::{AssetId, NetworkId, OrganizationId, ReconciliationId, WalletId};
use coffer_domain::reconciliation::{Difference, Reconciliation, ReconciliationState};

use crate::{Param, Row, Sealed, StoreError, Tx, bulk, units};

const COLUMNS: &str = "id, organization_id, network_id, asset_id, block_height, block_hash, addresses, addresses_watched, \
    ledger_units, chain_units, differing, differences_sha256, state, finished_at, seal";
const HOUR_MS: i64 = 3_600_000;

/// Stores a line and the addresses on which it differs.
pub async fn insert(
    tx: &mut Tx,
    sealed: &Sealed<Reconciliation>,
    differences: &[Difference],
) -> Result<(), StoreError> {
    let line = &sealed.value;
    tx.execute(
        format!(
            "INSERT INTO reconciliations ({COLUMNS}) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
        ),
        &[
            Param::Blob(line.id.as_bytes()),
            Param::Blob(line.organization.as_bytes()),
            Param::Blob(line.network.as_bytes()),
            Param::Blob(line.asset.as_bytes()),
            Param::Int(signed(line.block.height.0)?),
            Param::Blob(&line.block.hash.0),
            Param::Int(signed(line.addresses)?),
            Param::Int(signed(line.addresses_watched)?),
            Param::Blob(&units::to_bytes(line.ledger_units)),
            Param::Blob(&units::to_bytes(line.chain_units)),
            Param::Int(signed(line.differing)?),
            Param::Blob(&line.differences_sha256),
            Param::Text(line.state.name()),
            Param::Int(line.finished_at_ms),
            Param::Blob(&sealed.seal),
        ],
    )
    .await?;
    insert_differences(tx, line.id, differences).await
}

async fn insert_differences(
    tx: &mut Tx,
    id: ReconciliationId,
    differences: &[Difference],
) -> Result<(), StoreError> {
    let amounts: Vec<_> = differences
        .iter()
        .map(|one| {
            (
                units::to_bytes(one.ledger_units),
                units::to_bytes(one.chain_units),
            )
        })
        .collect();
    let rows = differences
        .iter()
        .zip(&amounts)
        .map(|(one, (ledger, chain))| {
            vec![
                Param::Blob(id.as_bytes()),
                Param::Blob(one.wallet.as_bytes()),
                Param::Int(i64::from(one.address.kind().code())),
                Param::Blob(one.address.bytes()),
                Param::Blob(ledger),
                Param::Blob(chain),
            ]
        });
    let columns = [
        "reconciliation_id",
        "wallet_id",
        "address_kind",
        "address",
        "ledger_units",
        "chain_units",
    ];
    bulk::insert(tx, "reconciliation_differences", &columns, rows).await?;
    Ok(())
}

pub async fn by_id(
    tx: &mut Tx,
    id: ReconciliationId,
) -> Result<Option<Sealed<Reconciliation>>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM reconciliations WHERE id = $1");
    let row = tx
        .fetch_optional(sql, &[Param::Blob(id.as_bytes())])
        .await?;
    row.as_ref().map(read).transpose()
}

/// In the order of their wallets.
pub async fn differences(tx: &mut Tx, id: ReconciliationId) -> Result<Vec<Difference>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT wallet_id, address_kind, address, ledger_units, chain_units FROM reconciliation_differences \
             WHERE reconciliation_id = $1 ORDER BY wallet_id",
            &[Param::Blob(id.as_bytes())],
        )
        .await?;
    rows.iter().map(read_difference).collect()
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    pub network: Option<NetworkId>,
    pub asset: Option<AssetId>,
    pub state: Option<ReconciliationState>,
}

/// One page of an organization's lines, the newest first, before `before`.
pub async fn page(
    tx: &mut Tx,
    organization: OrganizationId,
    filter: &Filter,
    before: Option<ReconciliationId>,
    limit: u32,
) -> Result<Vec<Sealed<Reconciliation>>, StoreError> {
    let before = before.map_or([0xff; 16], |id| *id.as_bytes());
    let mut sql = format!(
        "SELECT {COLUMNS} FROM reconciliations WHERE id < $1 AND organization_id = $2 AND $3 > 0"
    );
    let mut params = vec![
        Param::Blob(&before),
        Param::Blob(organization.as_bytes()),
        Param::Int(i64::from(limit)),
    ];
    if let Some(network) = &filter.network {
        params.push(Param::Blob(network.as_bytes()));
        sql.push_str(&format!(" AND network_id = ${}", params.len()));
    }
    if let Some(asset) = &filter.asset {
        params.push(Param::Blob(asset.as_bytes()));
        sql.push_str(&format!(" AND asset_id = ${}", params.len()));
    }
    if let Some(state) = filter.state {
        params.push(Param::Text(state.name()));
        sql.push_str(&format!(" AND state = ${}", params.len()));
    }
    sql.push_str(" ORDER BY id DESC LIMIT $3");
    tx.fetch(sql, &params).await?.iter().map(read).collect()
}

/// When the last line of an asset in this state was stored.
pub async fn latest_at(
    tx: &mut Tx,
    asset: AssetId,
    state: ReconciliationState,
) -> Result<Option<i64>, StoreError> {
    let row = tx
        .fetch_optional(
            "SELECT finished_at FROM reconciliations WHERE asset_id = $1 AND state = $2 \
             ORDER BY finished_at DESC LIMIT 1",
            &[Param::Blob(asset.as_bytes()), Param::Text(state.name())],
        )
        .await?;
    row.map(|row| row.int(0)).transpose()
}

/// Removes lines that matched and are older than `before_ms`, but for the last of each hour. A line with a
/// difference stays for ever.
pub async fn thin(tx: &mut Tx, asset: AssetId, before_ms: i64) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM reconciliations WHERE asset_id = $1 AND state = 'matched' AND finished_at < $2 \
         AND finished_at NOT IN (SELECT max(r.finished_at) FROM reconciliations r \
         WHERE r.asset_id = $1 AND r.state = 'matched' GROUP BY r.finished_at / $3)",
        &[
            Param::Blob(asset.as_bytes()),
            Param::Int(before_ms),
            Param::Int(HOUR_MS),
        ],
    )
    .await
}

fn signed(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Corrupt(format!("{value} is beyond 2^63")))
}

fn read(row: &Row) -> Result<Sealed<Reconciliation>, StoreError> {
    let value = Reconciliation {
        id: ReconciliationId::from_bytes(row.bytes(0)?),
        organization: OrganizationId::from_bytes(row.bytes(1)?),
        network: NetworkId::from_bytes(row.bytes(2)?),
        asset: AssetId::from_bytes(row.bytes(3)?),
        block: BlockRef {
            height: BlockHeight(row.u64(4)?),
            hash: BlockHash(row.bytes(5)?),
        },
        addresses: row.u64(6)?,
        addresses_watched: row.u64(7)?,
        ledger_units: units::from_bytes(&row.blob(8)?)?,
        chain_units: units::from_bytes(&row.blob(9)?)?,
        differing: row.u64(10)?,
        differences_sha256: row.bytes(11)?,
        state: row.parsed(12)?,
        finished_at_ms: row.int(13)?,
    };
    Ok(Sealed {
        value,
        seal: row.blob(14)?,
    })
}

fn read_difference(row: &Row) -> Result<Difference, StoreError> {
    let corrupt = || StoreError::Corrupt("an address that is none".to_owned());
    let kind = AddressKind::from_code(row.int(1)?).ok_or_else(corrupt)?;
    Ok(Difference {
        wallet: WalletId::from_bytes(row.bytes(0)?),
        address: AddressPayload::try_new(kind, &row.blob(2)?).ok_or_else(corrupt)?,
        ledger_units: units::from_bytes(&row.blob(3)?)?,
        chain_units: units::from_bytes(&row.blob(4)?)?,
    })
}
