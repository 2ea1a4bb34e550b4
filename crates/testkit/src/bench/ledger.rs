//! How many transfers a second the ledger posts, beside bare inserts of the same rows.
//!
//! A transfer has two legs between two of ten thousand customers. It is posted as the platform posts everything: heads
//! loaded and verified, rules checked, hashed, sealed, heads moved, an audit record, one commit per batch. The
//! baseline writes the same transactions and entries into tables with the same definitions and indexes, in the same
//! batches, with the same durability, and does nothing else.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coffer_domain::id::{AssetId, WalletId};
use coffer_domain::ledger::{AccountKey, AccountKind};
use coffer_platform::Caller;
use coffer_platform::ledger::Transfer;
use futures_util::TryStreamExt;
use ruint::aliases::U256;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection, ValueRef};

use super::machine;
use crate::{Engine, Installation};

const ACCOUNTS: u32 = 10_000;
/// What each account begins with, so that no transfer is refused.
const FUNDS: u64 = 1 << 40;
const ROWS_PER_STATEMENT: usize = 500;

#[derive(Debug, Clone, Copy)]
pub struct LedgerOptions {
    pub engine: Engine,
    pub transfers: u32,
    /// Transfers of one commit.
    pub batch: u32,
    /// Verify the whole ledger afterwards, not counted.
    pub verify: bool,
}

/// Measures; the answer is a JSON object and its text for people.
///
/// # Errors
/// When a part fails, or the ledger does not verify.
pub async fn ledger(options: &LedgerOptions) -> Result<(Value, String)> {
    ensure!(options.batch > 0, "a batch has one transfer at least");
    let installation = Installation::create(options.engine).await;
    let (platform, caller) = (&installation.platform, &installation.admin);
    platform.post_transfers(caller, &funds(caller)).await?;
    let (mut posted, mut took, mut number) = (0, Duration::ZERO, Numbers(0x9E37_79B9));
    while posted < options.transfers {
        let count = options.batch.min(options.transfers - posted);
        let transfers: Vec<Transfer> = (posted..posted + count)
            .map(|at| transfer(caller, at, &mut number))
            .collect();
        let started = Instant::now();
        platform.post_transfers(caller, &transfers).await?;
        took += started.elapsed();
        posted += count;
    }
    let mut verified = None;
    if options.verify {
        let started = Instant::now();
        let report = platform.verify_ledger(caller).await?;
        ensure!(report.broken.is_none(), "not sound: {:?}", report.broken);
        verified = Some(started.elapsed());
    }
    let bare = match options.engine {
        Engine::Sqlite => sqlite(&installation, options.batch).await?,
        Engine::Postgres => postgres(&installation.database.url, options.batch).await?,
    };
    Ok(answer(options, took, bare, verified))
}

fn answer(
    options: &LedgerOptions,
    took: Duration,
    bare: Duration,
    verified: Option<Duration>,
) -> (Value, String) {
    let rate = |took: Duration| f64::from(options.transfers) / took.as_secs_f64();
    let ratio = rate(took) / rate(bare);
    let engine = format!("{:?}", options.engine).to_lowercase();
    let json = json!({
        "machine": machine(), "engine": engine, "transfers": options.transfers, "batch": options.batch,
        "transfers_per_second": rate(took), "bare_inserts_per_second": rate(bare), "ratio": ratio,
        "verified_per_second": verified.map(rate),
    });
    let mut text = format!(
        "{}\n{} transfers over {ACCOUNTS} accounts on {engine}, {} a batch\n{:36} {:>9.0} transfers/s ({:.2} s)\n\
         {:36} {:>9.0} transfers/s; the ledger has {ratio:.2} of it\n",
        machine(),
        options.transfers,
        options.batch,
        "posting through the platform",
        rate(took),
        took.as_secs_f64(),
        "bare inserts of the same rows",
        rate(bare),
    );
    if let Some(verified) = verified {
        text += &format!(
            "{:36} {:>9.0} transfers/s\n",
            "verifying the whole ledger",
            rate(verified)
        );
    }
    (json, text)
}

/// A small generator (xorshift): the transfers are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

fn account(caller: &Caller, kind: AccountKind, number: u32) -> AccountKey {
    let mut wallet = [0xAB; 16];
    wallet[..4].copy_from_slice(&number.to_be_bytes());
    AccountKey {
        organization: caller.organization,
        asset: AssetId::from_bytes([7; 16]),
        kind,
        wallet: (kind == AccountKind::Customer).then(|| WalletId::from_bytes(wallet)),
    }
}

fn funds(caller: &Caller) -> Vec<Transfer> {
    let fund = |number| Transfer {
        reference: format!("fund {number}"),
        debit: account(caller, AccountKind::Adjustment, 0),
        credit: account(caller, AccountKind::Customer, number),
        units: U256::from(FUNDS),
    };
    (0..ACCOUNTS).map(fund).collect()
}

fn transfer(caller: &Caller, at: u32, numbers: &mut Numbers) -> Transfer {
    let from = numbers.next(u64::from(ACCOUNTS));
    let step = 1 + numbers.next(u64::from(ACCOUNTS) - 1);
    let to = (from + step) % u64::from(ACCOUNTS);
    let customer = |number: u64| {
        let number = u32::try_from(number).unwrap_or(0);
        account(caller, AccountKind::Customer, number)
    };
    Transfer {
        reference: format!("transfer {at}"),
        debit: customer(from),
        credit: customer(to),
        units: U256::from(1 + numbers.next(1000)),
    }
}

