//! `coffer init`: a data folder, a key file made by the signer, a first vault that has passed its first restore
//! drill, and an admin API key.
//!
//! The drill's words go from a file into `coffer-signer drill`; this process sees the challenge and the proof.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use coffer_domain::address::BitcoinNetwork;
use coffer_domain::id::{OrganizationId, VaultId};
use coffer_domain::vault::Tier;
use coffer_platform::bootstrap::{self, Choice, Made};
use coffer_platform::{Entropy, NewVault, OsEntropy, SystemClock};
use coffer_signing::DrillProof;
use coffer_store::Db;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use zeroize::Zeroizing;

use super::files::{DataDir, write_private};
use super::serve::{beside_this_program, start_signer};
use super::signer_process::{SignerLaunch, SignerProcess};

#[derive(Debug, Clone)]
pub struct InitOptions {
    pub data_dir: PathBuf,
    pub import_mnemonic: Option<PathBuf>,
    pub passphrase_file: Option<PathBuf>,
    pub database_url: Option<String>,
    pub bitcoin_network: BitcoinNetwork,
    pub signer_program: Option<PathBuf>,
}

/// What was made. `api_key` is shown once and kept nowhere.
pub struct Initialized {
    pub organization_id: OrganizationId,
    pub vault_id: VaultId,
    pub api_key: Zeroizing<String>,
    pub key_file: PathBuf,
    /// Where the new words are; `None` when words were imported. To be moved away from this machine.
    pub recovery_file: Option<PathBuf>,
    /// A random passphrase that was written because none was given and there is no terminal.
    pub passphrase_file_written: Option<PathBuf>,
}

/// What `coffer-signer init --json` prints, as far as it matters here.
#[derive(Deserialize)]
struct Report {
    recovery_file: Option<PathBuf>,
}

pub async fn init(options: InitOptions) -> anyhow::Result<Initialized> {
    let data = DataDir::new(options.data_dir.clone());
    let place = data.path().display();
    ensure!(
        !data.bootstrap().exists(),
        "{place} is a data folder already; serve it, or choose another with --data-dir"
    );
    ensure!(
        !data.key_file().exists(),
        "{place} has a key file from an init that did not finish; move it away, or choose another --data-dir"
    );
    data.create()?;
    let (passphrase_file, passphrase_file_written) =
        passphrase(&data, options.passphrase_file.clone())?;
    let launch = SignerLaunch {
        program: options
            .signer_program
            .clone()
            .unwrap_or_else(beside_this_program),
        key_file: data.key_file(),
        passphrase_file,
    };
    let report = make_key_file(&launch, &data, options.import_mnemonic.as_deref()).await?;
    let words = report
        .recovery_file
        .clone()
        .or_else(|| options.import_mnemonic.clone());
    let words = words.context("the signer did not say where the words are")?;
    let program = launch.program.clone();
    let signer = Arc::new(start_signer(launch).await?);
    let made = make(&signer, &program, &words, options.bitcoin_network).await;
    let applied = match &made {
        Ok(made) => apply(&signer, &data, &options, made).await,
        Err(_) => Ok(()),
    };
    signer.stop().await;
    let made = made?;
    applied?;
    Ok(Initialized {
        organization_id: made.organization,
        vault_id: made.vault.id,
        api_key: made.token,
        key_file: data.key_file(),
        recovery_file: report.recovery_file,
        passphrase_file_written,
    })
}

/// The file to use, and that file again when it was written here.
fn passphrase(
    data: &DataDir,
    given: Option<PathBuf>,
) -> anyhow::Result<(Option<PathBuf>, Option<PathBuf>)> {
    // With a terminal, the signer asks on it.
    if given.is_some() || std::io::stdin().is_terminal() {
        return Ok((given, None));
    }
    let mut secret = Zeroizing::new([0; 32]);
    OsEntropy.fill(secret.as_mut())?;
    let text = Zeroizing::new(hex::encode(secret.as_slice()));
    write_private(&data.passphrase(), text.as_bytes())?;
    tracing::warn!(file = %data.passphrase().display(), "a random passphrase lies beside the key file; move it to a safer place");
    Ok((Some(data.passphrase()), Some(data.passphrase())))
}

async fn make_key_file(
    launch: &SignerLaunch,
    data: &DataDir,
    import: Option<&Path>,
) -> anyhow::Result<Report> {
    let mut command = Command::new(&launch.program);
    command
        .arg("init")
        .arg("--json")
        .arg("--key-file")
        .arg(&launch.key_file);
    match import {
        Some(file) => command.arg("--import-mnemonic").arg(file),
        None => command.arg("--recovery-file").arg(data.recovery_file()),
    };
    if let Some(file) = &launch.passphrase_file {
        command.arg("--passphrase-file").arg(file);
    }
    let output = command.stderr(Stdio::inherit()).output().await;
    let output = answered(output, &launch.program, "make the key file")?;
    serde_json::from_slice(&output.stdout).context("the signer's report cannot be read")
}

/// Describes the vault and lets it pass its first drill.
async fn make(
    signer: &Arc<SignerProcess>,
    program: &Path,
    words: &Path,
    bitcoin_network: BitcoinNetwork,
) -> anyhow::Result<Made> {
    let choice = Choice {
        organization_name: "default".to_owned(),
        vault: NewVault {
            name: "main".to_owned(),
            tier: Tier::Hot,
            account: 0,
            bitcoin_network,
        },
    };
    let asked = Arc::clone(signer);
    let drafting = move || bootstrap::draft(asked.as_ref(), &SystemClock, &OsEntropy, &choice);
    let draft = tokio::task::spawn_blocking(drafting).await??;
    let proof = drill(program, words, &draft.challenge().to_json()).await?;
    let asked = Arc::clone(signer);
    let finishing = move || draft.finish(asked.as_ref(), &OsEntropy, &proof);
    Ok(tokio::task::spawn_blocking(finishing).await??)
}

async fn drill(program: &Path, words: &Path, challenge: &str) -> anyhow::Result<DrillProof> {
    let mut child = Command::new(program)
        .arg("drill")
        .arg("--mnemonic-file")
        .arg(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start the restore drill")?;
    let mut stdin = child
        .stdin
        .take()
        .context("the drill has no standard input")?;
    stdin.write_all(challenge.as_bytes()).await?;
    drop(stdin);
    let output = answered(
        child.wait_with_output().await,
        program,
        "pass the restore drill",
    )?;
    let text = String::from_utf8(output.stdout).context("the drill's proof is not text")?;
    DrillProof::from_json(text.trim()).context("the drill's proof cannot be read")
}

fn answered(output: std::io::Result<Output>, program: &Path, what: &str) -> anyhow::Result<Output> {
    let program = program.display();
    let output =
        output.with_context(|| format!("cannot run {program}; name it with --signer-program"))?;
    if !output.status.success() {
        bail!(
            "{program} did not {what} ({}); its own message stands above",
            output.status
        );
    }
    Ok(output)
}

/// Gives the database what was made. The file comes last: with it the folder counts as made.
async fn apply(
    signer: &Arc<SignerProcess>,
    data: &DataDir,
    options: &InitOptions,
    made: &Made,
) -> anyhow::Result<()> {
    let url = options
        .database_url
        .clone()
        .unwrap_or_else(|| data.database_url());
    let db = Db::open(&url).await.context("cannot open the database")?;
    let signer: Arc<SignerProcess> = Arc::clone(signer);
    if !bootstrap::apply(&db, signer, &made.json).await? {
        bail!(
            "this database belongs to another installation already; name an empty one with --database-url"
        );
    }
    write_private(&data.bootstrap(), made.json.as_bytes())
}
