//! Makes a key file. The words are written before it, so no key exists that has no backup.

use std::path::{Path, PathBuf};

use coffer_domain::id::VaultId;
use coffer_keys::{
    KEY_FILE_LIMIT_BYTES, MasterSeed, Mnemonic, OsEntropy, Passphrase, SecretFileError,
    create_secret_file, open_key_file, read_secret_file, seal_key_file,
};
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::{InitArguments, confine, secrets};

pub(crate) fn run(arguments: InitArguments) -> Result<(), Failure> {
    confine::protect_memory()?;
    if arguments.key_file.symlink_metadata().is_ok() {
        return Err(SecretFileError::Exists(arguments.key_file).into());
    }
    let passphrase = secrets::new_passphrase(arguments.passphrase_file.as_deref())?;
    let (mnemonic, recovery_file) = match (&arguments.import_mnemonic, arguments.recovery_file) {
        (Some(file), _) => (secrets::mnemonic_of_file(file)?, None),
        (None, recovery_file) => (Mnemonic::create(&mut OsEntropy)?, recovery_file),
    };
    let seed = mnemonic.seed();
    let attestation_public_key = seed.attestation_key().public_key();
    let vault_id = VaultId::of_key(&attestation_public_key, 0).to_string();
    let sealed = seal_key_file(&seed, &passphrase, &mut OsEntropy)?;

    let recovery_file = recovery_file.map(|file| with_vault_id(&file, &vault_id));
    if let Some(file) = &recovery_file {
        let phrase = mnemonic.phrase();
        let mut line = Zeroizing::new(Vec::with_capacity(phrase.len() + 1));
        line.extend_from_slice(phrase.as_bytes());
        line.push(b'\n');
        create_secret_file(file, &line, &mut OsEntropy)?;
    }
    create_secret_file(&arguments.key_file, sealed.as_bytes(), &mut OsEntropy)?;
    check_reopens(&arguments.key_file, &passphrase, &seed)?;

    let report = serde_json::json!({
        "attestation_public_key": hex::encode(attestation_public_key),
        "vault_id": vault_id,
        "created": recovery_file.is_some(),
        "imported": recovery_file.is_none(),
        "key_file": arguments.key_file,
        "recovery_file": recovery_file,
    });
    if arguments.json {
        println!("{report}");
        return Ok(());
    }
    println!("Key file:        {}", arguments.key_file.display());
    println!("Vault:           {vault_id}");
    println!("Attestation key: {}", hex::encode(attestation_public_key));
    match recovery_file {
        Some(file) => println!(
            "Words:           {}\nThey are the only backup of all keys: copy them to paper, try them with `coffer vault drill`, then move this file off this machine.",
            file.display()
        ),
        None => println!("Imported: the words you gave are the only backup of all keys."),
    }
    Ok(())
}

/// The id is computed from the key, so the caller cannot name the file by it beforehand.
fn with_vault_id(file: &Path, vault_id: &str) -> PathBuf {
    match file.to_str() {
        Some(text) => text.replace("{vault_id}", vault_id).into(),
        None => file.to_owned(),
    }
}

/// What was written is read back from the disk and opened, before anybody relies on it.
fn check_reopens(file: &Path, passphrase: &Passphrase, seed: &MasterSeed) -> Result<(), Failure> {
    let text = read_secret_file(file, KEY_FILE_LIMIT_BYTES)?;
    let opened =
        open_key_file(&text, passphrase).map_err(|_| Failure::DoesNotReopen(file.to_owned()))?;
    let same = opened.attestation_key().public_key() == seed.attestation_key().public_key();
    same.then_some(())
        .ok_or_else(|| Failure::DoesNotReopen(file.to_owned()))
}
