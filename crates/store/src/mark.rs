//! Whether anything was committed since one looked last.
//!
//! Each engine can tell, exactly and for one small query: SQLite counts for each connection the commits of all others
//! (`PRAGMA data_version`), PostgreSQL tells which transactions a snapshot sees. Two equal answers mean that the
//! database is the same, whoever may write to it, its owner with another program included. An answer that differs
//! says nothing of what was changed.

use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, PgPool, SqliteConnection};
use tokio::sync::Mutex;

use crate::StoreError;
use crate::dialect::store_error;

/// A state of the database. Two are compared for equality and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(Of);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    /// The connection's number, since each counts for itself, and its count.
    Sqlite(u64, i64),
    /// The server's start and the snapshot.
    Postgres(Arc<str>),
}

/// A connection that only looks. It is never given back to a pool, because its count is its own.
#[derive(Clone)]
pub(crate) struct Witness(Arc<Inner>);

struct Inner {
    options: SqliteConnectOptions,
    connected: Mutex<Connected>,
}

#[derive(Default)]
struct Connected {
    number: u64,
    connection: Option<SqliteConnection>,
}

impl Witness {
    pub(crate) fn new(options: SqliteConnectOptions) -> Self {
        Self(Arc::new(Inner {
            options,
            connected: Mutex::default(),
        }))
    }

    pub(crate) async fn look(&self) -> Result<Mark, StoreError> {
        let mut connected = self.0.connected.lock().await;
        // Taken out while it is used: one that is dropped in the middle, or fails, is not used again.
        let mut connection = match connected.connection.take() {
            Some(connection) => connection,
            None => {
                connected.number += 1;
                self.0.options.connect().await.map_err(store_error)?
            }
        };
        let count: i64 = sqlx::query_scalar("PRAGMA data_version")
            .fetch_one(&mut connection)
            .await
            .map_err(store_error)?;
        connected.connection = Some(connection);
        Ok(Mark(Of::Sqlite(connected.number, count)))
    }

    pub(crate) async fn close(&self) {
        let connection = self.0.connected.lock().await.connection.take();
        if let Some(connection) = connection {
            // Nothing was written on it that closing could lose.
            let _ = connection.close().await;
        }
    }
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
