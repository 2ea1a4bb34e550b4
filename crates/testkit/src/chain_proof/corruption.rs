//! The checker checked: a good database, corrupted in each way that a part of the proof is there for.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use super::driver::Driver;
use super::scene::{Ground, Scene};
use crate::Engine;
use crate::chain_checker::{self, Check, Report};
use crate::crash::Chance;

/// What was done, the part of the proof that must object, and what it said.
pub struct Corrupted {
    pub what: &'static str,
    pub expected: Check,
    pub report: Report,
}

/// Statements in the common subset; `{1}` stands for a one-byte amount, `{32}` for 32 bytes.
const CORRUPTIONS: &[(&str, Check, &str)] = &[
    (
        "a balance that is not the sum of its entries",
        Check::Ledger,
        "UPDATE ledger_entries SET posted_debits = {1} WHERE version = 1 AND account_id = (SELECT account_id FROM ledger_entries ORDER BY account_id LIMIT 1)",
    ),
    (
        "an amount in an entry",
        Check::Ledger,
        "UPDATE ledger_entries SET units = {1} WHERE transaction_seq = 2",
    ),
    (
        "a head that is not the last entry",
        Check::Ledger,
        "UPDATE ledger_accounts SET posted_credits = {1} WHERE id = (SELECT id FROM ledger_accounts ORDER BY id LIMIT 1)",
    ),
    (
        "a version passed over",
        Check::Ledger,
        "UPDATE ledger_entries SET version = version + 7 WHERE transaction_seq = (SELECT MAX(seq) FROM ledger_transactions)",
    ),
    (
        "entries that are gone",
        Check::Ledger,
        "DELETE FROM ledger_entries WHERE transaction_seq = (SELECT MAX(seq) FROM ledger_transactions)",
    ),
    (
        "one leg that is gone",
        Check::Ledger,
        "DELETE FROM ledger_entries WHERE transaction_seq = 1 AND leg = 1",
    ),
    (
        "a transaction under another hash",
        Check::Ledger,
        "UPDATE ledger_transactions SET hash = {32} WHERE seq = 2",
    ),
    (
        "a transaction of another source",
        Check::Ledger,
        "UPDATE ledger_transactions SET source_kind = 'adjustment' WHERE seq = 1",
    ),
    (
        "the last transaction gone",
        Check::Ledger,
        "DELETE FROM ledger_transactions WHERE seq = (SELECT MAX(seq) FROM ledger_transactions)",
    ),
    (
        "a head of the ledger that says less",
        Check::Audit,
        "UPDATE ledger_heads SET seq = seq - 1",
    ),
    (
        "a block passed over",
        Check::Coverage,
        "DELETE FROM blocks WHERE height = 9",
    ),
    (
        "a block of another chain",
        Check::Coverage,
        "UPDATE blocks SET hash = {32} WHERE height = 9",
    ),
    (
        "a block without its transactions",
        Check::Coverage,
        "UPDATE blocks SET transactions = 0 WHERE height = (SELECT MIN(height) FROM blocks WHERE transactions > 0)",
    ),
    (
        "a beginning that was left out",
        Check::Coverage,
        "DELETE FROM blocks WHERE height = 1",
    ),
    (
        "a deposit that is gone",
        Check::Deposits,
        "DELETE FROM deposits WHERE id = (SELECT id FROM deposits WHERE state = 'confirmed' ORDER BY id LIMIT 1)",
    ),
    (
        "a deposit of a transaction that never was",
        Check::Deposits,
        "UPDATE deposits SET transaction_hash = {32} WHERE id = (SELECT id FROM deposits WHERE state = 'confirmed' ORDER BY id LIMIT 1)",
    ),
    (
        "a retracted deposit that counts again",
        Check::Deposits,
        "UPDATE deposits SET state = 'confirmed' WHERE state = 'retracted'",
    ),
    (
        "a deposit that is worth more",
        Check::Deposits,
        "UPDATE deposits SET units = face_units, face_units = {32} WHERE id = (SELECT id FROM deposits WHERE state = 'confirmed' ORDER BY id LIMIT 1)",
    ),
    (
        "a deposit in another block",
        Check::Deposits,
        "UPDATE deposits SET block_height = block_height - 1 WHERE id = (SELECT id FROM deposits WHERE state = 'confirmed' ORDER BY id LIMIT 1)",
    ),
    (
        "a deposit given to another customer",
        Check::Deposits,
        "UPDATE deposits SET wallet_id = (SELECT id FROM wallets ORDER BY id DESC LIMIT 1) WHERE wallet_id <> (SELECT id FROM wallets ORDER BY id DESC LIMIT 1)",
    ),
    (
        "a credit that was taken back in the deposit only",
        Check::Customers,
        "UPDATE deposits SET state = 'retracted' WHERE id = (SELECT id FROM deposits WHERE state = 'confirmed' ORDER BY id LIMIT 1)",
    ),
    (
        "a deposit of less than was credited",
        Check::Customers,
        "UPDATE deposits SET units = {1} WHERE id = (SELECT id FROM deposits WHERE state = 'confirmed' ORDER BY id LIMIT 1)",
    ),
    (
        "a wallet whose address holds what nobody booked",
        Check::Custody,
        "UPDATE ledger_accounts SET kind = 'suspense' WHERE id = (SELECT id FROM ledger_accounts WHERE kind = 'custody' AND posted_debits <> posted_credits ORDER BY id LIMIT 1)",
    ),
    (
        "a custody balance of one unit more",
        Check::Custody,
        "UPDATE ledger_accounts SET posted_debits = {1} WHERE id = (SELECT id FROM ledger_accounts WHERE kind = 'custody' AND posted_debits <> posted_credits ORDER BY id LIMIT 1)",
    ),
    (
        "a change without its audit record",
        Check::Audit,
        "DELETE FROM audit_records WHERE action = 'block.undone'",
    ),
    (
        "audit records that name other hashes",
        Check::Audit,
        "UPDATE audit_records SET payload = REPLACE(payload, 'ledger_hash\":\"', 'ledger_hash\":\"00') \
         WHERE payload LIKE '%ledger_hash%'",
    ),
];

