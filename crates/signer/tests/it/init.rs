use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use coffer_keys::Mnemonic;
use serde_json::Value;

use crate::rig::{OTHER_WORDS, Rig, WORDS, assert_exit};

fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

#[test]
fn new_words_go_to_the_recovery_file_and_restore_the_same_vault() {
    let rig = Rig::new();
    let mut command = rig.init();
    command
        .arg("--recovery-file")
        .arg(rig.path("{vault_id}.mnemonic"));
    let output = command.output().expect("the signer runs");
    let created = report(&output);
    assert_eq!(
        (&created["created"], &created["imported"]),
        (&true.into(), &false.into())
    );

    let recovery = rig.path(&format!(
        "{}.mnemonic",
        created["vault_id"].as_str().expect("text")
    ));
    assert_eq!(created["recovery_file"], recovery.to_str().expect("text"));
    for file in [&recovery, &rig.path("vault.key")] {
        let mode = fs::metadata(file)
            .expect("it was written")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let words = fs::read_to_string(&recovery).expect("readable");
    assert_eq!(words.split_whitespace().count(), 24);
    assert!(words.ends_with('\n') && words.lines().count() == 1);
    for said in [&output.stdout, &output.stderr] {
        let said = String::from_utf8_lossy(said);
        let three: Vec<_> = words.split_whitespace().take(3).collect();
        assert!(!said.contains(&three.join(" ")), "{said}");
    }

    let restored = report(&Rig::new().import(&words));
    for field in ["attestation_public_key", "vault_id"] {
        assert_eq!(created[field], restored[field]);
    }
    assert_eq!(restored["recovery_file"], Value::Null);
    assert_eq!(restored["imported"], true);
}

#[test]
fn an_import_gives_the_key_of_these_words() {
    let key = Mnemonic::parse(WORDS)
        .expect("valid")
        .seed()
        .attestation_key()
        .public_key();
    let report = report(&Rig::new().import(&WORDS.to_uppercase()));
    assert_eq!(report["attestation_public_key"], hex::encode(key));
}

#[test]
fn nothing_is_overwritten() {
    let rig = Rig::imported(WORDS);
    let before = fs::read(rig.path("vault.key")).expect("readable");
    assert_exit(&rig.import(OTHER_WORDS), 3, "never overwritten");
    assert_eq!(fs::read(rig.path("vault.key")).expect("readable"), before);

    let rig = Rig::new();
    rig.write("recovery", "another vault's words");
    let mut command = rig.init();
    command.arg("--recovery-file").arg(rig.path("recovery"));
    assert_exit(
        &command.output().expect("the signer runs"),
        3,
        "never overwritten",
    );
    // No key without a backup, and no trace of the attempt.
    let mut names: Vec<_> = fs::read_dir(rig.folder())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["passphrase", "recovery"]);
}

#[test]
fn bad_words_and_passphrases_are_refused() {
    let check = |words: &str, message| assert_exit(&Rig::new().import(words), 3, message);
    check("", "empty");
    check("legal winner", "2 words");
    check(&WORDS.replace("yellow", "yelow"), "word 12");
    check(&WORDS.replace("yellow", "year"), "checksum");

    let rig = Rig::new();
    rig.write("passphrase", "1234567");
    assert_exit(&rig.import(WORDS), 3, "at least 8");
    assert!(!rig.path("vault.key").exists());
}
