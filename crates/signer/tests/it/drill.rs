use std::process::Output;

use coffer_domain::address::{AddressKind, BitcoinNetwork};
use coffer_domain::id::{DrillId, VaultId};
use coffer_keys::Mnemonic;
use coffer_signing::{
    AccountSpec, DrillChallenge, DrillProof, DrillSample, Signer, descriptors_digest,
};

use crate::rig::{OTHER_WORDS, Rig, WORDS, assert_exit, run_with_input, signer};

const SPEC: AccountSpec = AccountSpec {
    account: 1,
    bitcoin_network: BitcoinNetwork::Regtest,
};

fn key_of(words: &str) -> [u8; 32] {
    Mnemonic::parse(words)
        .expect("valid")
        .seed()
        .attestation_key()
        .public_key()
}

fn challenge() -> DrillChallenge {
    let sample = |(position, kind): (u32, AddressKind)| DrillSample {
        kind,
        index: 1000 + position,
    };
    DrillChallenge {
        drill_id: DrillId::new_v7(1, [1; 10]),
        vault_id: VaultId::of_key(&key_of(WORDS), SPEC.account),
        nonce: [7; 32],
        spec: SPEC,
        samples: (0_u32..).zip(AddressKind::ALL).map(sample).collect(),
    }
}

fn drill(words: &str, input: &str) -> Output {
    let rig = Rig::new();
    rig.write("words", words);
    let mut command = signer();
    command
        .arg("drill")
        .arg("--mnemonic-file")
        .arg(rig.path("words"));
    run_with_input(command, input.as_bytes())
}

#[test]
fn the_words_prove_what_the_signer_says_of_the_vault() {
    let challenge = challenge();
    let output = drill(WORDS, &challenge.to_json());
    assert!(output.status.success(), "{output:?}");
    let json = String::from_utf8(output.stdout).expect("text");
    let proof = DrillProof::from_json(json.trim_end()).expect("a proof");
    assert_eq!(proof.verify(&challenge, &key_of(WORDS)), Ok(()));

    let rig = Rig::imported(WORDS);
    let (_serving, client) = rig.client();
    let descriptors = client.account_descriptors(SPEC).expect("an answer");
    let digest = descriptors_digest(descriptors.iter().map(|signed| &signed.descriptor));
    assert_eq!(proof.descriptors_digest, digest);
    let first_child = coffer_domain::address::solana_child(SPEC.account, 1004).expect("in range");
    let solana = client
        .solana_public_keys(first_child, 1)
        .expect("an answer");
    assert_eq!(proof.payloads[4].bytes(), solana[0]);
}

#[test]
fn another_vaults_words_are_refused_with_their_own_exit_code() {
    let output = drill(OTHER_WORDS, &challenge().to_json());
    assert_exit(&output, 5, "this backup is not that of vault vlt_");
    assert!(output.stdout.is_empty());
    let mut other_account = challenge();
    other_account.spec.account = 0;
    assert_exit(&drill(WORDS, &other_account.to_json()), 5, "account 0");
}

#[test]
fn what_is_no_challenge_or_no_words_is_refused() {
    assert_exit(&drill(WORDS, ""), 1, "challenge");
    assert_exit(&drill(WORDS, "{}"), 1, "coffer vault drill");
    assert_exit(&drill(WORDS, &" ".repeat(3 << 20)), 1, "bytes of JSON");
    assert_exit(&drill("twelve", &challenge().to_json()), 3, "1 words");
    let mut beyond = challenge();
    beyond.samples[0].index = 1 << 31;
    assert_exit(&drill(WORDS, &beyond.to_json()), 1, "out of range");
}
