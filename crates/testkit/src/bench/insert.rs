//! The second baseline: the rows that the batch left, written again with the same tables and indexes, bare.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};

use super::Measured;
use crate::Engine;
use crate::serving::Site;

const WALLETS_PER_TRANSACTION: usize = 10_000;
const ROWS_PER_STATEMENT: usize = 500;
/// As the address index has them.
const INDEXES_PER_RUN: i64 = 8192;
/// Bytes of an address's payload by the bit of its kind.
const PAYLOAD_BYTES: [usize; 5] = [20, 20, 20, 32, 32];

type WalletRow = (
    Vec<u8>,
    Vec<u8>,
    Vec<u8>,
    i64,
    String,
    Option<String>,
    Option<String>,
    String,
    i64,
    Vec<u8>,
    Option<Vec<u8>>,
    Vec<u8>,
    i64,
    i64,
    Vec<u8>,
);
const COLUMNS: &str = "id, organization_id, vault_id, derivation_index, external_id, label, metadata, \
    state, kinds, payloads, batch_id, created_by, created_at, version, seal";

pub(super) async fn bare(engine: Engine, site: &Site) -> Result<Measured> {
    match engine {
        Engine::Sqlite => sqlite(site).await,
        Engine::Postgres => postgres(&site.database_url).await,
    }
}

async fn sqlite(site: &Site) -> Result<Measured> {
    let source = SqliteConnectOptions::new()
        .filename(site.data().join("coffer.db"))
        .read_only(true);
    let mut source = SqliteConnection::connect_with(&source).await?;
    let target = SqliteConnectOptions::new()
        .filename(site.folder().join("bare.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-65536");
    let mut target = SqliteConnection::connect_with(&target).await?;
    let schema = "SELECT sql FROM sqlite_master WHERE tbl_name IN ('wallets', 'addresses') AND sql IS NOT NULL";
    for row in sqlx::query(schema).fetch_all(&mut source).await? {
        sqlx::raw_sql(AssertSqlSafe(row.get::<String, _>(0)))
            .execute(&mut target)
            .await?;
    }
    let (mut after, mut rows, mut took) = (Vec::new(), 0, Duration::ZERO);
    loop {
        let sql = format!(
            "SELECT {COLUMNS} FROM wallets WHERE id > $1 ORDER BY id LIMIT {WALLETS_PER_TRANSACTION}"
        );
        let page: Vec<WalletRow> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(&after)
            .fetch_all(&mut source)
            .await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.0);
        let addresses = addresses(&page);
        let started = Instant::now();
        let mut transaction = target.begin().await?;
        insert_wallets(&mut transaction, &page).await?;
        insert_addresses(&mut transaction, &addresses).await?;
        transaction.commit().await?;
        took += started.elapsed();
        rows += u32::try_from(page.len())?;
    }
    Ok(Measured {
        rows,
        seconds: took.as_secs_f64(),
    })
}

/// In the order of the index. One vault has all, with any number.
fn addresses(page: &[WalletRow]) -> Vec<(i64, &[u8], i64, &[u8])> {
    let mut addresses = Vec::new();
    for wallet in page {
        let mut rest = wallet.9.as_slice();
        for (bit, length) in PAYLOAD_BYTES
            .into_iter()
            .enumerate()
            .filter(|(bit, _)| wallet.8 & (1 << bit) != 0)
        {
            let (payload, tail) = rest.split_at(length);
            addresses.push((
                wallet.3 / INDEXES_PER_RUN,
                payload,
                bit as i64 + 1,
                wallet.0.as_slice(),
            ));
            rest = tail;
        }
    }
    addresses.sort_unstable();
    addresses
}

fn statement(table: &str, columns: &str, rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns.split(',').count()].join(", "));
    format!(
        "INSERT INTO {table} ({columns}) VALUES {}",
        vec![row; rows].join(", ")
    )
}

async fn insert_wallets(connection: &mut SqliteConnection, wallets: &[WalletRow]) -> Result<()> {
    for part in wallets.chunks(ROWS_PER_STATEMENT) {
        let mut query = sqlx::query(AssertSqlSafe(statement("wallets", COLUMNS, part.len())));
        for w in part {
            query = query
                .bind(&w.0)
                .bind(&w.1)
                .bind(&w.2)
                .bind(w.3)
                .bind(&w.4)
                .bind(&w.5)
                .bind(&w.6);
            query = query
                .bind(&w.7)
                .bind(w.8)
                .bind(&w.9)
                .bind(&w.10)
                .bind(&w.11)
                .bind(w.12)
                .bind(w.13)
                .bind(&w.14);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn insert_addresses(
    connection: &mut SqliteConnection,
    addresses: &[(i64, &[u8], i64, &[u8])],
) -> Result<()> {
    for part in addresses.chunks(ROWS_PER_STATEMENT) {
        let mut query = sqlx::query(AssertSqlSafe(statement(
            "addresses",
            "run, payload, kind, wallet_id",
            part.len(),
        )));
        for (run, payload, kind, wallet) in part {
            query = query.bind(run).bind(*payload).bind(kind).bind(*wallet);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// COPY out, which is not measured, and COPY in, which is.
async fn postgres(url: &str) -> Result<Measured> {
    let mut connection = PgConnection::connect(url).await?;
    let tables = "CREATE SCHEMA bare; CREATE TABLE bare.wallets (LIKE public.wallets INCLUDING ALL); \
        CREATE TABLE bare.addresses (LIKE public.addresses INCLUDING ALL)";
    sqlx::raw_sql(tables).execute(&mut connection).await?;
    let mut copies = Vec::new();
    for table in ["wallets", "addresses"] {
        let sql = format!("COPY public.{table} TO STDOUT (FORMAT binary)");
        let data: Vec<bytes::Bytes> = connection.copy_out_raw(&sql).await?.try_collect().await?;
        copies.push((table, data));
    }
    let started = Instant::now();
    let mut rows = 0;
    let mut transaction = connection.begin().await?;
    for (table, data) in copies {
        let mut sink = transaction
            .copy_in_raw(&format!("COPY bare.{table} FROM STDIN (FORMAT binary)"))
            .await?;
        for part in data.chunks(1000) {
            sink.send(part.concat()).await?;
        }
        let count = sink.finish().await?;
        if table == "wallets" {
            rows = u32::try_from(count)?;
        }
    }
    transaction.commit().await?;
    Ok(Measured {
        rows,
        seconds: started.elapsed().as_secs_f64(),
    })
}
