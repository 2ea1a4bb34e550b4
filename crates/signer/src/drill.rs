//! Answers a restore drill from the words alone: no key file, no channel, nothing remembered.

use std::io::Read;
use std::path::Path;

use coffer_domain::address::AddressPayload;
use coffer_domain::id::VaultId;
use coffer_keys::{DerivationError, MasterSeed};
use coffer_signing::{
    DRILL_JSON_LIMIT_BYTES, DrillChallenge, DrillFormatError, DrillProof, descriptors_digest,
};

use crate::error::Failure;
use crate::{confine, secrets, serve};

pub(crate) fn run(mnemonic_file: Option<&Path>) -> Result<(), Failure> {
    confine::protect_memory()?;
    let challenge = DrillChallenge::from_json(&read_challenge()?)?;
    let mnemonic = match mnemonic_file {
        Some(file) => secrets::mnemonic_of_file(file)?,
        None => secrets::typed_mnemonic()?,
    };
    let proof = prove(&mnemonic.seed(), &challenge)?;
    println!("{}", proof.to_json());
    Ok(())
}

fn read_challenge() -> Result<String, Failure> {
    let mut json = String::new();
    std::io::stdin()
        .lock()
        .take(DRILL_JSON_LIMIT_BYTES as u64 + 1)
        .read_to_string(&mut json)?;
    if json.len() > DRILL_JSON_LIMIT_BYTES {
        return Err(DrillFormatError::TooLong(json.len()).into());
    }
    Ok(json)
}

fn prove(seed: &MasterSeed, challenge: &DrillChallenge) -> Result<DrillProof, Failure> {
    let attestation = seed.attestation_key();
    let spec = challenge.spec;
    let found = VaultId::of_key(&attestation.public_key(), spec.account);
    if found != challenge.vault_id {
        return Err(Failure::OtherVault {
            asked: challenge.vault_id.to_string(),
            found: found.to_string(),
            account: spec.account,
        });
    }
    let signed = serve::descriptors(seed, &attestation, spec)?;
    let digest = descriptors_digest(signed.iter().map(|signed| &signed.descriptor));
    let payloads = challenge
        .samples
        .iter()
        .map(|sample| {
            seed.address_payload(
                sample.kind,
                spec.bitcoin_network,
                spec.account,
                sample.index,
            )
        })
        .collect::<Result<Vec<AddressPayload>, DerivationError>>()?;
    let message = DrillProof::message(challenge, &digest, &payloads);
    Ok(DrillProof {
        attestation_public_key: attestation.public_key(),
        descriptors_digest: digest,
        payloads,
        signature: attestation.sign(&message),
    })
}
