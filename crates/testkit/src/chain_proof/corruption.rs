//! The checker checked: a good database, corrupted in each way that a part of the proof is there for.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use super::bitcoin::Bitcoin;
use super::evm::Evm;
use super::scene::{Ground, Scene};
use super::stage::{Exchange, Family, Stage};
use crate::Engine;
use crate::chain_checker::{self, Check, Report};
use crate::crash::Chance;

/// What was done, the part of the proof that must object, and what it said.
pub struct Corrupted {
    pub what: &'static str,
    pub expected: Check,
    pub report: Report,
}

/// What is done, which part of the proof must object, and a statement in the common subset: `{1}` stands for a
/// one-byte amount, `{32}` for 32 bytes.
pub(super) type Corruption = (&'static str, Check, &'static str);

/// Of what there is on every chain.
const CORRUPTIONS: &[Corruption] = &[
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

/// Of Bitcoin: rewards, and the record of outputs while one of them is spent.
pub(super) const OF_BITCOIN: &[Corruption] = &[
    (
        "an output that is gone",
        Check::Outputs,
        "DELETE FROM outputs WHERE transaction_hash = (SELECT transaction_hash FROM outputs WHERE spent_by IS NULL ORDER BY transaction_hash LIMIT 1)",
    ),
    (
        "an output that no block made",
        Check::Outputs,
        "UPDATE outputs SET number = number + 100 WHERE transaction_hash = (SELECT transaction_hash FROM outputs ORDER BY transaction_hash LIMIT 1)",
    ),
    (
        "an output of another transaction",
        Check::Outputs,
        "UPDATE outputs SET transaction_hash = {32} WHERE transaction_hash = (SELECT transaction_hash FROM outputs ORDER BY transaction_hash LIMIT 1)",
    ),
    (
        "an output of another amount",
        Check::Outputs,
        "UPDATE outputs SET units = {1} WHERE transaction_hash = (SELECT transaction_hash FROM outputs ORDER BY transaction_hash LIMIT 1)",
    ),
    (
        "an output of another block",
        Check::Outputs,
        "UPDATE outputs SET block_height = block_height + 1 WHERE transaction_hash = (SELECT transaction_hash FROM outputs ORDER BY transaction_hash LIMIT 1)",
    ),
    (
        "an output in a block of another chain",
        Check::Outputs,
        "UPDATE outputs SET block_hash = {32} WHERE transaction_hash = (SELECT transaction_hash FROM outputs ORDER BY transaction_hash LIMIT 1)",
    ),
    (
        "a plain output called a coinbase's",
        Check::Outputs,
        "UPDATE outputs SET is_coinbase = 1 - is_coinbase WHERE transaction_hash = (SELECT transaction_hash FROM outputs ORDER BY transaction_hash LIMIT 1)",
    ),
    (
        "an output at another address",
        Check::Outputs,
        "UPDATE outputs SET address = {32}, address_kind = 4 WHERE transaction_hash = (SELECT transaction_hash FROM outputs ORDER BY transaction_hash LIMIT 1)",
    ),
    (
        "an output of another customer",
        Check::Outputs,
        "UPDATE outputs SET wallet_id = (SELECT id FROM wallets ORDER BY id DESC LIMIT 1) WHERE wallet_id <> (SELECT id FROM wallets ORDER BY id DESC LIMIT 1)",
    ),
    (
        "a spend that is not on record",
        Check::Outputs,
        "UPDATE outputs SET spent_by = NULL, spent_height = NULL, spent_hash = NULL WHERE spent_by IS NOT NULL",
    ),
    (
        "a spend by another transaction",
        Check::Outputs,
        "UPDATE outputs SET spent_by = {32} WHERE spent_by IS NOT NULL",
    ),
    (
        "a spend in another block",
        Check::Outputs,
        "UPDATE outputs SET spent_height = spent_height - 1 WHERE spent_by IS NOT NULL",
    ),
    (
        "a reward that counts before it may be spent",
        Check::Deposits,
        "UPDATE deposits SET state = 'confirmed' WHERE part LIKE 'coinbase:%' AND state = 'detected'",
    ),
    (
        "a spend that never was",
        Check::Outputs,
        "UPDATE outputs SET spent_by = {32}, spent_height = block_height, spent_hash = block_hash WHERE spent_by IS NULL",
    ),
];

/// # Errors
/// When a part fails, or the database is not good to begin with.
pub async fn run(ground: &Ground) -> Result<Vec<Corrupted>> {
    match ground.family {
        Family::Evm => run_on::<Evm>(ground).await,
        Family::Bitcoin => run_on::<Bitcoin>(ground).await,
    }
}

async fn run_on<S: Stage>(ground: &Ground) -> Result<Vec<Corrupted>> {
    let mut scene = Scene::<S>::set(ground).await?;
    let mut chance = Chance::new(5);
    played(&mut scene, &mut chance).await?;
    let good = scene.judged().await?;
    ensure!(good.is_good(), "before anything was corrupted: {good}");
    let mut outcomes = Vec::new();
    let checking = scene.checking();
    each(ground, (CORRUPTIONS, &checking), &mut outcomes).await?;
    scene.host.alive().await?;
    if scene.stage.disturb(&mut chance).await? {
        scene.caught_up().await?;
        scene.tripped().await?;
        let checking = chain_checker::Options {
            tripped_may_differ: true,
            ..scene.checking()
        };
        let good = scene.at_rest(&checking).await?;
        ensure!(good.is_good(), "before an output was corrupted: {good}");
        each(ground, (S::CORRUPTIONS, &checking), &mut outcomes).await?;
    }
    scene.done().await;
    Ok(outcomes)
}

/// Copies made by this process, so that each has a name of its own.
static COPIES: AtomicUsize = AtomicUsize::new(0);

/// Each on a copy of its own.
async fn each(
    ground: &Ground,
    (corruptions, checking): (&[Corruption], &chain_checker::Options),
    outcomes: &mut Vec<Corrupted>,
) -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (what, expected, sql) in corruptions {
        let mut options = checking.clone();
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
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
    Ok(())
}

/// Deposits, and a reorganization that drops some of them.
async fn played<S: Stage>(scene: &mut Scene<S>, chance: &mut Chance) -> Result<()> {
    while scene.stage.fates().dropped == 0 {
        for _ in 0..4 {
            scene.stage.play(chance).await?;
        }
        scene.caught_up().await?;
        let exchange = Exchange {
            depth: 5,
            is_deep: false,
        };
        scene.stage.reorg(chance, exchange).await?;
        scene.caught_up().await?;
        ensure!(scene.stage.fates().sent < 1_000, "nothing is ever dropped");
    }
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
