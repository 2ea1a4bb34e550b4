//! Unconfirmed deposits: inserted at first sight, changed by compare-and-set on their version, removed a while after
//! their end. The index of their inputs only finds them: what they spend is in the rows.

use coffer_domain::address::{AddressKind, AddressPayload};
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef, TransactionHash};
use coffer_domain::id::{AssetId, DepositId, NetworkId, OrganizationId, WalletId};
use coffer_domain::movement::MovementId;
use coffer_domain::output::OutputId;
use coffer_domain::unconfirmed::{Standing, Unconfirmed, UnconfirmedState};

use crate::units::{from_bytes, to_bytes};
use crate::{Param, Row, Sealed, StoreError, Tx, bulk, deposits};

const COLUMNS: &str = "id, organization_id, network_id, asset_id, wallet_id, address_kind, address, transaction_hash, \
    part, units, inputs, state, replaced_by, block_height, block_hash, detected_at, changed_at, version, seal";
const INPUT_BYTES: usize = 36;

/// A row as it is found: one that cannot be read keeps its id, so that it can be named and refused.
pub type Found = Result<Sealed<Unconfirmed>, (DepositId, StoreError)>;

/// None of them may exist.
pub async fn insert_many(tx: &mut Tx, rows: &[Sealed<Unconfirmed>]) -> Result<(), StoreError> {
    let owned: Vec<_> = rows
        .iter()
        .map(|sealed| {
            let one = &sealed.value;
            let part = one.movement.part.to_string();
            (part, to_bytes(one.units), input_bytes(&one.inputs))
        })
        .collect();
    let columns: Vec<&str> = COLUMNS.split(',').map(str::trim).collect();
    let rows = rows
        .iter()
        .zip(&owned)
        .map(|(sealed, (part, units, inputs))| {
            let one = &sealed.value;
            let settled = one.standing.settled_in();
            let (by, hash) = standing_hashes(&one.standing);
            vec![
                Param::Blob(one.id.as_bytes()),
                Param::Blob(one.organization.as_bytes()),
                Param::Blob(one.network.as_bytes()),
                Param::Blob(one.asset.as_bytes()),
                Param::Blob(one.wallet.as_bytes()),
                Param::Int(i64::from(one.address.kind().code())),
                Param::Blob(one.address.bytes()),
                Param::Blob(&one.movement.transaction.0),
                Param::Text(part),
                Param::Blob(units),
                Param::Blob(inputs),
                Param::Text(one.standing.state().name()),
                Param::OptBlob(by),
                Param::OptInt(settled.map(|block| signed(block.height))),
                Param::OptBlob(hash),
                Param::Int(one.detected_at_ms),
                Param::Int(one.changed_at_ms),
                Param::Int(i64::from(one.version)),
                Param::Blob(&sealed.seal),
            ]
        });
    bulk::insert(tx, "unconfirmed_deposits", &columns, rows).await?;
    Ok(())
}

/// Makes a transaction's rows findable by what it spends; once more changes nothing.
pub async fn index_inputs(
    tx: &mut Tx,
    network: NetworkId,
    transaction: TransactionHash,
    inputs: &[OutputId],
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM unconfirmed_inputs WHERE transaction_hash = $1 AND network_id = $2",
        &[Param::Blob(&transaction.0), Param::Blob(network.as_bytes())],
    )
    .await?;
    let columns = [
        "output_hash",
        "output_number",
        "network_id",
        "transaction_hash",
    ];
    let rows = inputs.iter().map(|input| {
        vec![
            Param::Blob(&input.transaction.0),
            Param::Int(i64::from(input.number)),
            Param::Blob(network.as_bytes()),
            Param::Blob(&transaction.0),
        ]
    });
    bulk::insert(tx, "unconfirmed_inputs", &columns, rows).await?;
    Ok(())
}

/// Stores where it stands, if its version is still `expected_version`.
pub async fn update(
    tx: &mut Tx,
    sealed: &Sealed<Unconfirmed>,
    expected_version: u32,
) -> Result<(), StoreError> {
    let one = &sealed.value;
    let (by, hash) = standing_hashes(&one.standing);
    let settled = one.standing.settled_in();
    tx.execute_one(
        "UPDATE unconfirmed_deposits SET state = $1, replaced_by = $2, block_height = $3, block_hash = $4, \
         changed_at = $5, version = $6, seal = $7 WHERE id = $8 AND version = $9",
        &[
            Param::Text(one.standing.state().name()),
            Param::OptBlob(by),
            Param::OptInt(settled.map(|block| signed(block.height))),
            Param::OptBlob(hash),
            Param::Int(one.changed_at_ms),
            Param::Int(i64::from(one.version)),
            Param::Blob(&sealed.seal),
            Param::Blob(one.id.as_bytes()),
            Param::Int(i64::from(expected_version)),
        ],
        &one.id,
    )
    .await
}

/// Those that exist, in no order.
pub async fn by_ids(tx: &mut Tx, ids: &[DepositId]) -> Result<Vec<Found>, StoreError> {
    let select = format!("SELECT {COLUMNS} FROM unconfirmed_deposits WHERE id");
    let keys: Vec<&[u8]> = ids.iter().map(|id| &id.as_bytes()[..]).collect();
    let rows = bulk::fetch_in(tx, &select, &keys).await?;
    rows.iter().map(found).collect()
}

