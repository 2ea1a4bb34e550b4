//! The attacker: the database's owner, with every right, behind Coffer's back.

use coffer_testkit::{Engine, Installation};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};

/// Copies of all tables at two moments: before the wallets were decided on, and after everything was made.
pub(crate) const OLD: &str = "old";
pub(crate) const SAVED: &str = "saved";

enum Link {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

pub(crate) struct Owner {
    link: Link,
    pub(crate) engine: Engine,
    tables: Vec<(String, Vec<String>)>,
}

impl Owner {
    /// Connects with foreign keys and triggers out of the way, and reads the schema.
    pub(crate) async fn connect(engine: Engine, installation: &Installation) -> Self {
        let url = &installation.database.url;
        let link = match engine {
            Engine::Sqlite => {
                let path = url.strip_prefix("sqlite:").expect("a path");
                let options = sqlx::sqlite::SqliteConnectOptions::new()
                    .filename(path)
                    .foreign_keys(false)
                    .busy_timeout(std::time::Duration::from_secs(10))
                    .synchronous(sqlx::sqlite::SqliteSynchronous::Off);
                Link::Sqlite(
                    SqliteConnection::connect_with(&options)
                        .await
                        .expect("the file opens"),
                )
            }
            Engine::Postgres => Link::Postgres(
                PgConnection::connect(url)
                    .await
                    .expect("the server answers"),
            ),
        };
        let mut owner = Self {
            link,
            engine,
            tables: Vec::new(),
        };
        if engine == Engine::Postgres {
            owner
                .run("SET session_replication_role = replica; SET synchronous_commit = off")
                .await;
        }
        owner.tables = owner.schema().await;
        owner
    }

    pub(crate) async fn run(&mut self, sql: &str) -> u64 {
        self.try_run(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub(crate) async fn try_run(&mut self, sql: &str) -> Result<u64, sqlx::Error> {
        let text = AssertSqlSafe(sql.to_owned());
        match &mut self.link {
            Link::Sqlite(link) => sqlx::raw_sql(text)
                .execute(link)
                .await
                .map(|done| done.rows_affected()),
            Link::Postgres(link) => sqlx::raw_sql(text)
                .execute(link)
                .await
                .map(|done| done.rows_affected()),
        }
    }

    pub(crate) async fn texts(&mut self, sql: &str) -> Vec<String> {
        let text = AssertSqlSafe(sql.to_owned());
        match &mut self.link {
            Link::Sqlite(link) => {
                let rows = sqlx::query(text)
                    .fetch_all(link)
                    .await
                    .expect("the query runs");
                rows.iter().map(|row| row.get::<String, _>(0)).collect()
            }
            Link::Postgres(link) => {
                let rows = sqlx::query(text)
                    .fetch_all(link)
                    .await
                    .expect("the query runs");
                rows.iter().map(|row| row.get::<String, _>(0)).collect()
            }
        }
    }

    pub(crate) async fn count(&mut self, sql: &str) -> i64 {
        let texts = self.texts(&format!("SELECT CAST(({sql}) AS TEXT)")).await;
        texts[0].parse().expect("a number")
    }

    async fn schema(&mut self) -> Vec<(String, Vec<String>)> {
        let tables = match self.engine {
            Engine::Sqlite => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
            }
            Engine::Postgres => {
                "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
            }
        };
        let mut schema = Vec::new();
        for table in self.texts(tables).await {
            let columns = match self.engine {
                Engine::Sqlite => {
                    format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid")
                }
                Engine::Postgres => format!(
                    "SELECT column_name::text FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
                ),
            };
            schema.push((table, self.texts(&columns).await));
        }
        schema
    }

    /// The columns of a table as the live schema has them.
    pub(crate) fn columns(&self, table: &str) -> Vec<String> {
        let found = self.tables.iter().find(|(name, _)| name == table);
        found
            .unwrap_or_else(|| panic!("there is no table {table}"))
            .1
            .clone()
    }

    pub(crate) fn tables(&self) -> Vec<String> {
        self.tables.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Copies every table under a prefix.
    pub(crate) async fn copy_all(&mut self, prefix: &str) {
        for table in self.tables() {
            self.run(&format!(
                "CREATE TABLE {prefix}_{table} AS SELECT * FROM {table}"
            ))
            .await;
        }
    }

    /// Brings tables back to how they were when they were saved.
    pub(crate) async fn restore(&mut self, tables: &[&str]) {
        let sql: String = tables
            .iter()
            .map(|table| {
                format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM {SAVED}_{table};")
            })
            .collect();
        self.run(&format!("BEGIN; {sql} COMMIT")).await;
    }

    /// How many rows of a table differ from the saved ones.
    pub(crate) async fn differences(&mut self, table: &str) -> i64 {
        let one = |a: &str, b: &str| {
            format!("(SELECT count(*) FROM (SELECT * FROM {a} EXCEPT SELECT * FROM {b}) d)")
        };
        let saved = format!("{SAVED}_{table}");
        self.count(&format!(
            "SELECT {} + {}",
            one(table, &saved),
            one(&saved, table)
        ))
        .await
    }

    pub(crate) fn bytes(&self, bytes: &[u8]) -> String {
        match self.engine {
            Engine::Sqlite => format!("x'{}'", hex::encode(bytes)),
            Engine::Postgres => format!("'\\x{}'::bytea", hex::encode(bytes)),
        }
    }
}

/// An INSERT of the saved row `row`, with `taken` columns from `other`. Both are conditions on `{}`, an alias.
pub(crate) fn mixed(
    table: &str,
    columns: &[String],
    taken: &[&str],
    (row, other): (&str, &str),
) -> String {
    let list: Vec<String> = columns
        .iter()
        .map(|column| {
            format!(
                "{}.{column}",
                if taken.contains(&column.as_str()) {
                    "o"
                } else {
                    "s"
                }
            )
        })
        .collect();
    let (row, other) = (row.replace("{}", "s"), other.replace("{}", "o"));
    format!(
        "INSERT INTO {table} SELECT {} FROM {SAVED}_{table} s, {SAVED}_{table} o WHERE {row} AND {other};",
        list.join(", ")
    )
}
