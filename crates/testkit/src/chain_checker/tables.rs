//! The tables, as they are.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use serde_json::Value;
use sqlx::{Connection, PgConnection, SqliteConnection};

use super::values::short;

type Bytes = Vec<u8>;

enum Connected {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Rows as tuples, on either engine.
macro_rules! rows {
    ($db:expr, $sql:expr, $row:ty) => {
        match &mut $db {
            Connected::Sqlite(connection) => {
                sqlx::query_as::<_, $row>($sql).fetch_all(connection).await
            }
            Connected::Postgres(connection) => {
                sqlx::query_as::<_, $row>($sql).fetch_all(connection).await
            }
        }
        .with_context(|| format!("the checker cannot run {:?}", $sql))?
    };
}

/// The payload of an address, with the number of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Address {
    pub kind: i64,
    pub payload: Bytes,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&short(&self.payload))
    }
}

mod deposits;
mod ledger;
mod outputs;

pub(super) use deposits::DepositRow;
pub(super) use ledger::{AccountRow, EntryRow, Sums, TransactionRow};
pub(super) use outputs::OutputRow;

pub(super) struct NetworkRow {
    pub id: Bytes,
    pub chain: String,
    pub settings: Value,
    pub state: String,
}

pub(super) struct AssetRow {
    pub id: Bytes,
    pub network: Bytes,
    pub name: String,
    /// `None` for the chain's own coin.
    pub contract: Option<[u8; 20]>,
    pub state: String,
}

pub(super) struct Progress {
    pub network: Bytes,
    pub height: Option<i64>,
    pub hash: Option<Bytes>,
    pub finalized: Option<i64>,
}

pub(super) struct BlockRow {
    pub network: Bytes,
    pub height: i64,
    pub hash: Bytes,
    pub parent: Bytes,
    pub transactions: i64,
    pub logs: i64,
    pub movements: i64,
    pub root: Bytes,
}

pub(super) struct AuditRow {
    pub organization: Bytes,
    pub seq: i64,
    pub action: String,
    pub object: String,
    pub payload: String,
}

pub(super) struct Tables {
    pub networks: Vec<NetworkRow>,
    pub assets: Vec<AssetRow>,
    pub progress: Vec<Progress>,
    /// By network and height.
    pub blocks: Vec<BlockRow>,
    /// Network and hash of those that were taken back.
    pub orphaned: Vec<(Bytes, Bytes)>,
    pub deposits: Vec<DepositRow>,
    pub accounts: Vec<AccountRow>,
    /// By organization and number.
    pub transactions: Vec<TransactionRow>,
    /// By account and version.
    pub entries: Vec<EntryRow>,
    /// Organization, number, hash.
    pub heads: Vec<(Bytes, i64, Bytes)>,
    pub audit: Vec<AuditRow>,
    /// Address to wallet, of every wallet.
    pub addresses: HashMap<Address, Bytes>,
    /// Those derived ahead of need: watched, and nobody's yet.
    pub pooled: HashSet<Address>,
    pub outputs: Vec<OutputRow>,
}

impl Tables {
    /// Every address that is watched.
    pub(super) fn ours(&self) -> impl Iterator<Item = &Address> {
        self.addresses.keys().chain(&self.pooled)
    }
}

pub(super) async fn read(url: &str) -> Result<Tables> {
    let mut db = match url.strip_prefix("sqlite:") {
        Some(path) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(path)
                .read_only(true);
            Connected::Sqlite(SqliteConnection::connect_with(&options).await?)
        }
        None => Connected::Postgres(PgConnection::connect(url).await?),
    };
    let wallets = rows!(
        db,
        "SELECT id, kinds, payloads FROM wallets",
        (Bytes, i64, Bytes)
    );
    let pooled = rows!(db, "SELECT payloads FROM pool_entries", (Bytes,));
    Ok(Tables {
        networks: networks(&mut db).await?,
        assets: assets(&mut db).await?,
        progress: progress(&mut db).await?,
        blocks: blocks(&mut db).await?,
        orphaned: rows!(
            db,
            "SELECT network_id, hash FROM orphaned_blocks",
            (Bytes, Bytes)
        ),
        deposits: deposits::read(&mut db).await?,
        accounts: ledger::accounts(&mut db).await?,
        transactions: ledger::transactions(&mut db).await?,
        entries: ledger::entries(&mut db).await?,
        heads: rows!(
            db,
            "SELECT organization_id, seq, hash FROM ledger_heads",
            (Bytes, i64, Bytes)
        ),
        audit: audit(&mut db).await?,
        addresses: wallets
            .into_iter()
            .flat_map(|(id, kinds, packed)| {
                unpack(kinds, &packed)
                    .into_iter()
                    .map(move |one| (one, id.clone()))
            })
            .collect(),
        // An entry holds every kind, as far as it goes.
        pooled: pooled
            .iter()
            .flat_map(|(packed,)| unpack(i64::MAX, packed))
            .collect(),
        outputs: outputs::read(&mut db).await?,
    })
}

