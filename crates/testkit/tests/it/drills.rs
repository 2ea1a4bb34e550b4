//! Restore drills: a vault issues nothing before its backup was shown to give it again.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use coffer_domain::address::BitcoinNetwork;
use coffer_domain::id::VaultId;
use coffer_domain::vault::{Tier, VaultState};
use coffer_platform::batches::parse::Format;
use coffer_platform::{Error, NewVault};
use coffer_signing::{DrillChallenge, DrillProof};
use coffer_testkit::programs::program;
use coffer_testkit::{Engine, Installation, MNEMONIC};

use crate::scene::{Workers, assign, body, csv, on_both_engines, run, until, upload};

on_both_engines!(
    an_undrilled_vault_issues_nothing,
    the_right_backup_opens_a_vault,
    other_words_do_not,
    a_proof_serves_once_and_in_time,
    an_edited_proof_is_refused,
    a_drill_covers_what_was_issued,
);

async fn second_vault(installation: &Installation) -> VaultId {
    let new = NewVault {
        name: "second".to_owned(),
        tier: Tier::Warm,
        account: 1,
        bitcoin_network: BitcoinNetwork::Testnet,
    };
    let vault = installation
        .platform
        .create_vault(&installation.admin, new)
        .await
        .expect("made");
    assert_eq!(vault.state, VaultState::AwaitingDrill);
    vault.id
}

async fn start(installation: &Installation, vault: VaultId) -> DrillChallenge {
    installation
        .platform
        .start_drill(&installation.admin, vault, None)
        .await
        .expect("started")
}

/// The error of handing a proof in; the vault must not be open after it.
async fn refused(
    installation: &Installation,
    vault: VaultId,
    challenge: &DrillChallenge,
    proof: &DrillProof,
) -> Error {
    let result = installation
        .platform
        .finish_drill(&installation.admin, vault, challenge.drill_id, proof)
        .await;
    let state = installation
        .platform
        .vault(&installation.admin, vault)
        .await
        .expect("reads")
        .state;
    assert_eq!(state, VaultState::AwaitingDrill);
    result.expect_err("is refused")
}

async fn an_undrilled_vault_issues_nothing(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let vault = second_vault(&installation).await;
    let batch = platform
        .create_batch(admin, upload(vault, Format::Csv), body(&csv(["a"])), None)
        .await;
    assert!(
        matches!(batch, Err(Error::VaultAwaitingDrill(id)) if id == vault),
        "{batch:?}"
    );
    let wallet = assign(platform, admin, vault, "a").await;
    assert!(
        matches!(wallet, Err(Error::VaultAwaitingDrill(id)) if id == vault),
        "{wallet:?}"
    );
    for vault in [vault, installation.vault] {
        platform.set_pool(admin, vault, 5, 5).await.expect("set");
    }
    let workers = Workers::start(platform, 1);
    until("the open vault's pool is full", || async {
        (platform
            .pool(admin, installation.vault)
            .await
            .expect("reads")
            .level
            == 5)
            .then_some(())
    })
    .await;
    workers.stop().await;
    assert_eq!(platform.pool(admin, vault).await.expect("reads").level, 0);
    assert_eq!(
        platform
            .vault(admin, vault)
            .await
            .expect("reads")
            .next_index,
        0
    );
}

async fn the_right_backup_opens_a_vault(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let vault = second_vault(&installation).await;
    let challenge = start(&installation, vault).await;
    let proof = installation.answer_drill(&challenge);
    let passed = platform
        .finish_drill(admin, vault, challenge.drill_id, &proof)
        .await
        .expect("passes");
    assert_eq!((passed.drill, passed.samples), (challenge.drill_id, 5));
    let opened = platform.vault(admin, vault).await.expect("reads");
    assert_eq!(opened.state, VaultState::Open);
    assert!(opened.drilled_at_ms.is_some());
    assert_eq!(
        run(platform, admin, upload(vault, Format::Csv), &csv(["a"]))
            .await
            .rows_created,
        1
    );
    let again = platform
        .finish_drill(admin, vault, challenge.drill_id, &proof)
        .await;
    assert!(
        matches!(again, Err(Error::StateConflict(_))),
        "a proof serves once: {again:?}"
    );
}

