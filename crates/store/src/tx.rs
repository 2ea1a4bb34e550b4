//! One transaction: its statements on either engine, and what its process is to know once it is committed.

use std::borrow::Cow;

use coffer_domain::id::OrganizationId;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres};

use crate::audit::AuditRow;
use crate::dialect::postgres_error;
use crate::mark::Mark;
use crate::{Engine, Param, Row, StoreError, sqlite};

/// A transaction; dropped without [`Tx::commit`] it is rolled back.
pub struct Tx {
    pub(crate) on: On,
    /// What it sees stays as it is, but for its own changes.
    is_snapshot: bool,
    /// Organizations whose audit chain was followed in it, while it is a snapshot.
    followed: Vec<OrganizationId>,
    /// Audit records that it appends.
    appended: Vec<AuditRow>,
    pub(crate) begun_at: Option<Mark>,
    changes_versions: bool,
}

pub(crate) enum On {
    Sqlite(sqlite::Transaction),
    Pg(sqlx::Transaction<'static, Postgres>),
}

impl Tx {
    pub(crate) fn new(on: On, is_snapshot: bool) -> Self {
        Self {
            on,
            is_snapshot,
            followed: Vec::new(),
            appended: Vec::new(),
            begun_at: None,
            changes_versions: false,
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

    /// The state of the database on which it builds, where the engine tells: nobody else commits before it ends.
    #[must_use]
    pub fn begun_at(&self) -> Option<&Mark> {
        self.begun_at.as_ref()
    }

    /// It gives a sealed object its next version.
    pub fn note_changed_versions(&mut self) {
        self.changes_versions = true;
    }

    #[must_use]
    pub fn changes_versions(&self) -> bool {
        self.changes_versions
    }

    /// Runs one statement; answers how many rows it changed.
    pub async fn execute(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        params: &[Param<'_>],
    ) -> Result<u64, StoreError> {
        let sql = sql.into();
        match &mut self.on {
            On::Sqlite(tx) => tx.execute(&sql, params).await,
            On::Pg(tx) => {
                let done = bound(sql, params).execute(&mut **tx).await;
                Ok(done.map_err(postgres_error)?.rows_affected())
            }
        }
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
            On::Sqlite(tx) => tx.fetch(&sql, params).await,
            On::Pg(tx) => postgres_rows(bound(sql, params).fetch_all(&mut **tx).await),
        }
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
            On::Sqlite(tx) => tx.execute_script(sql),
            On::Pg(tx) => {
                let done = sqlx::raw_sql(sql).execute(&mut **tx).await;
                done.map(|_| ()).map_err(postgres_error)
            }
        }
    }

    /// A caller that goes away cannot cancel a COMMIT, which on PostgreSQL with synchronous replication would leave the
    /// outcome unknown: there it is in a task of its own, and on SQLite it is never half-way at an `await`.
    pub async fn commit(self) -> Result<(), StoreError> {
        let committed = match self.on {
            On::Sqlite(tx) => tx.commit(),
            On::Pg(tx) => match tokio::spawn(async move { tx.commit().await }).await {
                Ok(committed) => committed.map_err(postgres_error),
                Err(stopped) => Err(StoreError::CommitUnknown(stopped.to_string())),
            },
        };
        committed.map_err(|error| match error {
            StoreError::Unavailable(text) => StoreError::CommitUnknown(text),
            other => other,
        })
    }
}

pub(crate) fn bound(
    sql: Cow<'static, str>,
    params: &[Param<'_>],
) -> Query<'static, Postgres, PgArguments> {
    let mut query = sqlx::query(AssertSqlSafe(sql.into_owned()));
    for param in params {
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
}

pub(crate) fn postgres_rows(found: sqlx::Result<Vec<PgRow>>) -> Result<Vec<Row>, StoreError> {
    let found = found.map_err(postgres_error)?;
    Ok(found.into_iter().map(Row::Pg).collect())
}
