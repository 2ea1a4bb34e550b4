//! A whole installation in a folder of its own, served within the test's process.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use coffer_domain::address::BitcoinNetwork;
use coffer_server::config::Config;
use coffer_server::{Announce, InitOptions, ServeOptions, init, serve_until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::Client;

pub(crate) struct Installation {
    pub(crate) folder: TempDir,
    pub(crate) client: Client,
    pub(crate) vault: String,
    stop: CancellationToken,
    server: JoinHandle<anyhow::Result<()>>,
}

/// `coffer-signer` as built beside this test; built now when it is not there.
pub(crate) fn signer_program() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let folder = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("target/<profile>/deps");
    let program = folder.join("coffer-signer");
    if !program.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "coffer-signer"])
            .status()
            .expect("cargo runs");
        assert!(
            built.success() && program.exists(),
            "coffer-signer was not built"
        );
    }
    program
}

pub(crate) struct Made {
    pub(crate) folder: TempDir,
    pub(crate) vault: String,
    pub(crate) key: String,
}

/// A data folder in `folder/data`, not yet served.
pub(crate) async fn made() -> Made {
    let folder = tempfile::tempdir().expect("a folder");
    let passphrase = folder.path().join("passphrase");
    std::fs::write(&passphrase, "correct horse battery staple").expect("written");
    std::fs::set_permissions(
        &passphrase,
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .expect("ours");
    let made = init(InitOptions {
        data_dir: folder.path().join("data"),
        import_mnemonic: None,
        passphrase_file: Some(passphrase),
        database_url: None,
        bitcoin_network: BitcoinNetwork::Regtest,
        signer_program: Some(signer_program()),
    });
    let made = made.await.expect("init");
    Made {
        vault: made.vault_id.to_string(),
        key: made.api_key.as_str().to_owned(),
        folder,
    }
}

pub(crate) fn config(made: &Made) -> Config {
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().expect("an address");
    config.server.events_interval_ms = 20;
    config.server.shutdown_deadline_ms = 5000;
    config.signer.program = Some(signer_program());
    config.signer.passphrase_file = Some(made.folder.path().join("passphrase"));
    config
}

impl Installation {
    pub(crate) async fn new() -> Self {
        let made = made().await;
        let config = config(&made);
        Self::start(made, config).await
    }

    pub(crate) async fn start(made: Made, config: Config) -> Self {
        let stop = CancellationToken::new();
        let (told, tell) = oneshot::channel();
        let options = ServeOptions {
            config,
            data_dir: made.folder.path().join("data"),
            announce: Announce::To(told),
        };
        let mut server = tokio::spawn(serve_until(options, stop.clone()));
        let address = tokio::select! {
            address = tell => address,
            ended = &mut server => panic!("the server did not start: {ended:?}"),
        };
        Self {
            folder: made.folder,
            client: Client {
                address: address.expect("listens"),
                key: Some(made.key),
            },
            vault: made.vault,
            stop,
            server,
        }
    }

    /// Stops the server, which has to end well.
    pub(crate) async fn stop(self) -> Made {
        self.stop.cancel();
        self.server.await.expect("no panic").expect("a clean end");
        Made {
            folder: self.folder,
            vault: self.vault,
            key: self.client.key.expect("the admin's"),
        }
    }

    /// A new key with these scopes.
    pub(crate) async fn key(&self, scopes: &[&str]) -> String {
        let body = json!({ "name": "test", "scopes": scopes });
        let answer = self.client.json("POST", "/v1/keys", &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["api_key"].as_str().expect("a key").to_owned()
    }

    /// The batch when it has come to its end.
    pub(crate) async fn finished(&self, id: &str) -> Value {
        let wait = async {
            loop {
                let batch = self.client.get(&format!("/v1/batches/{id}")).await.json();
                if batch["finished_at"].is_string() {
                    return batch;
                }
                // Paced: the pause of a loop under a deadline.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .expect("the batch ends")
    }
}
