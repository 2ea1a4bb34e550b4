//! Outputs that pay wallets of ours: inserted with their block, changed by compare-and-set, removed with their block.

use coffer_domain::address::{AddressKind, AddressPayload};
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef, TransactionHash};
use coffer_domain::id::{AssetId, NetworkId, WalletId};
use coffer_domain::output::{Output, OutputId, Spent};

use crate::units::{from_bytes, to_bytes};
use crate::{Param, Row, Sealed, StoreError, Tx, bulk};

const COLUMNS: &str = "network_id, transaction_hash, number, asset_id, wallet_id, address_kind, address, units, \
    block_height, block_hash, is_coinbase, spent_by, spent_height, spent_hash, version, seal";

/// One that exists breaks the primary key.
pub async fn insert_many(tx: &mut Tx, outputs: &[Sealed<Output>]) -> Result<(), StoreError> {
    let units: Vec<_> = outputs
        .iter()
        .map(|sealed| to_bytes(sealed.value.units))
        .collect();
    let columns: Vec<&str> = COLUMNS.split(',').map(str::trim).collect();
    let rows = outputs.iter().zip(&units).map(|(sealed, units)| {
        let output = &sealed.value;
        let spent = output.spent.as_ref();
        vec![
            Param::Blob(output.network.as_bytes()),
            Param::Blob(&output.id.transaction.0),
            Param::Int(i64::from(output.id.number)),
            Param::Blob(output.asset.as_bytes()),
            Param::Blob(output.wallet.as_bytes()),
            Param::Int(i64::from(output.address.kind().code())),
            Param::Blob(output.address.bytes()),
            Param::Blob(units),
            Param::Int(signed(output.block.height)),
            Param::Blob(&output.block.hash.0),
            Param::Int(i64::from(output.is_coinbase)),
            Param::OptBlob(spent.map(|spent| &spent.by.0[..])),
            Param::OptInt(spent.map(|spent| signed(spent.block.height))),
            Param::OptBlob(spent.map(|spent| &spent.block.hash.0[..])),
            Param::Int(i64::from(output.version)),
            Param::Blob(&sealed.seal),
        ]
    });
    bulk::insert(tx, "outputs", &columns, rows).await?;
    Ok(())
}

/// Stores by what it is spent, if its version is still `expected_version`.
pub async fn update(
    tx: &mut Tx,
    sealed: &Sealed<Output>,
    expected_version: u32,
) -> Result<(), StoreError> {
    let output = &sealed.value;
    let spent = output.spent.as_ref();
    tx.execute_one(
        "UPDATE outputs SET spent_by = $1, spent_height = $2, spent_hash = $3, version = $4, seal = $5 \
         WHERE network_id = $6 AND transaction_hash = $7 AND number = $8 AND version = $9",
        &[
            Param::OptBlob(spent.map(|spent| &spent.by.0[..])),
            Param::OptInt(spent.map(|spent| signed(spent.block.height))),
            Param::OptBlob(spent.map(|spent| &spent.block.hash.0[..])),
            Param::Int(i64::from(output.version)),
            Param::Blob(&sealed.seal),
            Param::Blob(output.network.as_bytes()),
            Param::Blob(&output.id.transaction.0),
            Param::Int(i64::from(output.id.number)),
            Param::Int(i64::from(expected_version)),
        ],
        &output.id,
    )
    .await
}

/// All of these transactions' outputs that are ours, on every network, in no order.
pub async fn of_transactions(
    tx: &mut Tx,
    transactions: &[TransactionHash],
) -> Result<Vec<Sealed<Output>>, StoreError> {
    let select = format!("SELECT {COLUMNS} FROM outputs WHERE transaction_hash");
    let keys: Vec<&[u8]> = transactions.iter().map(|hash| &hash.0[..]).collect();
    let rows = bulk::fetch_in(tx, &select, &keys).await?;
    rows.iter().map(read).collect()
}

/// Those that a transaction of a height spends.
pub async fn spent_at(
    tx: &mut Tx,
    network: NetworkId,
    height: BlockHeight,
) -> Result<Vec<Sealed<Output>>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM outputs WHERE network_id = $1 AND spent_height = $2 ORDER BY transaction_hash, number"
    );
    let params = [Param::Blob(network.as_bytes()), Param::Int(signed(height))];
    tx.fetch(sql, &params).await?.iter().map(read).collect()
}

/// Removes those that a block made; answers how many.
pub async fn remove_of_block(
    tx: &mut Tx,
    network: NetworkId,
    block: BlockRef,
) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM outputs WHERE network_id = $1 AND block_height = $2 AND block_hash = $3",
        &[
            Param::Blob(network.as_bytes()),
            Param::Int(signed(block.height)),
            Param::Blob(&block.hash.0),
        ],
    )
    .await
}

/// The unspent ones of these wallets, in no order.
pub async fn unspent(
    tx: &mut Tx,
    asset: AssetId,
    wallets: &[WalletId],
) -> Result<Vec<Sealed<Output>>, StoreError> {
    let select = format!("SELECT {COLUMNS} FROM outputs WHERE spent_height IS NULL AND wallet_id");
    let keys: Vec<&[u8]> = wallets.iter().map(|id| &id.as_bytes()[..]).collect();
    let rows = bulk::fetch_in(tx, &select, &keys).await?;
    let outputs = rows.iter().map(read);
    outputs
        .filter(|output| {
            output
                .as_ref()
                .map_or(true, |output| output.value.asset == asset)
        })
        .collect()
}

/// Heights come from blocks that were stored with them.
fn signed(height: BlockHeight) -> i64 {
    i64::try_from(height.0).unwrap_or(i64::MAX)
}

fn read(row: &Row) -> Result<Sealed<Output>, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("{what} of an output that is none"));
    let kind = AddressKind::from_code(row.int(5)?).ok_or_else(|| corrupt("an address"))?;
    let address = AddressPayload::try_new(kind, &row.blob(6)?);
    let spent = match (row.opt_bytes(11)?, row.opt_int(12)?, row.opt_bytes(13)?) {
        (None, None, None) => None,
        (Some(by), Some(height), Some(hash)) => Some(Spent {
            by: TransactionHash(by),
            block: BlockRef {
                height: BlockHeight(u64::try_from(height).map_err(|_| corrupt("a height"))?),
                hash: BlockHash(hash),
            },
        }),
        _ => return Err(corrupt("a spend")),
    };
    Ok(Sealed {
        value: Output {
            network: NetworkId::from_bytes(row.bytes(0)?),
            id: OutputId {
                transaction: TransactionHash(row.bytes(1)?),
                number: row.u32(2)?,
            },
            asset: AssetId::from_bytes(row.bytes(3)?),
            wallet: WalletId::from_bytes(row.bytes(4)?),
            address: address.ok_or_else(|| corrupt("an address"))?,
            units: from_bytes(&row.blob(7)?)?,
            block: BlockRef {
                height: BlockHeight(row.u64(8)?),
                hash: BlockHash(row.bytes(9)?),
            },
            is_coinbase: row.int(10)? != 0,
            spent,
            version: row.u32(14)?,
        },
        seal: row.blob(15)?,
    })
}
