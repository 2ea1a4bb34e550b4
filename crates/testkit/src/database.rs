//! Databases for tests: a file, or a database of its own on the PostgreSQL server of the test run.

use std::path::Path;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];
}

/// An empty database. Those on PostgreSQL go with the throw-away server.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    pub url: String,
}

impl TestDatabase {
    /// # Panics
    /// When there is no PostgreSQL server to make a database on.
    pub async fn create(engine: Engine, folder: &Path) -> Self {
        match engine {
            Engine::Sqlite => Self {
                url: format!("sqlite:{}", folder.join("coffer.db").display()),
            },
            Engine::Postgres => Self {
                url: create_on_server().await,
            },
        }
    }

    /// A connection of its own to a database on PostgreSQL, under a program's name.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn connect_as(&self, program: &str) -> PgConnection {
        let options: PgConnectOptions = self.url.parse().expect("a URL");
        let connected = options.application_name(program).connect().await;
        connected.expect("the server answers")
    }

    /// Runs statements as the database's owner could behind Coffer's back.
    ///
    /// # Panics
    /// When a statement fails.
    pub async fn tamper(&self, sql: &str) -> u64 {
        let sql = AssertSqlSafe(sql.to_owned());
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            let options = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(path)
                .busy_timeout(std::time::Duration::from_secs(10));
            let mut connection = sqlx::SqliteConnection::connect_with(&options)
                .await
                .expect("the file opens");
            return sqlx::raw_sql(sql)
                .execute(&mut connection)
                .await
                .expect("the tampering runs")
                .rows_affected();
        }
        let mut connection = PgConnection::connect(&self.url)
            .await
            .expect("the server answers");
        sqlx::raw_sql(sql)
            .execute(&mut connection)
            .await
            .expect("the tampering runs")
            .rows_affected()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment where the server is"
)]
async fn create_on_server() -> String {
    let server = std::env::var("COFFER_TEST_POSTGRES_URL")
        .expect("COFFER_TEST_POSTGRES_URL is not set; run the tests by `cargo xtask test`, which starts a PostgreSQL");
    let mut random = [0; 8];
    coffer_platform::Entropy::fill(&coffer_platform::OsEntropy, &mut random)
        .expect("the system gives randomness");
    let name = format!("coffer_test_{}", hex::encode(random));
    let mut connection = PgConnection::connect(&server)
        .await
        .expect("the PostgreSQL of the test run answers");
    let sql = AssertSqlSafe(format!(
        "CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0"
    ));
    sqlx::raw_sql(sql)
        .execute(&mut connection)
        .await
        .expect("a database can be made");
    beside(&server, &name)
}

/// The URL of the database `name` on the server of another one's URL. Only the last part of the path changes:
/// the user may well have the same name as the database.
#[must_use]
pub fn beside(server: &str, name: &str) -> String {
    let (base, query) = server.split_once('?').unwrap_or((server, ""));
    let host = base.rsplit_once('/').map_or(base, |(host, _)| host);
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    format!("{host}/{name}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_databases_name_changes() {
        let server = "postgres://postgres:pw@127.0.0.1:5/postgres?sslmode=disable";
        let expected = "postgres://postgres:pw@127.0.0.1:5/other?sslmode=disable";
        assert_eq!(beside(server, "other"), expected);
    }
}