/// # Errors
/// When a part fails, or the database is not good to begin with.
pub async fn run(ground: &Ground) -> Result<Vec<Corrupted>> {
    let mut scene = Scene::set(ground).await?;
    played(&mut scene).await?;
    let good = scene.judged().await?;
    ensure!(good.is_good(), "before anything was corrupted: {good}");
    let folder = tempfile::tempdir()?;
    let mut outcomes = Vec::new();
    for (number, (what, expected, sql)) in CORRUPTIONS.iter().enumerate() {
        let mut options = scene.checking();
        let name = format!("{}_corrupted_{number}", std::process::id());
        let url = copy(ground, (&options.database_url, &name), folder.path()).await?;
        corrupt(ground.engine, &url, sql)
            .await
            .with_context(|| (*what).to_owned())?;
        options.database_url = url;
        outcomes.push(Corrupted {
            what,
            expected: *expected,
            report: chain_checker::check(&options).await?,
        });
    }
    scene.done().await;
    Ok(outcomes)
}

/// Deposits, and one reorganization that drops some of them.
async fn played(scene: &mut Scene) -> Result<()> {
    let (mut driver, mut chance) = (Driver::default(), Chance::new(5));
    for _ in 0..6 {
        for account in 1..5 {
            let how = (&mut chance, account);
            driver.send(&scene.anvil, &scene.payer, how).await?;
        }
        scene.anvil.mine(1).await?;
    }
    scene.caught_up().await?;
    let how = (&mut chance, 5);
    driver
        .reorg(&scene.anvil, &scene.payer, how, Vec::new())
        .await?;
    ensure!(driver.fates.dropped > 0, "nothing was dropped");
    scene.caught_up().await?;
    Ok(())
}

async fn copy(ground: &Ground, (url, name): (&str, &str), folder: &Path) -> Result<String> {
    let Some(path) = url.strip_prefix("sqlite:") else {
        let server = ground
            .server_url
            .as_deref()
            .context("a PostgreSQL server")?;
        let template = url.rsplit('/').next().unwrap_or_default();
        let template = template.split('?').next().unwrap_or_default();
        let sql = format!("CREATE DATABASE coffer_{name} TEMPLATE {template}");
        let mut connection = PgConnection::connect(server).await?;
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await?;
        return Ok(crate::database::beside(server, &format!("coffer_{name}")));
    };
    let copy = folder.join(name);
    std::fs::copy(path, &copy)?;
    Ok(format!("sqlite:{}", copy.display()))
}

/// As the database's owner could: the triggers that refuse changes of the ledger are dropped first.
async fn corrupt(engine: Engine, url: &str, sql: &str) -> Result<()> {
    let bytes = |text: &str| match engine {
        Engine::Sqlite => format!("X'{text}'"),
        Engine::Postgres => format!("'\\x{text}'::bytea"),
    };
    let sql = sql
        .replace("{1}", &bytes("2a"))
        .replace("{32}", &bytes(&"2a".repeat(32)));
    let changed = match engine {
        Engine::Sqlite => {
            let path = url.strip_prefix("sqlite:").unwrap_or(url);
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let mut connection = SqliteConnection::connect_with(&options).await?;
            let find = "SELECT name FROM sqlite_master WHERE type = 'trigger'";
            let triggers: Vec<(String,)> = sqlx::query_as(find).fetch_all(&mut connection).await?;
            for (name,) in triggers {
                let drop = AssertSqlSafe(format!("DROP TRIGGER {name}"));
                sqlx::raw_sql(drop).execute(&mut connection).await?;
            }
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection);
            done.await?.rows_affected()
        }
        Engine::Postgres => {
            let mut connection = PgConnection::connect(url).await?;
            let free = "SET session_replication_role = replica";
            sqlx::raw_sql(free).execute(&mut connection).await?;
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection);
            done.await?.rows_affected()
        }
    };
    ensure!(changed > 0, "the statement changed nothing");
    Ok(())
}
