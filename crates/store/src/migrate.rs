//! Migrations: forward only, the same numbers and names for both engines, each in the transaction of its record.

use crate::db::Engine;
use crate::tx::Tx;
use crate::{Param, StoreError};

struct Migration {
    number: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration {
    ($number:literal, $name:literal) => {
        Migration {
            number: $number,
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }
    };
}

const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_create_foundation"),
    migration!(2, "0002_add_ledger_and_chain_sync"),
    migration!(3, "0003_order_addresses_by_runs"),
    migration!(4, "0004_order_external_ids_and_part_chunks"),
    migration!(5, "0005_add_events"),
    migration!(6, "0006_add_webhooks"),
    migration!(7, "0007_add_brokers"),
    migration!(8, "0008_add_outputs"),
    migration!(9, "0009_add_unconfirmed_deposits"),
];

/// Whether a migration of this program has this text, word for word.
pub(crate) fn contains(engine: Engine, text: &str) -> bool {
    MIGRATIONS.iter().any(|migration| match engine {
        Engine::Sqlite => migration.sqlite.contains(text),
        Engine::Postgres => migration.postgres.contains(text),
    })
}

/// FNV-1a, enough to notice that an applied file was edited.
fn fingerprint(sql: &str) -> i64 {
    let hash = sql.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    i64::from_be_bytes(hash.to_be_bytes())
}

pub(crate) async fn run(tx: &mut Tx) -> Result<(), StoreError> {
    if tx.engine() == Engine::Postgres {
        // A migration takes as long as the tables are large, and others wait for it.
        tx.execute("SET LOCAL statement_timeout = 0", &[]).await?;
        // Two programs that start at once migrate one after the other.
        tx.execute("SELECT pg_advisory_xact_lock(4848484801)", &[])
            .await?;
    }
    tx.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, fingerprint BIGINT NOT NULL)",
        &[],
    )
    .await?;
    let applied = tx
        .fetch(
            "SELECT number, name, fingerprint FROM schema_migrations ORDER BY number",
            &[],
        )
        .await?;
    let known = MIGRATIONS.last().map_or(0, |migration| migration.number);
    let mut done = 0;
    for row in &applied {
        let number = row.int(0)?;
        let Some(migration) = MIGRATIONS
            .iter()
            .find(|migration| migration.number == number)
        else {
            return Err(StoreError::NewerSchema {
                found: number,
                known,
            });
        };
        if row.int(2)? != fingerprint(text_for(tx.engine(), migration)) {
            return Err(StoreError::ChangedMigration(row.text(1)?));
        }
        done = number;
    }
    for migration in MIGRATIONS
        .iter()
        .filter(|migration| migration.number > done)
    {
        let sql = text_for(tx.engine(), migration);
        tx.execute_script(sql).await?;
        tx.execute(
            "INSERT INTO schema_migrations (number, name, fingerprint) VALUES ($1, $2, $3)",
            &[
                Param::Int(migration.number),
                Param::Text(migration.name),
                Param::Int(fingerprint(sql)),
            ],
        )
        .await?;
    }
    Ok(())
}

fn text_for(engine: Engine, migration: &Migration) -> &'static str {
    match engine {
        Engine::Sqlite => migration.sqlite,
        Engine::Postgres => migration.postgres,
    }
}
