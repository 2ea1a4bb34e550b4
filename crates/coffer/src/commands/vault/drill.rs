use std::path::Path;
use std::process::Stdio;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use crate::args::DrillArgs;
use crate::client::Resource;
use crate::commands::Session;
use crate::error::{Failure, Kind};
use crate::local;
use crate::output::{fields, member};

const WRONG_BACKUP: &str =
    "find the mnemonic of this vault, and destroy no other backup until it is found";
/// An exit code that `coffer-signer --help` documents.
const SIGNER_WRONG_BACKUP: i32 = 5;
/// 10,000 samples take less than a tenth of it.
const PROOF_LIMIT_BYTES: u64 = 16 << 20;

pub(crate) async fn run(session: &Session, args: &DrillArgs) -> Result<(), Failure> {
    // Found first: a challenge that nobody can answer is not asked for.
    let program = local::signer_program(args.signer_program.as_deref());
    let body = args
        .samples
        .map_or_else(|| json!({}), |samples| json!({"samples": samples}));
    let ask = session
        .client
        .request(Method::POST, Resource::at(&["vaults", &args.id, "drills"]));
    let challenge = session.client.call_bytes(ask.json(&body)).await?;
    let drill_id = drill_id(&challenge)?;
    let proof = prove(&program, args.mnemonic_file.as_deref(), &challenge).await?;
    let path = ["vaults", &args.id, "drills", &drill_id, "proof"];
    let answer = session.client.request(Method::POST, Resource::at(&path));
    let answer = answer.header(CONTENT_TYPE, "application/json").body(proof);
    let result = session.client.call(answer).await.map_err(wrong_backup)?;
    session.out.answer(&result, || {
        let text = fields(&[
            ("drill", member(&result, "drill_id")),
            ("samples", member(&result, "samples")),
        ]);
        format!("The backup gives this vault's keys and addresses again.\n{text}")
    })?;
    Ok(())
}

/// The id goes into a path, so only the form of an id is taken from the answer.
fn drill_id(challenge: &[u8]) -> Result<String, Failure> {
    let challenge: Value = serde_json::from_slice(challenge).unwrap_or_default();
    let id = challenge["drill_id"].as_str().unwrap_or_default();
    let sound = id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') && !id.is_empty();
    sound.then(|| id.to_owned()).ok_or_else(|| {
        Failure::unexpected(
            "the server's challenge has no drill_id",
            "is --server the address of a Coffer server of this version?",
        )
    })
}

async fn prove(
    program: &Path,
    mnemonic_file: Option<&Path>,
    challenge: &[u8],
) -> Result<Vec<u8>, Failure> {
    let mut command = Command::new(program);
    command.arg("drill").env_remove("COFFER_API_KEY");
    if let Some(file) = mnemonic_file {
        command.arg("--mnemonic-file").arg(file);
    }
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            Failure::unexpected(
                format!("cannot start {}: {error}", program.display()),
                "name the coffer-signer program with --signer-program",
            )
        })?;
    converse(child, challenge).await
}

/// Writes and reads at once, so that neither side waits for the other's full pipe.
async fn converse(mut child: Child, challenge: &[u8]) -> Result<Vec<u8>, Failure> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Failure::unexpected("coffer-signer has no pipes", ""));
    };
    let mut proof = Vec::new();
    let write = async {
        // A signer that ends early says why by itself; its status is looked at below.
        stdin.write_all(challenge).await.ok();
        drop(stdin);
    };
    let mut limited = stdout.take(PROOF_LIMIT_BYTES);
    let (read, ()) = tokio::join!(limited.read_to_end(&mut proof), write);
    read?;
    let status = child.wait().await?;
    if status.success() && !proof.is_empty() {
        return Ok(proof);
    }
    if status.code() == Some(SIGNER_WRONG_BACKUP) {
        return Err(
            Failure::usage("this backup is not that of the vault", WRONG_BACKUP)
                .with_code("wrong_backup"),
        );
    }
    Err(Failure::unexpected(
        format!("coffer-signer drill gave no proof ({status}); what it said stands above"),
        "check the mnemonic and its file, and run the drill again: a drill that fails changes nothing",
    ))
}

fn wrong_backup(failure: Failure) -> Failure {
    match failure.kind() {
        Kind::Refused if matches!(failure.status(), Some(409 | 422)) => {
            failure.advise(WRONG_BACKUP)
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_id_cannot_be_another_path() {
        let of = |text: &str| drill_id(text.as_bytes());
        assert_eq!(of("{\"drill_id\":\"drl_0a\"}").expect("an id"), "drl_0a");
        for bad in [
            "",
            "{}",
            "{\"drill_id\":\"\"}",
            "{\"drill_id\":\"../x\"}",
            "{\"drill_id\":1}",
        ] {
            assert_eq!(of(bad).expect_err("no id").exit_code(), 1, "{bad}");
        }
    }

    #[test]
    fn the_signer_gets_the_challenge_and_gives_the_proof() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        let challenge = vec![b'c'; 300_000];
        let echo = |program: &str| {
            let mut command = Command::new(program);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            runtime.block_on(async { converse(command.spawn().expect("starts"), &challenge).await })
        };
        assert_eq!(echo("cat").expect("a proof"), challenge);
        assert_eq!(echo("false").expect_err("no proof").exit_code(), 1);
        assert_eq!(echo("true").expect_err("no proof").exit_code(), 1);
    }
}
