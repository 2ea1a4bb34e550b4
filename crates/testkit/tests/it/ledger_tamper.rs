//! The database's owner against the ledger: what is edited is refused when it is read, or found by verifying.

use coffer_platform::ledger::AccountFilter;
use coffer_platform::{Error, Level, Platform};
use coffer_testkit::{Engine, Installation};

use crate::ledger::{customer, fund, send};
use crate::scene::on_both_engines;
use crate::tamper::Owner;

on_both_engines!(
    what_is_edited_is_noticed,
    heads_put_back_are_refused_when_posting,
    a_ledger_put_back_whole_is_refused,
    the_database_refuses_changes_by_itself,
);

const TABLES: [&str; 4] = [
    "ledger_accounts",
    "ledger_transactions",
    "ledger_entries",
    "ledger_heads",
];

struct Scene {
    installation: Installation,
    owner: Owner,
}

impl Scene {
    /// Six transactions over three customers; copies of all tables after the third and at the end.
    async fn set(engine: Engine) -> Self {
        let installation = Installation::create(engine).await;
        let mut owner = Owner::connect(engine, &installation).await;
        let (platform, caller) = (&installation.platform, &installation.admin);
        fund(platform, caller, 1, 100).await;
        send(platform, caller, "a", (1, 2), 40)
            .await
            .expect("posts");
        send(platform, caller, "b", (2, 3), 10)
            .await
            .expect("posts");
        owner.copy_all("old").await;
        send(platform, caller, "c", (1, 3), 5).await.expect("posts");
        send(platform, caller, "d", (3, 1), 7).await.expect("posts");
        send(platform, caller, "e", (1, 2), 1).await.expect("posts");
        owner.copy_all("saved").await;
        let mut scene = Self {
            installation,
            owner,
        };
        scene.drop_triggers().await;
        scene
    }

    /// What a superuser can do: the tables themselves no longer refuse.
    async fn drop_triggers(&mut self) {
        for trigger in self.owner.texts(match self.owner.engine {
            Engine::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'ledger_%'",
            Engine::Postgres => "SELECT tgname || ' ON ' || tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text LIKE 'ledger_%'",
        }).await {
            self.owner.run(&format!("DROP TRIGGER {trigger}")).await;
        }
    }

    /// Whether any way of reading, or posting once more, refuses; and what verifying says.
    async fn noticed(&self) -> (bool, Option<String>) {
        let (platform, caller) = (&self.installation.platform, &self.installation.admin);
        let report = platform.verify_ledger(caller).await;
        let broken = match report {
            Ok(report) => report.broken,
            Err(Error::Integrity { object }) => Some(object),
            Err(other) => panic!("{other}"),
        };
        (reading_refused(platform, &self.installation).await, broken)
    }

    async fn restore(&mut self) {
        self.owner.restore(&TABLES).await;
    }
}

async fn reading_refused(platform: &Platform, installation: &Installation) -> bool {
    let caller = &installation.admin;
    let mut refused = false;
    let mut look = |error: Option<Error>| match error {
        None => {}
        Some(Error::Integrity { .. }) => refused = true,
        Some(other) => panic!("{other}"),
    };
    let all = AccountFilter::default();
    let now = installation.clock_ms();
    look(
        platform
            .ledger_accounts(caller, &all, None, 100)
            .await
            .err(),
    );
    look(platform.ledger_transactions(caller, 0, 100).await.err());
    look(platform.ledger_balances(caller, &all, None).await.err());
    look(
        platform
            .ledger_balances(caller, &all, Some(now))
            .await
            .err(),
    );
    for number in 1..=3 {
        let id = customer(caller, number).id();
        look(platform.ledger_entries(caller, id, 0, 100).await.err());
        look(platform.statement(caller, id, 0, now).await.err());
    }
    refused
}

