//! All that SQLite and PostgreSQL do not share: locks, errors, settings.

use rusqlite::{ErrorCode, ffi};
use sqlx::error::ErrorKind;

use crate::db::Engine;
use crate::tx::Tx;
use crate::{Constraint, Param, StoreError, migrate};

impl Engine {
    /// Locks the rows a SELECT finds. SQLite's one writer needs no lock.
    #[must_use]
    pub fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// Marks for parameters that follow a list of [`crate::bulk::placeholders`]; `first` is the number of the first.
    #[must_use]
    pub(crate) fn marks(self, first: usize, count: usize) -> String {
        let mark = |number: usize| match self {
            Self::Sqlite => "?".to_owned(),
            Self::Postgres => format!("${number}"),
        };
        let marks: Vec<String> = (first..first + count).map(mark).collect();
        marks.join(", ")
    }

    /// Locks the rows of `table` that a SELECT finds and passes over those that others have locked.
    #[must_use]
    pub fn skip_locked(self, table: &str) -> String {
        match self {
            Self::Sqlite => String::new(),
            Self::Postgres => format!(" FOR UPDATE OF {table} SKIP LOCKED"),
        }
    }
}

/// Tells the broken constraint by the name that each engine gives it.
fn constraint(named: &str, message: &str) -> Constraint {
    let is = |pg: &str, sqlite: &str| named == pg || message.contains(sqlite);
    if is("wallets_external_id", "wallets.external_id") {
        Constraint::ExternalId
    } else if is("wallets_pkey", "wallets.id") {
        Constraint::WalletId
    } else if is("addresses_pkey", "addresses.payload") {
        Constraint::Address
    } else if is("idempotency_keys_pkey", "idempotency_keys.") {
        Constraint::IdempotencyKey
    } else if is("audit_records_pkey", "audit_records.") {
        Constraint::AuditSequence
    } else if is("ledger_transactions_id", "ledger_transactions.id") {
        Constraint::LedgerTransaction
    } else if is(
        "ledger_transactions_resolves",
        "ledger_transactions.resolves",
    ) {
        Constraint::LedgerResolution
    } else if is("ledger_transactions_pkey", "ledger_transactions.") {
        Constraint::LedgerSequence
    } else if is("ledger_entries_pkey", "ledger_entries.") {
        Constraint::LedgerEntry
    } else if is("ledger_accounts_pkey", "ledger_accounts.") {
        Constraint::LedgerAccount
    } else {
        Constraint::Other(message.to_owned())
    }
}

/// SQLSTATE codes after which the same transaction may be run again.
fn is_lost_race(code: &str) -> bool {
    matches!(code, "40001" | "40P01" | "55P03")
}

/// Shut down, out of space or connections, read-only, or too slow for a statement's time-out: SQLSTATE 53xxx, 57Pxx,
/// 08xxx, 25006, 57014.
fn is_unavailable(code: &str) -> bool {
    let class = |class: &&str| code.len() == 5 && code.starts_with(*class);
    ["53", "57P", "08"].iter().any(class) || matches!(code, "25006" | "57014")
}

pub(crate) fn postgres_error(error: sqlx::Error) -> StoreError {
    let text = error.to_string();
    match &error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            if database.kind() == ErrorKind::UniqueViolation {
                let named = database.constraint().unwrap_or_default();
                StoreError::Conflict(constraint(named, database.message()))
            } else if is_lost_race(&code) {
                StoreError::Retry(text)
            } else if is_unavailable(&code) {
                StoreError::Unavailable(text)
            } else {
                StoreError::Other(text)
            }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Tls(_) => StoreError::Unavailable(text),
        _ => StoreError::Other(text),
    }
}

pub(crate) fn sqlite_error(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    let rusqlite::Error::SqliteFailure(failure, message) = error else {
        return StoreError::Other(text);
    };
    if matches!(
        failure.extended_code,
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
    ) {
        return StoreError::Conflict(constraint("", &message.unwrap_or_default()));
    }
    match failure.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Retry(text),
        ErrorCode::DiskFull
        | ErrorCode::SystemIoFailure
        | ErrorCode::ReadOnly
        | ErrorCode::CannotOpen => StoreError::Unavailable(text),
        _ => StoreError::Other(text),
    }
}

/// The first version that tells how far a COPY is.
const POSTGRES_LEAST: i64 = 140_000;