async fn other_words_do_not(engine: Engine) {
    let installation = Installation::create(engine).await;
    let vault = second_vault(&installation).await;
    let challenge = start(&installation, vault).await;
    let words = installation.folder.path().join("words");
    std::fs::write(
        &words,
        "legal winner thank year wave sausage worth useful legal winner thank yellow",
    )
    .expect("writes");
    let own = vault_of(&words, &challenge);
    assert_ne!(own, vault);
    // The program would not answer for another vault; somebody else's would.
    let wrong = installation.answer_drill(&DrillChallenge {
        vault_id: own,
        ..challenge.clone()
    });
    assert!(matches!(
        refused(&installation, vault, &challenge, &wrong).await,
        Error::StateConflict(_)
    ));
    std::fs::write(&words, MNEMONIC).expect("writes");
    let right = installation.answer_drill(&challenge);
    installation
        .platform
        .finish_drill(&installation.admin, vault, challenge.drill_id, &right)
        .await
        .expect("the drill is still open");
}

/// The vault that these words have, as the program says when it is asked about another.
fn vault_of(words: &Path, challenge: &DrillChallenge) -> VaultId {
    let mut child = Command::new(program("coffer-signer"))
        .args([
            "drill".as_ref(),
            "--mnemonic-file".as_ref(),
            words.as_os_str(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("coffer-signer starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin
        .write_all(challenge.to_json().as_bytes())
        .expect("the challenge is taken");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(
        !output.status.success() && output.stdout.is_empty(),
        "it answers for its own vault only"
    );
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut ids = message
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter_map(|word| word.parse().ok());
    ids.find(|id| *id != challenge.vault_id)
        .expect("the message names the vault of the words")
}

async fn a_proof_serves_once_and_in_time(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let vault = second_vault(&installation).await;
    let (earlier, later) = (
        start(&installation, vault).await,
        start(&installation, vault).await,
    );
    let proof = installation.answer_drill(&earlier);
    let swapped = refused(&installation, vault, &later, &proof).await;
    assert!(
        matches!(swapped, Error::StateConflict(_)),
        "a proof answers its own challenge: {swapped}"
    );
    let other = platform
        .finish_drill(admin, installation.vault, earlier.drill_id, &proof)
        .await;
    assert!(
        matches!(other, Err(Error::NotFound { .. })),
        "a drill belongs to its vault: {other:?}"
    );
    installation.clock.advance_ms(60 * 60 * 1000 + 1000);
    let expired = refused(&installation, vault, &earlier, &proof).await;
    assert!(matches!(expired, Error::StateConflict(_)), "{expired}");
}

async fn an_edited_proof_is_refused(engine: Engine) {
    let installation = Installation::create(engine).await;
    let vault = second_vault(&installation).await;
    let challenge = start(&installation, vault).await;
    let proof = installation.answer_drill(&challenge);
    let of_main = installation
        .platform
        .start_drill(&installation.admin, installation.vault, None)
        .await
        .expect("started");
    let foreign = installation.answer_drill(&of_main);
    let edits: [fn(&mut DrillProof, &DrillProof); 5] = [
        |proof, foreign| proof.payloads[0] = foreign.payloads[0],
        |proof, _| proof.payloads.truncate(4),
        |proof, foreign| proof.descriptors_digest = foreign.descriptors_digest,
        |proof, _| proof.signature[10] ^= 1,
        |proof, _| proof.attestation_public_key[0] ^= 1,
    ];
    for (number, edit) in edits.into_iter().enumerate() {
        let mut edited = proof.clone();
        edit(&mut edited, &foreign);
        assert_ne!(edited, proof);
        let error = refused(&installation, vault, &challenge, &edited).await;
        assert!(
            matches!(error, Error::StateConflict(_)),
            "edit {number}: {error}"
        );
    }
    installation
        .platform
        .finish_drill(&installation.admin, vault, challenge.drill_id, &proof)
        .await
        .expect("the honest one passes");
}

async fn a_drill_covers_what_was_issued(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let names: Vec<String> = (0..100).map(|n| format!("u{n}")).collect();
    run(
        platform,
        admin,
        upload(installation.vault, Format::Csv),
        &csv(names),
    )
    .await;
    let issued = platform
        .vault(admin, installation.vault)
        .await
        .expect("reads")
        .next_index;
    let challenge = platform
        .start_drill(admin, installation.vault, Some(10))
        .await
        .expect("started");
    let mut indexes: Vec<u32> = challenge
        .samples
        .iter()
        .map(|sample| sample.index)
        .collect();
    indexes.dedup();
    assert_eq!((challenge.samples.len(), indexes.len()), (50, 10));
    assert!(
        indexes.iter().all(|index| *index < issued) && indexes[9] >= issued / 2,
        "spread over {issued}: {indexes:?}"
    );
    let proof = installation.answer_drill(&challenge);
    platform
        .finish_drill(admin, installation.vault, challenge.drill_id, &proof)
        .await
        .expect("passes");
    for samples in [0, 501] {
        let refused = platform
            .start_drill(admin, installation.vault, Some(samples))
            .await;
        assert!(
            matches!(refused, Err(Error::Validation { .. })),
            "{samples}"
        );
    }
}
