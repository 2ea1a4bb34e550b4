//! Opening a database and running transactions on it.

use std::borrow::Cow;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::dialect::{check_settings, missing_guards, postgres_error, weak_settings};
use crate::mark::{Mark, Witness, postgres_mark};
use crate::send_at_once::send_at_once;
use crate::silent_hosts::{SILENT_FOR, SilentHosts};
use crate::sqlite::{Access, Connections, FOLD_FROM};
use crate::tx::{On, Tx, bound, postgres_rows};
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
        writer: Connections,
        readers: Connections,
        /// Folds the log.
        folding: Connections,
        witness: Witness,
    },
    Postgres {
        pool: PgPool,
        /// One connection, which is free when all others wait for a lock.
        upkeep: PgPool,
    },
}

const READERS: u32 = 4;
const PG_CONNECTIONS: u32 = 12;
/// For a writer's statement, its wait for others' locks included.
const PG_STATEMENT_MS: &str = "60000";
/// Reports may take longer, and keep nobody from writing.
const PG_BEGIN_READ: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0";
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);

impl Db {
    /// Opens `sqlite:PATH` or `postgres://…`, refuses unsafe settings, and migrates to this program's schema.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let db = match url.strip_prefix("sqlite:") {
            Some(path) => Self::open_sqlite(Path::new(path.trim_start_matches("//"))),
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

    fn open_sqlite(path: &Path) -> Self {
        Self(Pools::Sqlite {
            writer: Connections::new(path, Access::Write, 1),
            readers: Connections::new(path, Access::Read, READERS),
            folding: Connections::new(path, Access::Write, 1),
            witness: Witness::new(path),
        })
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
            .options([
                (
                    "idle_in_transaction_session_timeout",
                    SILENT_FOR.as_millis().to_string().as_str(),
                ),
                ("statement_timeout", PG_STATEMENT_MS),
            ]);
        let port = options.get_port();
        let upkeep = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options.clone());
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
            .map_err(postgres_error)?;
        Ok(Self(Pools::Postgres { pool, upkeep }))
    }

    #[must_use]
    pub fn engine(&self) -> Engine {
        match self.0 {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres { .. } => Engine::Postgres,
        }
    }

    /// Begins a transaction that may write. On SQLite it waits for the one writer.
    pub async fn write(&self) -> Result<Tx, StoreError> {
        match &self.0 {
            Pools::Sqlite {
                writer, witness, ..
            } => {
                let mut tx = Tx::new(On::Sqlite(writer.begin().await?), true);
                tx.begun_at = witness.look_at_once();
                Ok(tx)
            }
            Pools::Postgres { pool, .. } => {
                let begun = pool.begin().await.map_err(postgres_error)?;
                Ok(Tx::new(On::Pg(begun), false))
            }
        }
    }

    /// Begins a transaction that reads one snapshot.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        match &self.0 {
            Pools::Sqlite { readers, .. } => Ok(Tx::new(On::Sqlite(readers.begin().await?), true)),
            Pools::Postgres { pool, .. } => {
                let begun = pool.begin_with(PG_BEGIN_READ).await;
                let begun = begun.map_err(postgres_error)?;
                Ok(Tx::new(On::Pg(begun), true))
            }
        }
    }

    /// Runs one SELECT outside of a transaction; it is a snapshot by itself.
    pub async fn look(
        &self,
        sql: impl Into<Cow<'static, str>>,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.into();
        match &self.0 {
            Pools::Sqlite { readers, .. } => readers.look(&sql, params).await,
            Pools::Postgres { pool, .. } => postgres_rows(bound(sql, params).fetch_all(pool).await),
        }
    }

    /// Where the database stands: equal marks mean that nothing was committed between the two looks, by
    /// whomever, so what was read at or after the first is still what would be read.
    pub async fn mark(&self) -> Result<Mark, StoreError> {
        match &self.0 {
            Pools::Sqlite { witness, .. } => witness.look(),
            Pools::Postgres { pool, .. } => postgres_mark(pool).await,
        }
    }

    /// The same without waiting, where the engine can; `None` leaves it to [`Self::mark`].
    #[must_use]
    pub fn mark_at_once(&self) -> Option<Mark> {
        match &self.0 {
            Pools::Sqlite { witness, .. } => witness.look_at_once(),
            Pools::Postgres { .. } => None,
        }
    }

    /// Folds SQLite's write-ahead log into its file if the log has grown long, so that no commit has to, which would keep
    /// all others waiting. To be called a few times a second; it costs nothing where there is nothing to do.
    pub async fn fold_log(&self) -> Result<(), StoreError> {
        let Pools::Sqlite {
            folding, witness, ..
        } = &self.0
        else {
            return Ok(());
        };
        if witness.pages_behind().is_none() {
            witness.look()?;
        }
        match witness.pages_behind() {
            Some(pages) if pages >= FOLD_FROM => folding.fold().await,
            _ => Ok(()),
        }
    }

    /// What ends transactions of silent hosts; `None` on SQLite, whose locks go with their process.
    #[must_use]
    pub fn silent_hosts(&self) -> Option<SilentHosts> {
        match &self.0 {
            Pools::Sqlite { .. } => None,
            Pools::Postgres { upkeep, .. } => Some(SilentHosts::new(upkeep.clone())),
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
                folding,
                witness,
            } => {
                witness.close();
                folding.close().await;
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres { pool, upkeep } => {
                upkeep.close().await;
                pool.close().await;
            }
        }
    }
}