/// Refuses a server that is too old, and settings under which an acknowledged commit could be lost.
pub(crate) async fn check_settings(tx: &mut Tx) -> Result<(), StoreError> {
    let refuse = |setting: &str| Err(StoreError::UnsafeSetting(setting.to_owned()));
    match tx.engine() {
        Engine::Sqlite => {
            let synchronous = tx.fetch_int("PRAGMA synchronous").await?;
            let journal = tx.fetch_text("PRAGMA journal_mode").await?;
            if synchronous < 2 {
                return refuse(
                    "SQLite's synchronous is below FULL; a power cut would lose acknowledged wallets",
                );
            }
            if journal != "wal" {
                return refuse(
                    "SQLite's journal_mode is not WAL; put the data folder on a local disk",
                );
            }
        }
        Engine::Postgres => {
            let version = "SELECT current_setting('server_version_num')::bigint";
            if tx.fetch_int(version).await? < POSTGRES_LEAST {
                let text = "this PostgreSQL is older than 14; upgrade it";
                return Err(StoreError::Other(text.to_owned()));
            }
            if tx
                .fetch_text("SELECT current_setting('synchronous_commit')")
                .await?
                == "off"
            {
                return refuse("PostgreSQL's synchronous_commit is off; set it to on or stricter");
            }
            if tx
                .fetch_text("SELECT current_setting('server_encoding')")
                .await?
                != "UTF8"
            {
                return refuse(
                    "the PostgreSQL database's encoding is not UTF8; create it with ENCODING 'UTF8'",
                );
            }
        }
    }
    Ok(())
}

/// Names of settings worth a warning rather than a refusal.
pub(crate) async fn weak_settings(tx: &mut Tx) -> Result<Vec<String>, StoreError> {
    let mut weak = Vec::new();
    if tx.engine() == Engine::Postgres {
        for setting in ["fsync", "full_page_writes"] {
            let sql = format!("SELECT current_setting('{setting}')");
            if tx.fetch_text(sql).await? == "off" {
                weak.push(format!(
                    "PostgreSQL's {setting} is off; a power cut can destroy the database"
                ));
            }
        }
    }
    Ok(weak)
}

/// The tables that refuse UPDATE and DELETE by themselves.
const APPEND_ONLY: [&str; 2] = ["ledger_transactions", "ledger_entries"];

/// Tables of the ledger whose triggers are gone, disabled or not those of this program.
pub(crate) async fn missing_guards(tx: &mut Tx) -> Result<Vec<&'static str>, StoreError> {
    let engine = tx.engine();
    let (sql, wanted) = match engine {
        Engine::Sqlite => (
            "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = $1",
            2,
        ),
        // 58: BEFORE UPDATE OR DELETE OR TRUNCATE, for each statement.
        Engine::Postgres => (
            "SELECT p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid \
             WHERE t.tgrelid = to_regclass($1) AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') \
             AND t.tgtype = 58 AND t.tgqual IS NULL",
            1,
        ),
    };
    let mut missing = Vec::new();
    for table in APPEND_ONLY {
        let found = tx.fetch(sql, &[Param::Text(table)]).await?;
        let mut ours = 0;
        for row in &found {
            ours += u32::from(migrate::contains(engine, row.text(0)?.trim()));
        }
        if ours < wanted {
            missing.push(table);
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_postgresql_are_told_apart() {
        for (code, race, down) in [
            ("40001", true, false),
            ("40P01", true, false),
            ("57014", false, true),
            ("53100", false, true),
            ("57P01", false, true),
            ("25006", false, true),
            ("23505", false, false),
        ] {
            assert_eq!(
                (is_lost_race(code), is_unavailable(code)),
                (race, down),
                "{code}"
            );
        }
    }

    #[test]
    fn codes_of_sqlite_are_told_apart() {
        let error = |code: i32, message: &str| {
            let failure = ffi::Error::new(code);
            sqlite_error(rusqlite::Error::SqliteFailure(
                failure,
                Some(message.to_owned()),
            ))
        };
        for code in [
            ffi::SQLITE_BUSY,
            ffi::SQLITE_BUSY_SNAPSHOT,
            ffi::SQLITE_LOCKED,
        ] {
            assert!(matches!(error(code, ""), StoreError::Retry(_)), "{code}");
        }
        for code in [
            ffi::SQLITE_FULL,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_CANTOPEN,
        ] {
            assert!(
                matches!(error(code, ""), StoreError::Unavailable(_)),
                "{code}"
            );
        }
        let twice = "UNIQUE constraint failed: wallets.external_id";
        for code in [
            ffi::SQLITE_CONSTRAINT_UNIQUE,
            ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
        ] {
            let known = error(code, twice);
            assert!(
                matches!(known, StoreError::Conflict(Constraint::ExternalId)),
                "{code}"
            );
        }
        let refused = error(ffi::SQLITE_CONSTRAINT_TRIGGER, "the ledger is append-only");
        assert!(matches!(refused, StoreError::Other(_)));
    }
}
