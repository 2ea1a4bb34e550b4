//! Data folders: one made, many copied.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

use crate::{Engine, MNEMONIC};

/// The programs under test.
#[derive(Debug, Clone)]
pub struct Programs {
    pub coffer: PathBuf,
    pub signer: PathBuf,
}

impl Programs {
    /// # Errors
    /// When one is not built.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let program = |name: &str| {
            let path = folder.join(name);
            ensure!(
                path.is_file(),
                "{} is not built; build it, or name its folder with --bin-dir",
                path.display()
            );
            Ok(path)
        };
        Ok(Self {
            coffer: program("coffer")?,
            signer: program("coffer-signer")?,
        })
    }
}

/// An installation of its own for one run; gone when dropped, but for a database on a server.
pub struct Site {
    folder: TempDir,
    pub database_url: String,
    pub token: String,
    pub vault: String,
}

impl Site {
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    #[must_use]
    pub fn passphrase(&self) -> PathBuf {
        self.folder().join("passphrase")
    }

    #[must_use]
    pub fn words(&self) -> PathBuf {
        self.folder().join("words")
    }

    /// A second host on the same database: same key file, an instance of its own.
    ///
    /// # Errors
    /// When the copy fails.
    pub fn second_host(&self) -> Result<Self> {
        let folder = copy_of(self.folder())?;
        let _ = std::fs::remove_file(folder.path().join("data/instance"));
        Ok(Self {
            folder,
            database_url: self.database_url.clone(),
            token: self.token.clone(),
            vault: self.vault.clone(),
        })
    }
}

/// What `coffer init` made, at rest.
pub struct Template {
    site: Site,
    engine: Engine,
    /// The PostgreSQL server to make databases on.
    server_url: Option<String>,
}

impl Template {
    /// Makes one from the test mnemonic.
    ///
    /// # Errors
    /// When a program fails.
    pub async fn make(
        programs: &Programs,
        engine: Engine,
        server_url: Option<&str>,
    ) -> Result<Self> {
        let folder = TempDir::new()?;
        write_private(&folder.path().join("words"), MNEMONIC)?;
        write_private(&folder.path().join("passphrase"), "a passphrase for tests")?;
        let made = init(programs, folder.path())?;
        let text = |name: &str| {
            made[name]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("init says no {name}"))
        };
        let (token, vault) = (text("api_key")?, text("vault_id")?);
        let database_url = match engine {
            Engine::Sqlite => sqlite_url(folder.path()),
            Engine::Postgres => {
                create_database(server_url.context("no PostgreSQL server was named")?, None).await?
            }
        };
        let site = Site {
            folder,
            database_url,
            token,
            vault,
        };
        Ok(Self {
            site,
            engine,
            server_url: server_url.map(str::to_owned),
        })
    }

    /// # Errors
    /// When the copy fails.
    pub async fn copy(&self) -> Result<Site> {
        let folder = copy_of(self.site.folder())?;
        let database_url = match self.engine {
            Engine::Sqlite => sqlite_url(folder.path()),
            Engine::Postgres => {
                let server = self
                    .server_url
                    .as_deref()
                    .context("no PostgreSQL server was named")?;
                create_database(server, Some(name_of(&self.site.database_url))).await?
            }
        };
        Ok(Site {
            folder,
            database_url,
            token: self.site.token.clone(),
            vault: self.site.vault.clone(),
        })
    }

    /// Removes a run's database; a SQLite file goes with its folder.
    pub async fn discard(&self, site: Site) {
        if let (Engine::Postgres, Some(server)) = (self.engine, &self.server_url) {
            let sql = format!(
                "DROP DATABASE IF EXISTS {} WITH (FORCE)",
                name_of(&site.database_url)
            );
            if let Ok(mut connection) = PgConnection::connect(server).await {
                let _ = sqlx::raw_sql(AssertSqlSafe(sql))
                    .execute(&mut connection)
                    .await;
            }
        }
    }
}

fn init(programs: &Programs, folder: &Path) -> Result<serde_json::Value> {
    let made = Command::new(&programs.coffer)
        .args(["init", "--json", "--data-dir"])
        .arg(folder.join("data"))
        .arg("--import-mnemonic")
        .arg(folder.join("words"))
        .arg("--passphrase-file")
        .arg(folder.join("passphrase"))
        .env_remove("COFFER_DATABASE_URL")
        .stdin(Stdio::null())
        .output()
        .context("coffer does not start")?;
    if !made.status.success() {
        bail!(
            "coffer init failed: {}",
            String::from_utf8_lossy(&made.stderr)
        );
    }
    serde_json::from_slice(&made.stdout).context("what init printed is no JSON")
}

fn sqlite_url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("data/coffer.db").display())
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

fn copy_of(folder: &Path) -> Result<TempDir> {
    let copy = TempDir::new()?;
    let copied = Command::new("cp")
        .arg("-a")
        .arg(folder.join("."))
        .arg(copy.path())
        .status()?;
    ensure!(copied.success(), "cannot copy {}", folder.display());
    Ok(copy)
}

fn name_of(url: &str) -> &str {
    let base = url.split_once('?').map_or(url, |(base, _)| base);
    base.rsplit_once('/').map_or(base, |(_, name)| name)
}

/// A new database beside the one that `server` names.
async fn create_database(server: &str, template: Option<&str>) -> Result<String> {
    let mut random = [0; 8];
    coffer_platform::Entropy::fill(&coffer_platform::OsEntropy, &mut random)?;
    let name = format!("coffer_crash_{}", hex::encode(random));
    let mut connection = PgConnection::connect(server)
        .await
        .context("the PostgreSQL server does not answer")?;
    let sql = format!(
        "CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE {}",
        template.unwrap_or("template0")
    );
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .context("a database cannot be made")?;
    Ok(crate::database::beside(server, &name))
}