/// Whether a network has any at all; most blocks then have nothing to settle.
pub async fn any(tx: &mut Tx, network: NetworkId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM unconfirmed_deposits WHERE network_id = $1 LIMIT 1";
    let params = [Param::Blob(network.as_bytes())];
    Ok(tx.fetch_optional(sql, &params).await?.is_some())
}

/// Those that the mempools are asked about: the detected ones, and those evicted since `evicted_since_ms`.
pub async fn tracked(
    tx: &mut Tx,
    network: NetworkId,
    evicted_since_ms: i64,
    limit: u32,
) -> Result<Vec<Found>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM unconfirmed_deposits WHERE network_id = $1 AND (state = 'detected' \
         OR (state = 'evicted' AND changed_at >= $2)) ORDER BY state, changed_at DESC, id LIMIT $3"
    );
    let params = [
        Param::Blob(network.as_bytes()),
        Param::Int(evicted_since_ms),
        Param::Int(i64::from(limit)),
    ];
    tx.fetch(sql, &params).await?.iter().map(found).collect()
}

/// Those whose transactions spend an output of these transactions, on every network, in no order.
pub async fn spending(
    tx: &mut Tx,
    outputs_of: &[TransactionHash],
) -> Result<Vec<Found>, StoreError> {
    let keys: Vec<&[u8]> = outputs_of.iter().map(|hash| &hash.0[..]).collect();
    let select = "SELECT transaction_hash FROM unconfirmed_inputs WHERE output_hash";
    let mut transactions = Vec::new();
    for row in bulk::fetch_in(tx, select, &keys).await? {
        transactions.push(row.bytes::<32>(0)?);
    }
    transactions.sort_unstable();
    transactions.dedup();
    let select = format!("SELECT {COLUMNS} FROM unconfirmed_deposits WHERE transaction_hash");
    let keys: Vec<&[u8]> = transactions.iter().map(|hash| &hash[..]).collect();
    let rows = bulk::fetch_in(tx, &select, &keys).await?;
    rows.iter().map(found).collect()
}

/// Those that a block of a height settled.
pub async fn settled_at(
    tx: &mut Tx,
    network: NetworkId,
    height: BlockHeight,
) -> Result<Vec<Found>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM unconfirmed_deposits WHERE network_id = $1 AND block_height = $2 ORDER BY id"
    );
    let params = [Param::Blob(network.as_bytes()), Param::Int(signed(height))];
    tx.fetch(sql, &params).await?.iter().map(found).collect()
}

/// How many a network has that are detected.
pub async fn detected(tx: &mut Tx, network: NetworkId) -> Result<u64, StoreError> {
    let sql =
        "SELECT COUNT(*) FROM unconfirmed_deposits WHERE network_id = $1 AND state = 'detected'";
    count(tx, sql, &[Param::Blob(network.as_bytes())]).await
}

/// How many a wallet has that are detected, on every network.
pub async fn detected_of(tx: &mut Tx, wallet: WalletId) -> Result<u64, StoreError> {
    let sql =
        "SELECT COUNT(*) FROM unconfirmed_deposits WHERE wallet_id = $1 AND state = 'detected'";
    count(tx, sql, &[Param::Blob(wallet.as_bytes())]).await
}

async fn count(tx: &mut Tx, sql: &'static str, params: &[Param<'_>]) -> Result<u64, StoreError> {
    let row = tx.fetch_optional(sql, params).await?;
    row.map_or(Ok(0), |row| row.u64(0))
}

/// Removes ended ones, the longest ended first: those that ended before `before_ms`, and what is beyond `kept_max`;
/// at most `limit`. Answers how many.
pub async fn sweep(
    tx: &mut Tx,
    network: NetworkId,
    before_ms: i64,
    (kept_max, limit): (u64, u32),
) -> Result<usize, StoreError> {
    let sql =
        "SELECT COUNT(*) FROM unconfirmed_deposits WHERE network_id = $1 AND state <> 'detected'";
    let ended = count(tx, sql, &[Param::Blob(network.as_bytes())]).await?;
    let surplus = usize::try_from(ended.saturating_sub(kept_max)).unwrap_or(usize::MAX);
    let rows = tx
        .fetch(
            "SELECT id, transaction_hash, changed_at FROM unconfirmed_deposits \
             WHERE network_id = $1 AND state <> 'detected' ORDER BY changed_at, id LIMIT $2",
            &[
                Param::Blob(network.as_bytes()),
                Param::Int(i64::from(limit)),
            ],
        )
        .await?;
    let mut removed = 0;
    for (position, row) in rows.iter().enumerate() {
        if position >= surplus && row.int(2)? >= before_ms {
            break;
        }
        let (id, transaction) = (row.bytes::<16>(0)?, row.bytes::<32>(1)?);
        let sql = "DELETE FROM unconfirmed_deposits WHERE id = $1";
        tx.execute(sql, &[Param::Blob(&id)]).await?;
        tx.execute(
            "DELETE FROM unconfirmed_inputs WHERE transaction_hash = $1 AND network_id = $2 AND NOT EXISTS \
             (SELECT 1 FROM unconfirmed_deposits d WHERE d.transaction_hash = $1 AND d.network_id = $2)",
            &[Param::Blob(&transaction), Param::Blob(network.as_bytes())],
        )
        .await?;
        removed += 1;
    }
    Ok(removed)
}