/// Bytes of a payload, by the number of its kind from 1 on: EVM, TRON, P2WPKH, P2TR, Solana.
const PAYLOADS: [usize; 5] = [20, 20, 20, 32, 32];

/// A row's payloads lie one after the other; the bit of each kind that there is, is set.
fn unpack(kinds: i64, mut packed: &[u8]) -> Vec<Address> {
    let mut addresses = Vec::with_capacity(PAYLOADS.len());
    for (kind, length) in (1..).zip(PAYLOADS) {
        if kinds & (1 << (kind - 1)) != 0
            && let Some((payload, rest)) = packed.split_at_checked(length)
        {
            packed = rest;
            let payload = payload.to_vec();
            addresses.push(Address { kind, payload });
        }
    }
    addresses
}

async fn networks(db: &mut Connected) -> Result<Vec<NetworkRow>> {
    let rows = rows!(
        *db,
        "SELECT id, chain, settings, state FROM networks ORDER BY chain",
        (Bytes, String, String, String)
    );
    rows.into_iter()
        .map(|(id, chain, settings, state)| {
            Ok(NetworkRow {
                id,
                chain,
                settings: serde_json::from_str(&settings)?,
                state,
            })
        })
        .collect()
}

async fn assets(db: &mut Connected) -> Result<Vec<AssetRow>> {
    let rows = rows!(
        *db,
        "SELECT id, network_id, name, contract, state FROM assets ORDER BY name",
        (Bytes, Bytes, String, Option<Bytes>, String)
    );
    rows.into_iter()
        .map(|(id, network, name, contract, state)| {
            let contract = contract.map(|bytes| <[u8; 20]>::try_from(bytes.as_slice()));
            Ok(AssetRow {
                id,
                network,
                contract: contract.transpose().context("a contract of 20 bytes")?,
                name,
                state,
            })
        })
        .collect()
}

async fn progress(db: &mut Connected) -> Result<Vec<Progress>> {
    let rows = rows!(
        *db,
        "SELECT network_id, tip_height, tip_hash, finalized_height FROM network_progress",
        (Bytes, Option<i64>, Option<Bytes>, Option<i64>)
    );
    let row = |(network, height, hash, finalized)| Progress {
        network,
        height,
        hash,
        finalized,
    };
    Ok(rows.into_iter().map(row).collect())
}

async fn blocks(db: &mut Connected) -> Result<Vec<BlockRow>> {
    let rows = rows!(
        *db,
        "SELECT network_id, height, hash, parent, transactions, logs, movements, root FROM blocks ORDER BY network_id, height",
        (Bytes, i64, Bytes, Bytes, i64, i64, i64, Bytes)
    );
    let row = |(network, height, hash, parent, transactions, logs, movements, root)| BlockRow {
        network,
        height,
        hash,
        parent,
        transactions,
        logs,
        movements,
        root,
    };
    Ok(rows.into_iter().map(row).collect())
}

async fn audit(db: &mut Connected) -> Result<Vec<AuditRow>> {
    let rows = rows!(
        *db,
        "SELECT organization_id, seq, action, object, payload FROM audit_records ORDER BY organization_id, seq",
        (Bytes, i64, String, String, String)
    );
    let row = |(organization, seq, action, object, payload)| AuditRow {
        organization,
        seq,
        action,
        object,
        payload,
    };
    Ok(rows.into_iter().map(row).collect())
}