/// (name, statements, whether reading must refuse; verifying always must).
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn cases(account: &str, other: &str) -> Vec<(&'static str, String, bool)> {
    let set =
        |table: &str, what: &str, which: &str| format!("UPDATE {table} SET {what} WHERE {which}");
    let last = format!("account_id = {account} AND version = 3");
    let copy = |table: &str, from: &str, changed: &str| {
        format!(
            "CREATE TEMP TABLE copied AS SELECT * FROM {table} WHERE {from}; UPDATE copied SET {changed}; INSERT INTO {table} SELECT * FROM copied; DROP TABLE copied"
        )
    };
    let back =
        |table: &str| format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM old_{table}");
    vec![
        (
            "units of an entry",
            set(
                "ledger_entries",
                &format!("units = {}", "posted_debits"),
                &last,
            ),
            true,
        ),
        (
            "side of an entry",
            set(
                "ledger_entries",
                "side = CASE side WHEN 'debit' THEN 'credit' ELSE 'debit' END",
                &last,
            ),
            true,
        ),
        (
            "balance with an entry",
            set("ledger_entries", "posted_credits = posted_debits", &last),
            true,
        ),
        (
            "time of an entry",
            set("ledger_entries", "at = at + 1", &last),
            true,
        ),
        (
            "phase of an entry",
            set("ledger_entries", "phase = 'pending'", &last),
            true,
        ),
        (
            "owner of an entry",
            set("ledger_entries", "leg = leg + 1", &last),
            true,
        ),
        (
            "an entry gone",
            format!("DELETE FROM ledger_entries WHERE {last}"),
            true,
        ),
        (
            "the last entry gone",
            format!("DELETE FROM ledger_entries WHERE account_id = {account} AND version = 5"),
            true,
        ),
        (
            "an entry more",
            copy(
                "ledger_entries",
                &format!("account_id = {account} AND version = 5"),
                "version = 6",
            ),
            true,
        ),
        (
            "an entry far out",
            copy(
                "ledger_entries",
                &format!("account_id = {account} AND version = 5"),
                "version = 60",
            ),
            false,
        ),
        (
            "two entries swapped",
            format!(
                "UPDATE ledger_entries SET version = 1000 + version WHERE account_id = {account} AND version IN (3, 4); UPDATE ledger_entries SET version = 3 WHERE account_id = {account} AND version = 1004; UPDATE ledger_entries SET version = 4 WHERE account_id = {account} AND version = 1003"
            ),
            true,
        ),
        (
            "sums of a head",
            set(
                "ledger_accounts",
                "posted_credits = posted_debits",
                &format!("id = {account}"),
            ),
            true,
        ),
        (
            "version of a head",
            set(
                "ledger_accounts",
                "version = version - 1",
                &format!("id = {account}"),
            ),
            true,
        ),
        (
            "a head gone",
            format!("DELETE FROM ledger_accounts WHERE id = {account}"),
            true,
        ),
        (
            "another's head",
            format!(
                "UPDATE ledger_accounts SET version = o.version, posted_debits = o.posted_debits, posted_credits = o.posted_credits, seal = o.seal FROM saved_ledger_accounts o WHERE ledger_accounts.id = {account} AND o.id = {other}"
            ),
            true,
        ),
        (
            "a head put back",
            format!(
                "DELETE FROM ledger_accounts WHERE id = {account}; INSERT INTO ledger_accounts SELECT * FROM old_ledger_accounts WHERE id = {account}"
            ),
            true,
        ),
        (
            "source of a transaction",
            set(
                "ledger_transactions",
                "source_id = source_id || 'x'",
                "seq = 4",
            ),
            true,
        ),
        (
            "time of a transaction",
            set("ledger_transactions", "at = at + 1", "seq = 4"),
            true,
        ),
        (
            "hash of a transaction",
            set(
                "ledger_transactions",
                "hash = (SELECT hash FROM saved_ledger_transactions s WHERE s.seq = 3)",
                "seq = 4",
            ),
            true,
        ),
        (
            "a transaction gone",
            "DELETE FROM ledger_transactions WHERE seq = 4".to_owned(),
            true,
        ),
        (
            "the last transaction gone",
            "DELETE FROM ledger_transactions WHERE seq = 6".to_owned(),
            true,
        ),
        (
            "a transaction moved",
            "UPDATE ledger_transactions SET seq = 7 WHERE seq = 6".to_owned(),
            true,
        ),
        (
            "the ledger's end",
            set("ledger_heads", "seq = seq - 1", "seq > 0"),
            true,
        ),
        (
            "the ledger's end gone",
            "DELETE FROM ledger_heads".to_owned(),
            true,
        ),
        ("the ledger's end put back", back("ledger_heads"), true),
        ("all put back", TABLES.map(back).join("; "), true),
        (
            "all gone",
            TABLES
                .map(|table| format!("DELETE FROM {table}"))
                .join("; "),
            true,
        ),
    ]
}

