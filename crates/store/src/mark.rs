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

use rusqlite::Connection;
use sqlx::PgPool;

use crate::StoreError;
use crate::dialect::{postgres_error, sqlite_error};
use crate::sqlite::{self, Access};

/// A state of the database. Two are compared for equality and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(Of);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    Sqlite(LogHeader),
    /// The server's start and the snapshot.
    Postgres(Arc<str>),
}

impl Mark {
    /// Whether exactly one commit made this state of `earlier`; where the engine does not count them, never.
    #[must_use]
    pub fn is_next_after(&self, earlier: &Self) -> bool {
        match (&self.0, &earlier.0) {
            (Of::Sqlite(this), Of::Sqlite(earlier)) => {
                commits(this) == commits(earlier).wrapping_add(1)
            }
            _ => false,
        }
    }
}

fn commits(header: &LogHeader) -> u32 {
    let [.., a, b, c, d] = header[..COMMITS_END] else {
        unreachable!("a header is longer");
    };
    u32::from_ne_bytes([a, b, c, d])
}

/// SQLite's "WAL index information": a count of commits, the last frame of the log that counts, the log's salts, and sums over both.
type LogHeader = [u8; HEADER];

const HEADER: usize = 48;
/// Where in it the count of commits ends.
const COMMITS_END: usize = 12;
/// Where in it stands whether it was ever written.
const IS_INIT: usize = 12;
/// The number of the last frame, and of the last that is in the database's file; both in this machine's order of bytes.
const LAST_FRAME: u64 = 16;
const FRAMES_FOLDED: u64 = 2 * HEADER as u64;
/// A commit in progress shows as two copies that differ; it takes some nanoseconds.
const ATTEMPTS: u32 = 100;

/// Looks at a SQLite database without asking any connection.
#[derive(Clone)]
pub(crate) struct Witness(Arc<Inner>);

struct Inner {
    database: PathBuf,
    shared: PathBuf,
    opened: Mutex<Option<&'static File>>,
    /// Holds the shared file in its place for as long as looks are taken: SQLite removes it with the last connection.
    holder: Mutex<Option<Connection>>,
}

