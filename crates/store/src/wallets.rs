//! Wallets.
//!
//! A wallet's row holds its addresses' payloads one after the other, in the order of the kinds; its
//! seal covers them. The way back from an address is [`crate::addresses`].

use coffer_domain::address::{AddressKinds, AddressPayload};
use coffer_domain::external_id::ExternalId;
use coffer_domain::id::{ApiKeyId, BatchId, OrganizationId, VaultId, WalletId};
use coffer_domain::wallet::{Wallet, WalletState};

use crate::{Db, Param, Row, Sealed, StoreError, Tx, addresses, bulk};

const COLUMNS: &str = "id, organization_id, vault_id, derivation_index, external_key, external_id, label, metadata, \
    state, reason, kinds, payloads, batch_id, created_by, created_at, version, seal";
/// Keys asked for in one statement.
const KEYS_PER_QUERY: usize = 500;

/// Payloads one after the other, in the order of the kinds.
#[must_use]
pub fn pack_payloads(payloads: &[AddressPayload]) -> Vec<u8> {
    payloads
        .iter()
        .flat_map(|payload| payload.bytes().iter().copied())
        .collect()
}

/// Reads what [`pack_payloads`] wrote.
pub fn unpack_payloads(
    kinds: AddressKinds,
    packed: &[u8],
) -> Result<Vec<AddressPayload>, StoreError> {
    let corrupt = || StoreError::Corrupt("address payloads of a wrong length".to_owned());
    let mut rest = packed;
    let mut payloads = Vec::with_capacity(5);
    for kind in kinds.iter() {
        let (head, tail) = rest
            .split_at_checked(kind.payload_len())
            .ok_or_else(corrupt)?;
        payloads.push(AddressPayload::try_new(kind, head).ok_or_else(corrupt)?);
        rest = tail;
    }
    if rest.is_empty() {
        Ok(payloads)
    } else {
        Err(corrupt())
    }
}

fn read(row: &Row) -> Result<Sealed<Wallet>, StoreError> {
    let kinds = AddressKinds::from_bits(row.int(10)?)
        .ok_or_else(|| StoreError::Corrupt("an unknown set of address kinds".to_owned()))?;
    let external_id = row.text(5)?;
    let wallet = Wallet {
        id: WalletId::from_bytes(row.bytes(0)?),
        organization: OrganizationId::from_bytes(row.bytes(1)?),
        vault: VaultId::from_bytes(row.bytes(2)?),
        index: row.u32(3)?,
        external_id: ExternalId::try_new(&external_id)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?,
        label: row.opt_text(6)?,
        metadata: row.opt_text(7)?,
        state: row.parsed(8)?,
        reason: row.opt_text(9)?,
        payloads: unpack_payloads(kinds, &row.blob(11)?)?,
        batch: row.opt_bytes(12)?.map(BatchId::from_bytes),
        created_by: ApiKeyId::from_bytes(row.bytes(13)?),
        created_at_ms: row.int(14)?,
        version: row.u32(15)?,
    };
    // Both columns say the same; a row in which they differ was not written by this program.
    if wallet.external_id.key(wallet.organization) != row.bytes(4)?
        || wallet.external_id.as_str() != external_id
    {
        return Err(StoreError::Corrupt(format!(
            "a wallet {} whose external id and its key differ",
            wallet.id
        )));
    }
    Ok(Sealed {
        value: wallet,
        seal: row.blob(16)?,
    })
}

/// A row as it is found: one that cannot be read keeps its id, so that it can be named and refused.
pub type Found = Result<Sealed<Wallet>, (WalletId, StoreError)>;

fn found(row: &Row) -> Result<Found, StoreError> {
    let id = WalletId::from_bytes(row.bytes(0)?);
    Ok(read(row).map_err(|error| (id, error)))
}

/// Inserts wallets and their addresses. A broken uniqueness rule fails the whole.
pub async fn insert_many(tx: &mut Tx, wallets: &[Sealed<Wallet>]) -> Result<(), StoreError> {
    let keys: Vec<[u8; 16]> = wallets
        .iter()
        .map(|w| w.value.external_id.key(w.value.organization))
        .collect();
    let packed: Vec<Vec<u8>> = wallets
        .iter()
        .map(|w| pack_payloads(&w.value.payloads))
        .collect();
    let columns: Vec<&str> = COLUMNS.split(',').map(str::trim).collect();
    let rows = wallets
        .iter()
        .zip(keys.iter().zip(&packed))
        .map(|(sealed, (key, packed))| {
            let wallet = &sealed.value;
            vec![
                Param::Blob(wallet.id.as_bytes()),
                Param::Blob(wallet.organization.as_bytes()),
                Param::Blob(wallet.vault.as_bytes()),
                Param::Int(i64::from(wallet.index)),
                Param::Blob(key),
                Param::Text(wallet.external_id.as_str()),
                Param::OptText(wallet.label.as_deref()),
                Param::OptText(wallet.metadata.as_deref()),
                Param::Text(wallet.state.name()),
                Param::OptText(wallet.reason.as_deref()),
                Param::Int(i64::from(wallet.kinds().bits())),
                Param::Blob(packed),
                Param::OptBlob(wallet.batch.as_ref().map(|batch| &batch.as_bytes()[..])),
                Param::Blob(wallet.created_by.as_bytes()),
                Param::Int(wallet.created_at_ms),
                Param::Int(i64::from(wallet.version)),
                Param::Blob(&sealed.seal),
            ]
        });
    bulk::insert(tx, "wallets", &columns, rows).await?;
    addresses::insert(tx, wallets).await
}

