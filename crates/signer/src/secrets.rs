//! Secrets that people hand in: passphrases and words, from files or from the terminal.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use coffer_keys::{Mnemonic, MnemonicError, Passphrase, PassphraseError, read_secret_file};
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::log;

/// Longer than any passphrase or mnemonic.
const FILE_LIMIT_BYTES: u16 = 4096;

pub(crate) fn existing_passphrase(file: Option<&Path>) -> Result<Passphrase, Failure> {
    let passphrase = match file {
        Some(file) => Passphrase::existing(Passphrase::text_of_file(&read(file)?)?)?,
        None => Passphrase::existing(&ask("Passphrase of the key file: ", "--passphrase-file")?)?,
    };
    Ok(passphrase)
}

pub(crate) fn new_passphrase(file: Option<&Path>) -> Result<Passphrase, Failure> {
    if let Some(file) = file {
        return Ok(Passphrase::try_new(Passphrase::text_of_file(&read(
            file,
        )?)?)?);
    }
    let first = ask("New passphrase for the key file: ", "--passphrase-file")?;
    let passphrase = Passphrase::try_new(&first)?;
    if *ask("The same again: ", "--passphrase-file")? != *first {
        return Err(Failure::PassphrasesDiffer);
    }
    Ok(passphrase)
}

pub(crate) fn mnemonic_of_file(file: &Path) -> Result<Mnemonic, Failure> {
    let content = read(file)?;
    let text = std::str::from_utf8(&content).map_err(|_| MnemonicError::WordCount(0))?;
    Ok(Mnemonic::parse(text)?)
}

pub(crate) fn typed_mnemonic() -> Result<Mnemonic, Failure> {
    let words = ask(
        "The words of the backup, on one line (not shown): ",
        "--mnemonic-file",
    )?;
    Ok(Mnemonic::parse(&words)?)
}

/// Asks on the controlling terminal, without echo.
fn ask(prompt: &str, option: &'static str) -> Result<Zeroizing<String>, Failure> {
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(|source| Failure::NoTerminal { option, source })
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let content = read_secret_file(file, FILE_LIMIT_BYTES)?;
    let open_to_others = file
        .metadata()
        .is_ok_and(|metadata| metadata.mode() & 0o077 != 0);
    if open_to_others {
        log::warn(
            "other users can read this file: run chmod 600 on it",
            &[("file", file.display().to_string().into())],
        );
    }
    if content.is_empty() {
        return Err(PassphraseError::Empty.into());
    }
    Ok(content)
}
