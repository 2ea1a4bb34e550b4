//! Wallets.
//!
//! A wallet's row holds its addresses' payloads one after the other, in the order of the kinds; its
//! seal covers them. The way back from an address is [`crate::addresses`].

use coffer_domain::address::{AddressKinds, AddressPayload};
use coffer_domain::external_id::ExternalId;
use coffer_domain::id::{ApiKeyId, BatchId, OrganizationId, VaultId, WalletId};
use coffer_domain::wallet::{Wallet, WalletState};

use crate::addresses::{self, VaultNumbers};
use crate::{Db, Engine, Param, Row, Sealed, StoreError, Tx, bulk};

const COLUMNS: &str = "id, organization_id, vault_id, derivation_index, external_id, label, metadata, \
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
    let kinds = AddressKinds::from_bits(row.int(9)?)
        .ok_or_else(|| StoreError::Corrupt("an unknown set of address kinds".to_owned()))?;
    let external_id = row.text(4)?;
    let wallet = Wallet {
        id: WalletId::from_bytes(row.bytes(0)?),
        organization: OrganizationId::from_bytes(row.bytes(1)?),
        vault: VaultId::from_bytes(row.bytes(2)?),
        index: row.u32(3)?,
        external_id: ExternalId::try_new(&external_id)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?,
        label: row.opt_text(5)?,
        metadata: row.opt_text(6)?,
        state: row.parsed(7)?,
        reason: row.opt_text(8)?,
        payloads: unpack_payloads(kinds, &row.blob(10)?)?,
        batch: row.opt_bytes(11)?.map(BatchId::from_bytes),
        created_by: ApiKeyId::from_bytes(row.bytes(12)?),
        created_at_ms: row.int(13)?,
        version: row.u32(14)?,
    };
    // Uniqueness is by the text, which this program only stores in its normal form.
    if wallet.external_id.as_str() != external_id {
        return Err(StoreError::Corrupt(format!(
            "a wallet {} whose external id is not in its normal form",
            wallet.id
        )));
    }
    Ok(Sealed {
        value: wallet,
        seal: row.blob(15)?,
    })
}

/// A row as it is found: one that cannot be read keeps its id, so that it can be named and refused.
pub type Found = Result<Sealed<Wallet>, (WalletId, StoreError)>;

fn found(row: &Row) -> Result<Found, StoreError> {
    let id = WalletId::from_bytes(row.bytes(0)?);
    Ok(read(row).map_err(|error| (id, error)))
}

/// Wallets and their addresses, ready to be inserted. A broken uniqueness rule fails the whole.
pub struct Insertion {
    wallets: bulk::Insertion,
    addresses: bulk::Insertion,
}

impl Insertion {
    /// `None` when the number of a vault in the address index is not among `numbers`; [`insert_many`] gives it one.
    #[must_use]
    pub fn of(engine: Engine, wallets: &[Sealed<Wallet>], numbers: &VaultNumbers) -> Option<Self> {
        Some(Self {
            addresses: addresses::insertion(engine, wallets, numbers)?,
            wallets: insertion(engine, wallets),
        })
    }

    pub async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        self.wallets.run(tx).await?;
        self.addresses.run(tx).await?;
        Ok(())
    }
}

/// Inserts wallets and their addresses. A broken uniqueness rule fails the whole.
pub async fn insert_many(tx: &mut Tx, wallets: &[Sealed<Wallet>]) -> Result<(), StoreError> {
    let numbers = addresses::numbers(tx, wallets).await?;
    let insertion = Insertion::of(tx.engine(), wallets, &numbers)
        .expect("the numbers of all their vaults were just asked for");
    insertion.run(tx).await
}

fn insertion(engine: Engine, wallets: &[Sealed<Wallet>]) -> bulk::Insertion {
    let packed: Vec<Vec<u8>> = wallets
        .iter()
        .map(|w| pack_payloads(&w.value.payloads))
        .collect();
    let columns: Vec<&str> = COLUMNS.split(',').map(str::trim).collect();
    let rows = wallets.iter().zip(&packed).map(|(sealed, packed)| {
        let wallet = &sealed.value;
        vec![
            Param::Blob(wallet.id.as_bytes()),
            Param::Blob(wallet.organization.as_bytes()),
            Param::Blob(wallet.vault.as_bytes()),
            Param::Int(i64::from(wallet.index)),
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
    bulk::Insertion::of(engine, "wallets", &columns, rows)
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

pub async fn by_external_id(
    tx: &mut Tx,
    organization: OrganizationId,
    external_id: &ExternalId,
) -> Result<Option<Found>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM wallets WHERE organization_id = $1 AND external_id = $2");
    let params = [
        Param::Blob(organization.as_bytes()),
        Param::Text(external_id.as_str()),
    ];
    tx.fetch_optional(sql, &params)
        .await?
        .as_ref()
        .map(found)
        .transpose()
}

/// Which of these external ids are taken, and by which wallet; in no order.
pub async fn existing(
    tx: &mut Tx,
    organization: OrganizationId,
    ids: &[&ExternalId],
) -> Result<Vec<(String, WalletId)>, StoreError> {
    let keys = ids.iter().map(|id| {
        vec![
            Param::Blob(organization.as_bytes()),
            Param::Text(id.as_str()),
        ]
    });
    let sql = format!(
        "SELECT w.external_id, w.id FROM {} JOIN wallets w \
         ON w.organization_id = k.column1 AND w.external_id = k.column2",
        bulk::KEYS
    );
    let rows = bulk::fetch_joined(tx, &sql, keys.collect()).await?;
    rows.iter()
        .map(|row| Ok((row.text(0)?, WalletId::from_bytes(row.bytes(1)?))))
        .collect()
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
