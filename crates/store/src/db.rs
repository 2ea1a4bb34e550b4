//! Opening a database and running transactions on it.

use std::borrow::Cow;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use coffer_domain::id::OrganizationId;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use crate::audit::AuditRow;
use crate::dialect::{check_settings, missing_guards, store_error, weak_settings};
use crate::mark::{Mark, Witness, postgres_mark};
use crate::send_at_once::send_at_once;
use crate::{Param, Row, StoreError, migrate};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// A database. Cheap to clone.
#[derive(Clone)]
pub struct Db(Pools);

#[derive(Clone)]
enum Pools {
    /// One writer, because SQLite has one; readers see the last commit and never wait for it.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
        witness: Witness,
    },
    Postgres(PgPool),
}

/// SQLite pages kept in memory: by the writer 64 MiB, by each reader 8 MiB.
const WRITER_CACHE_KIB: &str = "-65536";
const READER_CACHE_KIB: &str = "-8192";
/// Pages in the write-ahead log before SQLite folds them into the file: 256 MiB. A page that many commits
/// change is written to the file once per fold.
const WAL_PAGES: &str = "65536";
const READERS: u32 = 4;
const PG_CONNECTIONS: u32 = 12;
/// A host that stopped in the middle of a transaction holds its row locks; below a chunk's lease, so that
/// whoever takes the lease over finds them free.
const PG_IDLE_IN_TRANSACTION_MS: &str = "20000";
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);

macro_rules! bound {
    ($database:ty, $sql:expr, $params:expr) => {{
        let mut query = sqlx::query::<$database>(AssertSqlSafe($sql.into_owned()));
        for param in $params {
            query = match *param {
                Param::Int(value) => query.bind(value),
                Param::OptInt(value) => query.bind(value),
                Param::Text(value) => query.bind(value.to_owned()),
                Param::OptText(value) => query.bind(value.map(str::to_owned)),
                Param::Blob(value) => query.bind(value.to_vec()),
                Param::OptBlob(value) => query.bind(value.map(<[u8]>::to_vec)),
            };
        }
        query
    }};
}

