//! Whether anything was committed since one looked last.
//!
//! Each engine can tell, exactly and cheaply. SQLite keeps the state of its write-ahead log in the first bytes of a file that
//! all its connections share (<https://www.sqlite.org/walformat.html>, section 2): a reader compares them with what it
//! saw last to learn whether its pages still hold, and so does a look here, which costs one read of memory.
//! PostgreSQL tells which transactions a snapshot sees, for one small query. Two equal answers mean that the
//! database is the same, whoever may write to it, its owner with another program included. An answer that differs
//! says nothing of what was changed.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, PgPool, SqliteConnection};

use crate::StoreError;
use crate::dialect::store_error;

/// A state of the database. Two are compared for equality and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(Of);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    Sqlite(LogHeader),
    /// The server's start and the snapshot.
    Postgres(Arc<str>),
}

/// SQLite's "WAL index information": a count of commits, the last frame of the log that counts, the log's salts, and sums over both.
type LogHeader = [u8; HEADER];

const HEADER: usize = 48;
/// Where in it stands whether it was ever written.
const IS_INIT: usize = 12;
/// A commit in progress shows as two copies that differ; it takes some nanoseconds.
const ATTEMPTS: u32 = 100;

/// Looks at a SQLite database without asking any connection.
#[derive(Clone)]
pub(crate) struct Witness(Arc<Inner>);

struct Inner {
    options: SqliteConnectOptions,
    shared: PathBuf,
    opened: Mutex<Option<&'static File>>,
    /// Holds the shared file in its place for as long as looks are taken: SQLite removes it with the last connection.
    holder: tokio::sync::Mutex<Option<SqliteConnection>>,
}