async fn what_is_edited_is_noticed(engine: Engine) {
    let mut scene = Scene::set(engine).await;
    assert_eq!(scene.noticed().await, (false, None));
    let caller = scene.installation.admin.clone();
    assert_eq!(ledger_level(&scene.installation).await, Level::Unsafe);
    let account = scene.owner.bytes(customer(&caller, 1).id().as_bytes());
    let other = scene.owner.bytes(customer(&caller, 2).id().as_bytes());
    for (name, sql, on_reading) in cases(&account, &other) {
        let changed = scene.owner.try_run(&sql).await;
        changed.unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut differences = 0;
        for table in TABLES {
            differences += scene.owner.differences(table).await;
        }
        assert!(differences > 0, "{name} changed nothing");
        let (refused, broken) = scene.noticed().await;
        assert!(broken.is_some(), "{name}: verifying found nothing");
        assert!(refused || !on_reading, "{name}: it was read");
        scene.restore().await;
        assert_eq!(scene.noticed().await, (false, None), "after {name}");
    }
}

async fn heads_put_back_are_refused_when_posting(engine: Engine) {
    let mut scene = Scene::set(engine).await;
    let caller = scene.installation.admin.clone();
    for tables in [&["ledger_accounts"][..], &["ledger_heads"], &TABLES] {
        for gone in [false, true] {
            for table in tables {
                let again = format!("INSERT INTO {table} SELECT * FROM old_{table}");
                scene.owner.run(&format!("DELETE FROM {table}")).await;
                if !gone {
                    scene.owner.run(&again).await;
                }
            }
            let platform = &scene.installation.platform;
            let posted = send(platform, &caller, "more", (1, 2), 1).await;
            let refused = match &posted {
                // Without its account a customer has nothing to spend.
                Err(Error::Ledger(_)) => gone && tables.contains(&"ledger_accounts"),
                Err(Error::Integrity { .. }) => true,
                _ => false,
            };
            assert!(refused, "{tables:?}: {posted:?}");
            scene.restore().await;
        }
    }
    let platform = &scene.installation.platform;
    send(platform, &caller, "more", (1, 2), 1)
        .await
        .expect("posts again");
    assert_eq!(scene.noticed().await, (false, None));
}

/// Another process that begins with the ledger as it was: its seals are good, only the audit chain knows better.
async fn a_ledger_put_back_whole_is_refused(engine: Engine) {
    let mut scene = Scene::set(engine).await;
    for table in TABLES {
        let back = format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM old_{table}");
        scene.owner.run(&back).await;
    }
    let other = scene.installation.reopen().await;
    let caller = &scene.installation.admin;
    let posted = send(&other, caller, "more", (1, 2), 1).await;
    assert!(matches!(posted, Err(Error::Integrity { .. })), "{posted:?}");
}

async fn the_database_refuses_changes_by_itself(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, caller) = (&installation.platform, &installation.admin);
    fund(platform, caller, 1, 100).await;
    let mut owner = Owner::connect(engine, &installation).await;
    if engine == Engine::Postgres {
        owner.run("SET session_replication_role = DEFAULT").await;
    }
    for table in ["ledger_transactions", "ledger_entries"] {
        let mut changes = vec![
            format!("UPDATE {table} SET at = at + 1"),
            format!("DELETE FROM {table}"),
        ];
        if engine == Engine::Postgres {
            changes.push(format!("TRUNCATE {table}"));
        }
        for sql in changes {
            let refused = owner.try_run(&sql).await;
            let text = refused.expect_err(&sql).to_string();
            assert!(text.contains("append-only"), "{sql}: {text}");
        }
    }
    let report = platform.verify_ledger(caller).await.expect("verifies");
    assert_eq!(report.broken, None);
    assert_eq!(ledger_level(&installation).await, Level::Ok);
}

/// What the doctor says about the ledger's triggers.
async fn ledger_level(installation: &Installation) -> Level {
    let findings = installation.platform.doctor(&installation.admin).await;
    let findings = findings.expect("looks");
    let found = findings.iter().find(|finding| finding.check == "ledger");
    found.expect("is looked at").level
}