/// A process has one set of locks for a file, whichever descriptor took them, and closing any descriptor gives
/// all of them up (POSIX advisory locks). SQLite's locks are on this very file, so one that was opened here stays open.
static NEVER_CLOSED: Mutex<Vec<(u64, u64, &'static File)>> = Mutex::new(Vec::new());

impl Witness {
    pub(crate) fn new(path: &Path) -> Self {
        let mut shared = path.as_os_str().to_owned();
        shared.push("-shm");
        Self(Arc::new(Inner {
            database: path.to_owned(),
            shared: shared.into(),
            opened: Mutex::default(),
            holder: Mutex::default(),
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

    /// Pages of the log that are not in the database's file yet; `None` before the first [`Self::look`].
    pub(crate) fn pages_behind(&self) -> Option<u32> {
        let file = (*self.opened())?;
        let number = |at: u64| {
            let mut bytes = [0; 4];
            file.read_exact_at(&mut bytes, at).ok()?;
            Some(u32::from_ne_bytes(bytes))
        };
        // Read in this order, so that a log that begins anew in between makes it too few rather than too many.
        let last = number(LAST_FRAME)?;
        Some(last.saturating_sub(number(FRAMES_FOLDED)?))
    }

    fn holder(&self) -> MutexGuard<'_, Option<Connection>> {
        self.0.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It may open a connection, and wait for another program that puts the log in order.
    pub(crate) fn look(&self) -> Result<Mark, StoreError> {
        sqlite::aside(|| self.look_by_connection())
    }

    fn look_by_connection(&self) -> Result<Mark, StoreError> {
        let mut holder = self.holder();
        let connection = match holder.as_mut() {
            Some(connection) => connection,
            None => holder.insert(sqlite::open(&self.0.database, Access::Read)?),
        };
        // Whatever was left half done by one that died is put right by whoever reads.
        connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .map_err(sqlite_error)?;
        if self.opened().is_none() {
            let file = open_shared(&self.0.shared);
            let file = file.map_err(|error| unavailable(&error))?;
            *self.opened() = Some(file);
        }
        self.look_at_once()
            .ok_or_else(|| unavailable(&"its log is being written"))
    }

    pub(crate) fn close(&self) {
        *self.opened() = None;
        // Nothing was written on it that closing could lose.
        drop(self.holder().take());
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
    .map_err(postgres_error)?;
    Ok(Mark(Of::Postgres(text.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::Connections;

    fn writer(path: &Path) -> Connection {
        sqlite::open(path, Access::Write).expect("opened")
    }

    fn run(connection: &Connection, sql: &str) {
        connection.execute_batch(sql).expect(sql);
    }

    #[test]
    fn every_commit_changes_the_mark_and_nothing_else_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("some.db");
        let other = writer(&path);
        run(&other, "CREATE TABLE t (x BIGINT)");
        let witness = Witness::new(&path);
        assert_eq!(witness.look_at_once(), None);
        let mut before = witness.look().expect("a mark");
        for round in 0..500 {
            assert_eq!(witness.look_at_once().as_ref(), Some(&before), "{round}");
            run(&other, "BEGIN IMMEDIATE; INSERT INTO t VALUES (1)");
            assert_eq!(witness.look_at_once().as_ref(), Some(&before), "{round}");
            if round % 5 == 0 {
                run(&other, "ROLLBACK; SELECT count(*) FROM t");
                continue;
            }
            run(&other, "COMMIT");
            let after = witness.look_at_once().expect("a mark");
            assert_ne!(after, before, "{round}");
            assert!(after.is_next_after(&before), "{round}");
            assert!(!before.is_next_after(&after) && !after.is_next_after(&after));
            if round % 3 == 0 {
                run(&other, "INSERT INTO t VALUES (2)");
                let later = witness.look_at_once().expect("a mark");
                assert!(later.is_next_after(&after), "{round}");
                assert!(!later.is_next_after(&before), "{round}");
                before = later;
                continue;
            }
            before = after;
            if round % 7 == 0 {
                // The log is folded into the file and begins anew, with the next commit.
                run(&other, "PRAGMA wal_checkpoint(TRUNCATE)");
                before = witness.look_at_once().expect("a mark");
            }
        }
        assert_eq!(witness.look().expect("a mark"), before);
    }

    #[tokio::test]
    async fn what_is_not_folded_yet_is_counted_and_folded() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("some.db");
        let witness = Witness::new(&path);
        let folding = Connections::new(&path, Access::Write, 1);
        let other = writer(&path);
        run(&other, "CREATE TABLE t (x BLOB)");
        assert_eq!(witness.pages_behind(), None);
        witness.look().expect("a mark");
        let before = witness.pages_behind().expect("counted");
        run(&other, "INSERT INTO t VALUES (zeroblob(100000))");
        let after = witness.pages_behind().expect("counted");
        assert!(
            (before + 25..before + 50).contains(&after),
            "{before} {after}"
        );
        // Somebody writes meanwhile.
        run(&other, "BEGIN IMMEDIATE; INSERT INTO t VALUES (1)");
        folding.fold().await.expect("folded");
        assert_eq!(witness.pages_behind(), Some(0));
        run(&other, "COMMIT");
        let grown = witness.pages_behind().expect("counted");
        assert!((1..10).contains(&grown), "it begins anew: {grown}");
    }

    /// Closing a descriptor of the shared file would let a second writer in beside the one at work.
    #[test]
    fn looking_gives_up_no_lock_of_the_database() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("some.db");
        let at_work = writer(&path);
        run(&at_work, "CREATE TABLE t (x BIGINT); BEGIN IMMEDIATE");
        for _ in 0..3 {
            let witness = Witness::new(&path);
            witness.look().expect("a mark");
            witness.close();
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