/// A process has one set of locks for a file, whichever descriptor took them, and closing any descriptor gives
/// all of them up (POSIX advisory locks). SQLite's locks are on this very file, so one that was opened here stays open.
static NEVER_CLOSED: Mutex<Vec<(u64, u64, &'static File)>> = Mutex::new(Vec::new());

impl Witness {
    pub(crate) fn new(path: &Path, options: SqliteConnectOptions) -> Self {
        let mut shared = path.as_os_str().to_owned();
        shared.push("-shm");
        Self(Arc::new(Inner {
            options,
            shared: shared.into(),
            opened: Mutex::default(),
            holder: tokio::sync::Mutex::default(),
        }))
    }

    fn opened(&self) -> MutexGuard<'_, Option<&'static File>> {
        self.0.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` before the first [`Self::look`], and while somebody commits or a commit broke off in its middle.
    pub(crate) fn look_at_once(&self) -> Option<Mark> {
        let file = (*self.opened())?;
        (0..ATTEMPTS)
            .find_map(|_| read_header(file))
            .map(|header| Mark(Of::Sqlite(header)))
    }

    pub(crate) async fn look(&self) -> Result<Mark, StoreError> {
        let mut holder = self.0.holder.lock().await;
        let connection = match holder.as_mut() {
            Some(connection) => connection,
            None => holder.insert(self.0.options.connect().await.map_err(store_error)?),
        };
        // Whatever was left half done by one that died is put right by whoever reads.
        sqlx::query("SELECT 1 FROM sqlite_schema")
            .fetch_optional(connection)
            .await
            .map_err(store_error)?;
        if self.opened().is_none() {
            let file = open_shared(&self.0.shared);
            let file = file.map_err(|error| unavailable(&error))?;
            *self.opened() = Some(file);
        }
        self.look_at_once()
            .ok_or_else(|| unavailable(&"its log is being written"))
    }

    pub(crate) async fn close(&self) {
        *self.opened() = None;
        if let Some(connection) = self.0.holder.lock().await.take() {
            // Nothing was written on it that closing could lose.
            let _ = connection.close().await;
        }
    }
}

fn unavailable(why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("the state of the database cannot be read: {why}"))
}

fn open_shared(path: &Path) -> std::io::Result<&'static File> {
    let mut open = NEVER_CLOSED.lock().unwrap_or_else(PoisonError::into_inner);
    let there = fs::metadata(path)?;
    let (device, inode) = (there.dev(), there.ino());
    if let Some((.., file)) = open.iter().find(|(d, i, _)| (*d, *i) == (device, inode)) {
        return Ok(file);
    }
    let file: &'static File = Box::leak(Box::new(File::open(path)?));
    let opened = file.metadata()?;
    open.push((opened.dev(), opened.ino(), file));
    Ok(file)
}

/// There are two copies; a writer writes the second first, so while they are equal neither is half written.
fn read_header(file: &File) -> Option<LogHeader> {
    let mut both = [0; 2 * HEADER];
    file.read_exact_at(&mut both, 0).ok()?;
    let (first, second) = both.split_at(HEADER);
    (first == second && first[IS_INIT] != 0)
        .then(|| first.try_into().ok())
        .flatten()
}

pub(crate) async fn postgres_mark(pool: &PgPool) -> Result<Mark, StoreError> {
    let text: String = sqlx::query_scalar(
        "SELECT concat_ws(' ', pg_postmaster_start_time(), pg_current_snapshot())",
    )
    .fetch_one(pool)
    .await
    .map_err(store_error)?;
    Ok(Mark(Of::Postgres(text.into())))
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqliteJournalMode;

    use super::*;

    fn options(path: &Path) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
    }

    async fn run(connection: &mut SqliteConnection, sql: &'static str) {
        sqlx::raw_sql(sql).execute(connection).await.expect(sql);
    }

    #[tokio::test]
    async fn every_commit_changes_the_mark_and_nothing_else_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("some.db");
        let mut other = options(&path).connect().await.expect("opened");
        run(&mut other, "CREATE TABLE t (x BIGINT)").await;
        let witness = Witness::new(&path, options(&path));
        assert_eq!(witness.look_at_once(), None);
        let mut before = witness.look().await.expect("a mark");
        for round in 0..500 {
            assert_eq!(witness.look_at_once().as_ref(), Some(&before), "{round}");
            run(&mut other, "BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").await;
            assert_eq!(witness.look_at_once().as_ref(), Some(&before), "{round}");
            if round % 5 == 0 {
                run(&mut other, "ROLLBACK; SELECT count(*) FROM t").await;
                continue;
            }
            run(&mut other, "COMMIT").await;
            let after = witness.look_at_once().expect("a mark");
            assert_ne!(after, before, "{round}");
            before = after;
            if round % 7 == 0 {
                // The log is folded into the file and begins anew, with the next commit.
                run(&mut other, "PRAGMA wal_checkpoint(TRUNCATE)").await;
                before = witness.look_at_once().expect("a mark");
            }
        }
        assert_eq!(witness.look().await.expect("a mark"), before);
    }

    /// Closing a descriptor of the shared file would let a second writer in beside the one at work.
    #[tokio::test]
    async fn looking_gives_up_no_lock_of_the_database() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("some.db");
        let mut writer = options(&path).connect().await.expect("opened");
        run(&mut writer, "CREATE TABLE t (x BIGINT); BEGIN IMMEDIATE").await;
        for _ in 0..3 {
            let witness = Witness::new(&path, options(&path));
            witness.look().await.expect("a mark");
            witness.close().await;
            assert_eq!(witness.look_at_once(), None);
        }
        let program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0); c.execute('BEGIN IMMEDIATE')";
        let said = std::process::Command::new("python3")
            .args(["-c", program])
            .arg(&path)
            .output()
            .expect("python3 runs");
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains("database is locked"), "{said}");
    }

    #[test]
    fn half_a_commit_is_no_mark() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shm");
        let mut whole = [7; 2 * HEADER];
        let mut check = |change: &dyn Fn(&mut [u8]), expected: bool| {
            change(&mut whole);
            fs::write(&path, whole).expect("written");
            let file = File::open(&path).expect("opened");
            assert_eq!(read_header(&file).is_some(), expected);
        };
        check(&|_| {}, true);
        check(&|whole| whole[HEADER + 8] = 8, false);
        check(&|whole| whole[8] = 8, true);
        check(&|whole| whole[IS_INIT] = 0, false);
        check(&|whole| whole[HEADER + IS_INIT] = 0, false);
    }
}
