//! SQLite, called on the thread that asks.
//!
//! Most statements take microseconds; handing one to another thread and waiting for it takes tens of them. So a
//! statement runs where its caller's future is polled. One that took long when it ran last (a sum over a table, rows
//! in bulk, a COMMIT on a slow disk) first lets the runtime's other tasks go on elsewhere, and a task that runs many
//! short ones gives way now and then. Whoever waits for a connection or for another process's write lock awaits.
//! Guarantees: a transaction that is dropped is rolled back before its connection serves anybody else; nothing is
//! cancelled half-way, since a statement is over before its future can be dropped.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::types::{FromSql, ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::coop::consume_budget;
use tokio::time::Instant;

use crate::dialect::sqlite_error;
use crate::row::unreadable;
use crate::{Param, Row, StoreError};

/// SQLite pages kept in memory: by the writer 64 MiB, by each reader 8 MiB.
const WRITER_CACHE_KIB: i64 = 65_536;
const READER_CACHE_KIB: i64 = 8_192;
/// Pages in the write-ahead log, 256 MiB, from which on they are folded into the file. A page that many commits change is
/// written to the file once per fold.
pub(crate) const FOLD_FROM: u32 = 65_536;
/// Pages, 1 GiB, from which on the commit that finds them folds them, should nobody else have done it.
const FOLD_AT_ONCE_FROM: u32 = 4 * FOLD_FROM;
/// Times that a fold goes on with what was committed during the last. Each is shorter, and the log begins anew when
/// nothing is left.
const FOLDS: u32 = 8;
const STATEMENTS_KEPT: usize = 200;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long another process's lock is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const BUSY_PAUSE_FIRST: Duration = Duration::from_millis(1);
const BUSY_PAUSE_MAX: Duration = Duration::from_millis(50);
/// Letting other tasks go on elsewhere takes a tenth of this.
const LONG: Duration = Duration::from_millis(1);
/// Statements that are remembered as long ones.
const MAX_LONG: usize = 1_000;
const NOTHING: &[Param<'_>] = &[];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Write,
    Read,
}

/// Opens a database for use by one holder at a time.
pub(crate) fn open(path: &Path, access: Access) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let try_open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "wal_autocheckpoint", FOLD_AT_ONCE_FROM)?;
        let cache = match access {
            Access::Write => WRITER_CACHE_KIB,
            Access::Read => READER_CACHE_KIB,
        };
        connection.pragma_update(None, "cache_size", -cache)?;
        match access {
            // Its wait for the lock is awaited, see `begin`.
            Access::Write => connection.busy_timeout(Duration::ZERO)?,
            Access::Read => connection.pragma_update(None, "query_only", true)?,
        }
        Ok(connection)
    };
    try_open().map_err(sqlite_error)
}

/// Connections to one database, opened as they are needed. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Inner>);

struct Inner {
    path: PathBuf,
    access: Access,
    size: u32,
    seats: Arc<Semaphore>,
    free: Mutex<Vec<Connection>>,
    /// Texts of the statements that took long when they ran last.
    long: Mutex<HashSet<String>>,
}