const TRANSACTIONS: &str = "SELECT * FROM ledger_transactions WHERE seq BETWEEN";
const ENTRIES: &str = "SELECT * FROM ledger_entries WHERE transaction_seq BETWEEN";

/// Reading the rows is not measured, writing them is.
async fn sqlite(installation: &Installation, batch: u32) -> Result<Duration> {
    let path = installation.database.url.strip_prefix("sqlite:");
    let path = path.context("the database is a file")?;
    let mut source =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path).read_only(true))
            .await?;
    let target = SqliteConnectOptions::new()
        .filename(installation.folder.path().join("bare.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-65536")
        .pragma("wal_autocheckpoint", "16384");
    let mut target = SqliteConnection::connect_with(&target).await?;
    let schema = "SELECT sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL \
        AND tbl_name IN ('ledger_transactions', 'ledger_entries') ORDER BY type DESC";
    for row in sqlx::query(schema).fetch_all(&mut source).await? {
        let sql = AssertSqlSafe(row.get::<String, _>(0));
        sqlx::raw_sql(sql).execute(&mut target).await?;
    }
    let (mut first, mut took) = (1, Duration::ZERO);
    loop {
        let last = if first == 1 {
            ACCOUNTS
        } else {
            first + batch - 1
        };
        let mut rows = Vec::new();
        for (table, select, order) in [
            ("ledger_transactions", TRANSACTIONS, "seq"),
            ("ledger_entries", ENTRIES, "account_id, version"),
        ] {
            let sql = format!("{select} {first} AND {last} ORDER BY {order}");
            let found = sqlx::query(AssertSqlSafe(sql))
                .fetch_all(&mut source)
                .await?;
            rows.push((table, found.iter().map(values).collect::<Vec<_>>()));
        }
        if rows[0].1.is_empty() {
            return Ok(took);
        }
        let started = Instant::now();
        let mut transaction = target.begin().await?;
        for (table, rows) in &rows {
            insert(&mut transaction, table, rows).await?;
        }
        transaction.commit().await?;
        // The accounts' funds come before what is measured.
        if first > 1 {
            took += started.elapsed();
        }
        first = last + 1;
    }
}

/// A value of one of the three types that the schema has.
enum Cell {
    Int(i64),
    Text(String),
    Blob(Option<Vec<u8>>),
}

fn values(row: &sqlx::sqlite::SqliteRow) -> Vec<Cell> {
    let cell = |at: usize| {
        // Read as a number, NULL would be zero.
        if row.try_get_raw(at).is_ok_and(|value| value.is_null()) {
            return Cell::Blob(None);
        }
        if let Ok(value) = row.try_get::<i64, _>(at) {
            return Cell::Int(value);
        }
        if let Ok(value) = row.try_get::<String, _>(at) {
            return Cell::Text(value);
        }
        Cell::Blob(row.try_get(at).ok())
    };
    (0..row.len()).map(cell).collect()
}

async fn insert(connection: &mut SqliteConnection, table: &str, rows: &[Vec<Cell>]) -> Result<()> {
    for part in rows.chunks(ROWS_PER_STATEMENT) {
        let row = format!("({})", vec!["?"; part[0].len()].join(", "));
        let sql = format!(
            "INSERT INTO {table} VALUES {}",
            vec![row; part.len()].join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for cell in part.iter().flatten() {
            query = match cell {
                Cell::Int(value) => query.bind(*value),
                Cell::Text(value) => query.bind(value.as_str()),
                Cell::Blob(value) => query.bind(value.as_deref()),
            };
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// COPY out, which is not measured, and COPY in, which is.
async fn postgres(url: &str, batch: u32) -> Result<Duration> {
    let mut connection = PgConnection::connect(url).await?;
    let tables = "CREATE SCHEMA bare; CREATE TABLE bare.ledger_transactions (LIKE public.ledger_transactions INCLUDING ALL); \
        CREATE TABLE bare.ledger_entries (LIKE public.ledger_entries INCLUDING ALL)";
    sqlx::raw_sql(tables).execute(&mut connection).await?;
    let last: i64 = sqlx::query_scalar("SELECT max(seq) FROM ledger_transactions")
        .fetch_one(&mut connection)
        .await?;
    let (mut first, mut took) = (1, Duration::ZERO);
    while first <= last {
        let end = if first == 1 {
            i64::from(ACCOUNTS)
        } else {
            first + i64::from(batch) - 1
        };
        let mut copies = Vec::new();
        for (table, select, order) in [
            ("ledger_transactions", TRANSACTIONS, "seq"),
            ("ledger_entries", ENTRIES, "account_id, version"),
        ] {
            let sql = format!(
                "COPY ({select} {first} AND {end} ORDER BY {order}) TO STDOUT (FORMAT binary)"
            );
            let data: Vec<bytes::Bytes> =
                connection.copy_out_raw(&sql).await?.try_collect().await?;
            copies.push((table, data));
        }
        let started = Instant::now();
        let mut transaction = connection.begin().await?;
        for (table, data) in copies {
            let mut sink = transaction
                .copy_in_raw(&format!("COPY bare.{table} FROM STDIN (FORMAT binary)"))
                .await?;
            for part in data.chunks(1000) {
                sink.send(part.concat()).await?;
            }
            sink.finish().await?;
        }
        transaction.commit().await?;
        // The accounts' funds come before what is measured.
        if first > 1 {
            took += started.elapsed();
        }
        first = end + 1;
    }
    Ok(took)
}