pub type Filter = deposits::Filter<UnconfirmedState>;

/// One page of an organization's, the latest first, before the one named by `before`.
pub async fn page(
    tx: &mut Tx,
    organization: OrganizationId,
    filter: &Filter,
    before: Option<(i64, DepositId)>,
    limit: u32,
) -> Result<Vec<Found>, StoreError> {
    let columns = (COLUMNS, "unconfirmed_deposits");
    let rows = deposits::page_of(tx, columns, (organization, filter), (before, limit)).await?;
    rows.iter().map(found).collect()
}

/// The transaction that took an input, and the hash of the block that settled it.
fn standing_hashes(standing: &Standing) -> (Option<&[u8]>, Option<&[u8]>) {
    match standing {
        Standing::Detected | Standing::Evicted => (None, None),
        Standing::Included(block) => (None, Some(&block.hash.0)),
        Standing::Replaced { by } => (Some(&by.0), None),
        Standing::DoubleSpent { by, block } => (Some(&by.0), Some(&block.hash.0)),
    }
}

fn input_bytes(inputs: &[OutputId]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(inputs.len() * INPUT_BYTES);
    for input in inputs {
        bytes.extend_from_slice(&input.transaction.0);
        bytes.extend_from_slice(&input.number.to_be_bytes());
    }
    bytes
}

fn inputs(bytes: &[u8]) -> Result<Vec<OutputId>, StoreError> {
    let corrupt = || StoreError::Corrupt("inputs of a transaction that are none".to_owned());
    let (inputs, rest) = bytes.as_chunks::<INPUT_BYTES>();
    if !rest.is_empty() {
        return Err(corrupt());
    }
    let input = |bytes: &[u8; INPUT_BYTES]| {
        let (hash, number) = bytes.split_first_chunk::<32>().ok_or_else(corrupt)?;
        Ok(OutputId {
            transaction: TransactionHash(*hash),
            number: u32::from_be_bytes(number.try_into().map_err(|_| corrupt())?),
        })
    };
    inputs.iter().map(input).collect()
}

/// Heights come from blocks that were stored with them.
fn signed(height: BlockHeight) -> i64 {
    i64::try_from(height.0).unwrap_or(i64::MAX)
}

fn found(row: &Row) -> Result<Found, StoreError> {
    let id = DepositId::from_bytes(row.bytes(0)?);
    Ok(read(row).map_err(|error| (id, error)))
}

fn read(row: &Row) -> Result<Sealed<Unconfirmed>, StoreError> {
    let corrupt =
        |what: &str| StoreError::Corrupt(format!("{what} of an unconfirmed deposit that is none"));
    let kind = AddressKind::from_code(row.int(5)?).ok_or_else(|| corrupt("an address"))?;
    let address = AddressPayload::try_new(kind, &row.blob(6)?);
    let block = match (row.opt_int(13)?, row.opt_bytes(14)?) {
        (None, None) => None,
        (Some(height), Some(hash)) => Some(BlockRef {
            height: BlockHeight(u64::try_from(height).map_err(|_| corrupt("a height"))?),
            hash: BlockHash(hash),
        }),
        _ => return Err(corrupt("a block")),
    };
    let by = row.opt_bytes(12)?.map(TransactionHash);
    let standing = match (row.parsed(11)?, by, block) {
        (UnconfirmedState::Detected, None, None) => Standing::Detected,
        (UnconfirmedState::Evicted, None, None) => Standing::Evicted,
        (UnconfirmedState::Included, None, Some(block)) => Standing::Included(block),
        (UnconfirmedState::Replaced, Some(by), None) => Standing::Replaced { by },
        (UnconfirmedState::DoubleSpent, Some(by), Some(block)) => {
            Standing::DoubleSpent { by, block }
        }
        _ => return Err(corrupt("a state")),
    };
    Ok(Sealed {
        value: Unconfirmed {
            id: DepositId::from_bytes(row.bytes(0)?),
            organization: OrganizationId::from_bytes(row.bytes(1)?),
            network: NetworkId::from_bytes(row.bytes(2)?),
            asset: AssetId::from_bytes(row.bytes(3)?),
            wallet: WalletId::from_bytes(row.bytes(4)?),
            address: address.ok_or_else(|| corrupt("an address"))?,
            movement: MovementId {
                transaction: TransactionHash(row.bytes(7)?),
                part: row.parsed(8)?,
            },
            units: from_bytes(&row.blob(9)?)?,
            inputs: inputs(&row.blob(10)?)?,
            standing,
            detected_at_ms: row.int(15)?,
            changed_at_ms: row.int(16)?,
            version: row.u32(17)?,
        },
        seal: row.blob(18)?,
    })
}