impl Db {
    /// Opens `sqlite:PATH` or `postgres://…`, refuses unsafe settings, and migrates to this program's schema.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let db = match url.strip_prefix("sqlite:") {
            Some(path) => Self::open_sqlite(Path::new(path.trim_start_matches("//"))).await?,
            None if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Self::open_postgres(url).await?
            }
            None => {
                return Err(StoreError::Other(
                    "the database URL must begin with sqlite: or postgres://".to_owned(),
                ));
            }
        };
        let mut tx = db.write().await?;
        check_settings(&mut tx).await?;
        migrate::run(&mut tx).await?;
        tx.commit().await?;
        Ok(db)
    }

    async fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .statement_cache_capacity(200)
            .pragma("wal_autocheckpoint", WAL_PAGES);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.clone().pragma("cache_size", WRITER_CACHE_KIB))
            .await
            .map_err(store_error)?;
        let witness = Witness::new(path, options.clone().pragma("query_only", "on"));
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A connection to a file does not go away; asking it costs as much as a small query.
            .test_before_acquire(false)
            .connect_with(
                options
                    .pragma("cache_size", READER_CACHE_KIB)
                    .pragma("query_only", "on"),
            )
            .await
            .map_err(store_error)?;
        Ok(Self(Pools::Sqlite {
            writer,
            readers,
            witness,
        }))
    }

    async fn open_postgres(url: &str) -> Result<Self, StoreError> {
        // The error of a bad URL could quote its password, so it is not passed on.
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| {
                StoreError::Other(
                    "the PostgreSQL URL cannot be read; use postgres://user@host:port/database"
                        .to_owned(),
                )
            })?
            .application_name("coffer")
            .options([(
                "idle_in_transaction_session_timeout",
                PG_IDLE_IN_TRANSACTION_MS,
            )]);
        let port = options.get_port();
        let pool = PgPoolOptions::new()
            .max_connections(PG_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |_, _| {
                Box::pin(async move {
                    send_at_once(port);
                    Ok(())
                })
            })
            .connect_with(options)
            .await
            .map_err(store_error)?;
        Ok(Self(Pools::Postgres(pool)))
    }

    #[must_use]
    pub fn engine(&self) -> Engine {
        match self.0 {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// Begins a transaction that may write. On SQLite it waits for the one writer.
    pub async fn write(&self) -> Result<Tx, StoreError> {
        match &self.0 {
            Pools::Sqlite { writer, .. } => {
                let begun = writer.begin_with("BEGIN IMMEDIATE").await;
                begun.map(|tx| Tx::new(On::Sqlite(tx), true))
            }
            Pools::Postgres(pool) => {
                let begun = pool.begin().await;
                begun.map(|tx| Tx::new(On::Pg(tx), false))
            }
        }
        .map_err(store_error)
    }

    /// Begins a transaction that reads one snapshot.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        match &self.0 {
            Pools::Sqlite { readers, .. } => {
                let begun = readers.begin().await;
                begun.map(|tx| Tx::new(On::Sqlite(tx), true))
            }
            Pools::Postgres(pool) => {
                let how = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                let begun = pool.begin_with(how).await;
                begun.map(|tx| Tx::new(On::Pg(tx), true))
            }
        }
        .map_err(store_error)
    }

    /// Runs one SELECT outside of a transaction; it is a snapshot by itself.
    pub async fn look(
        &self,
        sql: impl Into<Cow<'static, str>>,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.into();
        match &self.0 {
            Pools::Sqlite { readers, .. } => bound!(Sqlite, sql, params)
                .fetch_all(readers)
                .await
                .map(|rows| rows.into_iter().map(Row::Sqlite).collect()),
            Pools::Postgres(pool) => bound!(Postgres, sql, params)
                .fetch_all(pool)
                .await
                .map(|rows| rows.into_iter().map(Row::Pg).collect()),
        }
        .map_err(store_error)
    }

    /// Where the database stands: equal marks mean that nothing was committed between the two looks, by
    /// whomever, so what was read at or after the first is still what would be read.
    pub async fn mark(&self) -> Result<Mark, StoreError> {
        match &self.0 {
            Pools::Sqlite { witness, .. } => witness.look().await,
            Pools::Postgres(pool) => postgres_mark(pool).await,
        }
    }

    /// The same without waiting, where the engine can; `None` leaves it to [`Self::mark`].
    #[must_use]
    pub fn mark_at_once(&self) -> Option<Mark> {
        match &self.0 {
            Pools::Sqlite { witness, .. } => witness.look_at_once(),
            Pools::Postgres(_) => None,
        }
    }

    /// Settings that deserve a warning; the unsafe ones were refused on opening.
    pub async fn weak_settings(&self) -> Result<Vec<String>, StoreError> {
        weak_settings(&mut self.read().await?).await
    }

    /// Tables of the ledger that no longer refuse to be changed.
    pub async fn unguarded_tables(&self) -> Result<Vec<&'static str>, StoreError> {
        missing_guards(&mut self.read().await?).await
    }

    pub async fn close(&self) {
        match &self.0 {
            Pools::Sqlite {
                writer,
                readers,
                witness,
            } => {
                witness.close().await;
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

/// A transaction; dropped without [`Tx::commit`] it is rolled back.
pub struct Tx {
    pub(crate) on: On,
    /// What it sees stays as it is, but for its own changes.
    is_snapshot: bool,
    /// Organizations whose audit chain was followed in it, while it is a snapshot.
    followed: Vec<OrganizationId>,
    /// Audit records that it appends.
    appended: Vec<AuditRow>,
}

pub(crate) enum On {
    Sqlite(Transaction<'static, Sqlite>),
    Pg(Transaction<'static, Postgres>),
}

impl Tx {
    fn new(on: On, is_snapshot: bool) -> Self {
        Self {
            on,
            is_snapshot,
            followed: Vec::new(),
            appended: Vec::new(),
        }
    }

    #[must_use]
    pub fn engine(&self) -> Engine {
        match self.on {
            On::Sqlite(_) => Engine::Sqlite,
            On::Pg(_) => Engine::Postgres,
        }
    }

    /// Whether the organization's audit chain was followed to its end in this transaction and nobody else can have
    /// moved the end that it sees since.
    #[must_use]
    pub fn has_followed(&self, organization: OrganizationId) -> bool {
        self.followed.contains(&organization)
    }

    pub fn note_followed(&mut self, organization: OrganizationId) {
        if self.is_snapshot {
            self.followed.push(organization);
        }
    }

    pub(crate) fn note_appended(&mut self, record: AuditRow) {
        self.appended.push(record);
    }

    /// The audit records appended so far; they count once the transaction is committed.
    pub fn take_appended(&mut self) -> Vec<AuditRow> {
        std::mem::take(&mut self.appended)
    }

    /// Runs one statement; answers how many rows it changed.
    pub async fn execute(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        params: &[Param<'_>],
    ) -> Result<u64, StoreError> {
        let sql = sql.into();
        match &mut self.on {
            On::Sqlite(tx) => bound!(Sqlite, sql, params)
                .execute(&mut **tx)
                .await
                .map(|done| done.rows_affected()),
            On::Pg(tx) => bound!(Postgres, sql, params)
                .execute(&mut **tx)
                .await
                .map(|done| done.rows_affected()),
        }
        .map_err(store_error)
    }

    /// Runs a compare-and-set: exactly one row must still be as it was read, else the race is lost.
    pub(crate) async fn execute_one(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        params: &[Param<'_>],
        object: &(dyn std::fmt::Display + Sync),
    ) -> Result<(), StoreError> {
        match self.execute(sql, params).await? {
            1 => Ok(()),
            _ => Err(StoreError::Retry(format!("{object} was changed meanwhile"))),
        }
    }

    pub async fn fetch(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.into();
        match &mut self.on {
            On::Sqlite(tx) => bound!(Sqlite, sql, params)
                .fetch_all(&mut **tx)
                .await
                .map(|rows| rows.into_iter().map(Row::Sqlite).collect()),
            On::Pg(tx) => bound!(Postgres, sql, params)
                .fetch_all(&mut **tx)
                .await
                .map(|rows| rows.into_iter().map(Row::Pg).collect()),
        }
        .map_err(store_error)
    }

    pub async fn fetch_optional(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        params: &[Param<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch(sql, params).await?.into_iter().next())
    }

    pub(crate) async fn fetch_int(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
    ) -> Result<i64, StoreError> {
        let row = self.fetch_optional(sql, &[]).await?;
        row.ok_or_else(|| StoreError::Corrupt("no answer to a setting's query".to_owned()))?
            .int(0)
    }

    pub(crate) async fn fetch_text(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
    ) -> Result<String, StoreError> {
        let row = self.fetch_optional(sql, &[]).await?;
        row.ok_or_else(|| StoreError::Corrupt("no answer to a setting's query".to_owned()))?
            .text(0)
    }

    /// Several statements without parameters, as a migration has them.
    pub(crate) async fn execute_script(&mut self, sql: &'static str) -> Result<(), StoreError> {
        match &mut self.on {
            On::Sqlite(tx) => sqlx::raw_sql(sql).execute(&mut **tx).await.map(|_| ()),
            On::Pg(tx) => sqlx::raw_sql(sql).execute(&mut **tx).await.map(|_| ()),
        }
        .map_err(store_error)
    }

    /// Commits in a task of its own: a caller that goes away cannot cancel a COMMIT, which on
    /// PostgreSQL with synchronous replication would leave the outcome unknown.
    pub async fn commit(self) -> Result<(), StoreError> {
        let committing = tokio::spawn(async move {
            match self.on {
                On::Sqlite(tx) => tx.commit().await,
                On::Pg(tx) => tx.commit().await,
            }
        });
        match committing.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(match store_error(error) {
                StoreError::Unavailable(text) => StoreError::CommitUnknown(text),
                other => other,
            }),
            Err(stopped) => Err(StoreError::CommitUnknown(stopped.to_string())),
        }
    }
}