/// Stores a decision on a wallet, if its version is still `expected_version`.
pub async fn update_state(
    tx: &mut Tx,
    sealed: &Sealed<Wallet>,
    expected_version: u32,
) -> Result<(), StoreError> {
    let wallet = &sealed.value;
    tx.execute_one(
            "UPDATE wallets SET state = $1, reason = $2, version = $3, seal = $4 WHERE id = $5 AND version = $6",
            &[
                Param::Text(wallet.state.name()),
                Param::OptText(wallet.reason.as_deref()),
                Param::Int(i64::from(wallet.version)),
                Param::Blob(&sealed.seal),
                Param::Blob(wallet.id.as_bytes()),
                Param::Int(i64::from(expected_version)),
            ],
            &wallet.id,
    )
    .await
}

async fn one(tx: &mut Tx, condition: &str, param: Param<'_>) -> Result<Option<Found>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM wallets WHERE {condition}");
    tx.fetch_optional(sql, &[param])
        .await?
        .as_ref()
        .map(found)
        .transpose()
}

pub async fn by_id(tx: &mut Tx, id: WalletId) -> Result<Option<Found>, StoreError> {
    one(tx, "id = $1", Param::Blob(id.as_bytes())).await
}

/// The wallet of an address according to the index, in one statement and a snapshot of its own.
pub async fn look_by_address(
    db: &Db,
    payload: &AddressPayload,
) -> Result<Option<Found>, StoreError> {
    let of = addresses::WALLET_OF;
    let sql = format!("SELECT {COLUMNS} FROM wallets WHERE id = ({of})");
    let kind = Param::Int(i64::from(payload.kind().code()));
    let rows = db.look(sql, &[Param::Blob(payload.bytes()), kind]).await?;
    rows.first().map(found).transpose()
}

/// Like [`by_id`], and nobody else changes the wallet until this transaction ends.
pub async fn lock(tx: &mut Tx, id: WalletId) -> Result<Option<Found>, StoreError> {
    let condition = format!("id = $1{}", tx.engine().for_update());
    one(tx, &condition, Param::Blob(id.as_bytes())).await
}

pub async fn by_external_key(tx: &mut Tx, key: &[u8; 16]) -> Result<Option<Found>, StoreError> {
    one(tx, "external_key = $1", Param::Blob(key)).await
}

/// Which of `keys` are taken, and by which wallet; in no order.
pub async fn existing(
    tx: &mut Tx,
    keys: &[[u8; 16]],
) -> Result<Vec<([u8; 16], WalletId)>, StoreError> {
    let mut taken = Vec::new();
    for keys in keys.chunks(KEYS_PER_QUERY) {
        let mut params: Vec<Param<'_>> = keys.iter().map(|key| Param::Blob(key)).collect();
        let marks = bulk::placeholders(tx.engine(), &mut params);
        let sql = format!("SELECT external_key, id FROM wallets WHERE external_key IN ({marks})");
        for row in tx.fetch(sql, &params).await? {
            taken.push((row.bytes(0)?, WalletId::from_bytes(row.bytes(1)?)));
        }
    }
    Ok(taken)
}

pub async fn by_ids(tx: &mut Tx, ids: &[WalletId]) -> Result<Vec<Found>, StoreError> {
    let mut wallets = Vec::with_capacity(ids.len());
    for ids in ids.chunks(KEYS_PER_QUERY) {
        let mut params: Vec<Param<'_>> = ids.iter().map(|id| Param::Blob(id.as_bytes())).collect();
        let marks = bulk::placeholders(tx.engine(), &mut params);
        let sql = format!("SELECT {COLUMNS} FROM wallets WHERE id IN ({marks})");
        for row in tx.fetch(sql, &params).await? {
            wallets.push(found(&row)?);
        }
    }
    Ok(wallets)
}

/// Wallets whose ids lie in `first..=last`, in the order of the ids. Ids of one vault sort by index.
pub async fn in_range(
    tx: &mut Tx,
    first: WalletId,
    last: WalletId,
) -> Result<Vec<Found>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM wallets WHERE id >= $1 AND id <= $2 ORDER BY id");
    let rows = tx
        .fetch(
            sql,
            &[Param::Blob(first.as_bytes()), Param::Blob(last.as_bytes())],
        )
        .await?;
    rows.iter().map(found).collect()
}

#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub vault: Option<VaultId>,
    pub state: Option<WalletState>,
}

/// One page of an organization's wallets in the order of their ids, after `after`.
pub async fn page(
    tx: &mut Tx,
    organization: OrganizationId,
    filter: &Filter,
    after: Option<WalletId>,
    limit: u32,
) -> Result<Vec<Found>, StoreError> {
    let after = after.map_or([0; 16], |id| *id.as_bytes());
    let mut sql =
        format!("SELECT {COLUMNS} FROM wallets WHERE id > $1 AND organization_id = $2 AND $3 > 0");
    let limit = i64::from(limit);
    let mut params = vec![
        Param::Blob(&after),
        Param::Blob(organization.as_bytes()),
        Param::Int(limit),
    ];
    if let Some(vault) = &filter.vault {
        params.push(Param::Blob(vault.as_bytes()));
        sql.push_str(&format!(" AND vault_id = ${}", params.len()));
    }
    if let Some(state) = filter.state {
        params.push(Param::Text(state.name()));
        sql.push_str(&format!(" AND state = ${}", params.len()));
    }
    sql.push_str(" ORDER BY id LIMIT $3");
    tx.fetch(sql, &params).await?.iter().map(found).collect()
}

pub async fn count(tx: &mut Tx) -> Result<i64, StoreError> {
    tx.fetch_int("SELECT count(*) FROM wallets").await
}