impl Inner {
    fn free<T>(&self, work: impl FnOnce(&mut Vec<Connection>) -> T) -> T {
        work(&mut self.free.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn long<T>(&self, work: impl FnOnce(&mut HashSet<String>) -> T) -> T {
        work(&mut self.long.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Connections {
    pub(crate) fn new(path: &Path, access: Access, size: u32) -> Self {
        Self(Arc::new(Inner {
            path: path.to_owned(),
            access,
            size,
            seats: Arc::new(Semaphore::new(size as usize)),
            free: Mutex::default(),
            long: Mutex::default(),
        }))
    }

    async fn seat(&self) -> Result<Seat, StoreError> {
        let seats = Arc::clone(&self.0.seats);
        let permit = tokio::time::timeout(ACQUIRE_TIMEOUT, seats.acquire_owned())
            .await
            .map_err(|_| unavailable("every connection is in use"))?
            .map_err(|_| unavailable("it was closed"))?;
        let connection = match self.0.free(Vec::pop) {
            Some(connection) => connection,
            None => aside(|| open(&self.0.path, self.0.access))?,
        };
        Ok(Seat {
            connection: Some(connection),
            of: Arc::clone(&self.0),
            _permit: permit,
        })
    }

    /// Begins a transaction: one that holds the database's write lock, or one that reads.
    pub(crate) async fn begin(&self) -> Result<Transaction, StoreError> {
        let seat = self.seat().await?;
        let how = match self.0.access {
            Access::Write => "BEGIN IMMEDIATE",
            Access::Read => "BEGIN",
        };
        let deadline = Instant::now() + BUSY_TIMEOUT;
        let mut pause = BUSY_PAUSE_FIRST;
        loop {
            match seat.execute(how, NOTHING) {
                Err(StoreError::Retry(_)) if Instant::now() < deadline => {
                    tokio::time::sleep(pause).await;
                    pause = (2 * pause).min(BUSY_PAUSE_MAX);
                }
                begun => return begun.map(|_| Transaction(seat)),
            }
        }
    }

    /// Runs one SELECT outside of a transaction.
    pub(crate) async fn look(
        &self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        // Taking a seat takes from the task's budget.
        self.seat().await?.fetch(sql, params)
    }

    /// Folds the log into the database's file while others read and write.
    pub(crate) async fn fold(&self) -> Result<(), StoreError> {
        let seat = self.seat().await?;
        aside(|| {
            for _ in 0..FOLDS {
                // Whether it was kept from it, the pages in the log, and those that are in the file now.
                let rows = seat.fetch("PRAGMA wal_checkpoint(PASSIVE)", NOTHING)?;
                let [row] = &rows[..] else { break };
                if row.int(1)? <= row.int(2)? {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Waits until nobody uses them, and closes them for good.
    pub(crate) async fn close(&self) {
        if let Ok(_all) = self.0.seats.acquire_many(self.0.size).await {
            self.0.seats.close();
            let free = self.0.free(std::mem::take);
            // The last connection to a database folds its log into the file.
            aside(|| drop(free));
        }
    }
}

/// One connection, in use.
struct Seat {
    /// `None` in `drop` alone.
    connection: Option<Connection>,
    of: Arc<Inner>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let is_clean = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
        // What cannot be rolled back is closed, which rolls it back.
        if is_clean {
            self.of.free(|free| free.push(connection));
        }
    }
}

impl Seat {
    fn connection(&self) -> &Connection {
        let connection = self.connection.as_ref();
        connection.expect("a seat has its connection until it is dropped")
    }

    /// Runs a statement, prepared and with its parameters.
    fn run<T>(
        &self,
        sql: &str,
        params: &[impl ToSql],
        work: impl FnOnce(&mut CachedStatement<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let run = || {
            let prepared = self.connection().prepare_cached(&numbered(sql));
            let mut statement = prepared.map_err(sqlite_error)?;
            bind(&mut statement, params)?;
            work(&mut statement)
        };
        let was_long = self.of.long(|long| long.contains(sql));
        let begun = Instant::now();
        let done = if was_long { aside(run) } else { run() };
        let elapsed = begun.elapsed();
        let is_long = elapsed > LONG;
        if is_long {
            tracing::debug!(sql, ?elapsed, "a statement took long");
        }
        if is_long != was_long {
            self.of.long(|long| match is_long {
                true if long.len() < MAX_LONG => drop(long.insert(sql.to_owned())),
                _ => drop(long.remove(sql)),
            });
        }
        done
    }

    fn execute(&self, sql: &str, params: &[impl ToSql]) -> Result<u64, StoreError> {
        self.run(sql, params, |statement| {
            let changed = statement.raw_execute().map_err(sqlite_error)?;
            Ok(changed as u64)
        })
    }

    fn fetch(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        self.run(sql, params, |statement| {
            let columns = statement.column_count();
            let mut rows = statement.raw_query();
            let mut found = Vec::new();
            while let Some(row) = rows.next().map_err(sqlite_error)? {
                found.push(Row::Sqlite(cells(row, columns)?));
            }
            Ok(found)
        })
    }
}

/// A transaction; dropped without [`Transaction::commit`] it is rolled back.
pub(crate) struct Transaction(Seat);

impl Transaction {
    /// Runs one statement; answers how many rows it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: &str,
        params: &[impl ToSql],
    ) -> Result<u64, StoreError> {
        consume_budget().await;
        self.0.execute(sql, params)
    }

    pub(crate) async fn fetch(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        consume_budget().await;
        self.0.fetch(sql, params)
    }

    /// Runs a migration.
    pub(crate) fn execute_script(&self, sql: &str) -> Result<(), StoreError> {
        aside(|| self.0.connection().execute_batch(sql)).map_err(sqlite_error)
    }

    pub(crate) fn commit(self) -> Result<(), StoreError> {
        self.0.execute("COMMIT", NOTHING).map(|_| ())
    }
}

/// Runs what takes long; other tasks of this thread go on meanwhile, where the runtime has other threads.
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(format!("the SQLite database: {why}"))
}

/// PostgreSQL's marks, `$1`, as SQLite's, `?1`: to SQLite the former are names, numbered as they appear.
fn numbered(sql: &str) -> Cow<'_, str> {
    if !sql.contains('$') {
        return Cow::Borrowed(sql);
    }
    let mut text = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        rest = &from[1..];
        let is_mark = rest.starts_with(|next: char| next.is_ascii_digit());
        text.push(if is_mark { '?' } else { '$' });
    }
    text.push_str(rest);
    Cow::Owned(text)
}

fn bind(statement: &mut CachedStatement<'_>, values: &[impl ToSql]) -> Result<(), StoreError> {
    let wanted = statement.parameter_count();
    if wanted != values.len() {
        let given = values.len();
        let text = format!("a statement of {wanted} parameters was given {given}");
        return Err(StoreError::Other(text));
    }
    for (at, value) in (1..).zip(values) {
        statement
            .raw_bind_parameter(at, value)
            .map_err(sqlite_error)?;
    }
    Ok(())
}

fn cells(row: &rusqlite::Row<'_>, columns: usize) -> Result<Vec<Value>, StoreError> {
    let cell = |at| {
        let value = row.get_ref(at).map_err(sqlite_error)?;
        Value::column_result(value).map_err(|error| unreadable(&error))
    };
    (0..columns).map(cell).collect()
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match *self {
            Self::Int(value) | Self::OptInt(Some(value)) => ValueRef::Integer(value),
            Self::Text(value) | Self::OptText(Some(value)) => ValueRef::Text(value.as_bytes()),
            Self::Blob(value) | Self::OptBlob(Some(value)) => ValueRef::Blob(value),
            Self::OptInt(None) | Self::OptText(None) | Self::OptBlob(None) => ValueRef::Null,
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn connections(folder: &Path, access: Access, size: u32) -> Connections {
        Connections::new(&folder.join("some.db"), access, size)
    }

    async fn numbers(of: &Connections) -> Vec<i64> {
        let rows = of.look("SELECT x FROM t ORDER BY x", &[]).await;
        let rows = rows.expect("read");
        rows.iter()
            .map(|row| row.int(0).expect("a number"))
            .collect()
    }

    async fn with_table(folder: &Path) -> (Connections, Connections) {
        let writer = connections(folder, Access::Write, 1);
        let mut tx = writer.begin().await.expect("begun");
        tx.execute("CREATE TABLE t (x BIGINT NOT NULL)", NOTHING)
            .await
            .expect("created");
        tx.commit().expect("committed");
        (writer, connections(folder, Access::Read, 2))
    }

    /// A task that counts how often it comes to its turn.
    fn ticking() -> (Arc<AtomicU32>, tokio::task::JoinHandle<()>) {
        let ticks = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&ticks);
        let ticking = tokio::spawn(async move {
            loop {
                tokio::task::yield_now().await;
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        (ticks, ticking)
    }

    #[test]
    fn marks_are_numbered_and_nothing_else_is_changed() {
        for (given, expected) in [
            ("SELECT 1", "SELECT 1"),
            ("x = $2 OR y = $1", "x = ?2 OR y = ?1"),
            ("$10, '$.a', $", "?10, '$.a', $"),
        ] {
            assert_eq!(numbered(given), expected);
        }
    }

    #[tokio::test]
    async fn parameters_are_bound_by_their_numbers() {
        let folder = tempfile::tempdir().expect("a folder");
        let reader = connections(folder.path(), Access::Read, 1);
        let params = [Param::Text("one"), Param::Blob(b"two"), Param::OptInt(None)];
        let rows = reader.look("SELECT $3, $2, $1, $1", &params).await;
        let rows = rows.expect("read");
        assert_eq!(rows[0].opt_int(0).expect("NULL"), None);
        assert_eq!(rows[0].blob(1).expect("bytes"), b"two");
        assert_eq!(rows[0].text(2).expect("a text"), "one");
        assert_eq!(rows[0].text(3).expect("a text"), "one");
        // A column of another type is refused rather than turned into what was asked for.
        assert!(matches!(rows[0].int(2), Err(StoreError::Corrupt(_))));
        assert!(matches!(rows[0].blob(2), Err(StoreError::Corrupt(_))));
        assert!(matches!(rows[0].text(0), Err(StoreError::Corrupt(_))));
        for wrong in [&params[..2], &[params, params].concat()[..]] {
            let refused = reader.look("SELECT $3, $2, $1", wrong).await;
            assert!(matches!(refused, Err(StoreError::Other(_))));
        }
    }

    #[tokio::test]
    async fn what_is_dropped_is_rolled_back_before_the_next_begins() {
        let folder = tempfile::tempdir().expect("a folder");
        let (writer, readers) = with_table(folder.path()).await;
        let mut tx = writer.begin().await.expect("begun");
        tx.execute("INSERT INTO t VALUES (1)", NOTHING)
            .await
            .expect("inserted");
        drop(tx);
        let mut tx = writer.begin().await.expect("begun again");
        tx.execute("INSERT INTO t VALUES (2)", NOTHING)
            .await
            .expect("inserted");
        assert_eq!(numbers(&readers).await, [0_i64; 0]);
        tx.commit().expect("committed");
        assert_eq!(numbers(&readers).await, [2]);
    }

    #[tokio::test]
    async fn a_reader_sees_one_state_and_no_reader_writes() {
        let folder = tempfile::tempdir().expect("a folder");
        let (writer, readers) = with_table(folder.path()).await;
        let mut snapshot = readers.begin().await.expect("begun");
        let count = "SELECT count(*) FROM t";
        let before = snapshot.fetch(count, NOTHING).await.expect("read");
        let mut tx = writer.begin().await.expect("begun");
        let insert = "INSERT INTO t VALUES ($1), ($2)";
        let inserted = tx.execute(insert, &[Param::Int(2), Param::Int(1)]).await;
        assert_eq!(inserted.expect("inserted"), 2);
        tx.commit().expect("committed");
        let after = snapshot.fetch(count, NOTHING).await.expect("read");
        assert_eq!(before[0].int(0).expect("a number"), 0);
        assert_eq!(after[0].int(0).expect("a number"), 0);
        assert_eq!(numbers(&readers).await, [1, 2]);
        let refused = snapshot.execute("INSERT INTO t VALUES (1)", NOTHING).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    }

    /// On one thread: a wait that was not awaited would keep the lock's holder from giving it up.
    #[tokio::test]
    async fn another_programs_lock_is_awaited() {
        let folder = tempfile::tempdir().expect("a folder");
        let (writer, readers) = with_table(folder.path()).await;
        let other = open(&folder.path().join("some.db"), Access::Write).expect("opened");
        other
            .execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)")
            .expect("locked");
        let release = async {
            // Paced: long enough for the other to have been turned away.
            tokio::time::sleep(Duration::from_millis(100)).await;
            other.execute_batch("COMMIT").expect("committed");
        };
        let write = async {
            let mut tx = writer.begin().await.expect("begun");
            tx.execute("INSERT INTO t VALUES (2)", NOTHING)
                .await
                .expect("inserted");
            tx.commit().expect("committed");
        };
        tokio::join!(write, release);
        assert_eq!(numbers(&readers).await, [1, 2]);
    }

    /// One thread, which nobody else would have until the last of a thousand.
    #[tokio::test]
    async fn many_short_statements_give_way_now_and_then() {
        let folder = tempfile::tempdir().expect("a folder");
        let (_, readers) = with_table(folder.path()).await;
        let (ticks, ticking) = ticking();
        let mut tx = readers.begin().await.expect("begun");
        for _ in 0..1_000 {
            tx.fetch("SELECT 1", NOTHING).await.expect("read");
        }
        for _ in 0..1_000 {
            readers.look("SELECT 1", NOTHING).await.expect("read");
        }
        ticking.abort();
        let ticks = ticks.load(Ordering::Relaxed);
        assert!((10..200).contains(&ticks), "{ticks}");
    }

    /// One thread, which a statement that takes long leaves to others from the second time on.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn other_tasks_go_on_while_a_statement_takes_long() {
        let folder = tempfile::tempdir().expect("a folder");
        let (_, readers) = with_table(folder.path()).await;
        let counting = tokio::spawn(async move {
            let (ticks, ticking) = ticking();
            let sql = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300000) \
                SELECT count(*) FROM n";
            let mut meanwhile = Vec::new();
            drop(readers.begin().await.expect("opened"));
            for _ in 0..3 {
                // Back to the one thread.
                tokio::task::yield_now().await;
                let mut tx = readers.begin().await.expect("begun");
                let before = ticks.load(Ordering::Relaxed);
                tx.fetch(sql, NOTHING).await.expect("counted");
                meanwhile.push(ticks.load(Ordering::Relaxed) - before);
            }
            ticking.abort();
            meanwhile
        });
        let meanwhile = counting.await.expect("counted");
        assert_eq!(meanwhile[0], 0);
        assert!(meanwhile[1] > 0 && meanwhile[2] > 0, "{meanwhile:?}");
    }

    #[tokio::test]
    async fn closing_waits_for_who_is_at_work_and_then_nobody_is_served() {
        let folder = tempfile::tempdir().expect("a folder");
        let (writer, readers) = with_table(folder.path()).await;
        let mut tx = writer.begin().await.expect("begun");
        let closing = tokio::spawn({
            let writer = writer.clone();
            async move { writer.close().await }
        });
        tokio::task::yield_now().await;
        tx.execute("INSERT INTO t VALUES (1)", NOTHING)
            .await
            .expect("inserted");
        tx.commit().expect("committed");
        closing.await.expect("closed");
        assert!(matches!(
            writer.begin().await,
            Err(StoreError::Unavailable(_))
        ));
        assert_eq!(numbers(&readers).await, [1]);
        readers.close().await;
        let shared = folder.path().join("some.db-shm");
        assert!(!shared.exists(), "the last connection folds the log");
    }
}
