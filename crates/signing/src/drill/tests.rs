use super::*;

fn challenge() -> DrillChallenge {
    let sample = |(kind, index)| DrillSample { kind, index };
    DrillChallenge {
        drill_id: DrillId::new_v7(1_700_000_000_000, [7; 10]),
        vault_id: VaultId::of_key(&[3; 32], 0),
        nonce: [9; 32],
        spec: AccountSpec {
            account: 0,
            bitcoin_network: BitcoinNetwork::Regtest,
        },
        samples: [(AddressKind::Evm, 0), (AddressKind::Solana, u32::MAX)]
            .map(sample)
            .to_vec(),
    }
}

fn proof(key: &ed25519_dalek::SigningKey, challenge: &DrillChallenge) -> DrillProof {
    use ed25519_dalek::Signer as _;
    let payload = |kind, bytes: &[u8]| AddressPayload::try_new(kind, bytes).expect("right length");
    let payloads = vec![
        payload(AddressKind::Evm, &[1; 20]),
        payload(AddressKind::Solana, &[2; 32]),
    ];
    let message = DrillProof::message(challenge, &[5; 32], &payloads);
    DrillProof {
        attestation_public_key: key.verifying_key().to_bytes(),
        descriptors_digest: [5; 32],
        payloads,
        signature: key.sign(&message).to_bytes(),
    }
}

#[test]
fn challenge_and_proof_round_trip_as_json() {
    let challenge = challenge();
    let read = DrillChallenge::from_json(&challenge.to_json()).expect("our own form");
    assert_eq!(read, challenge);
    let proof = proof(&ed25519_dalek::SigningKey::from_bytes(&[4; 32]), &challenge);
    let read = DrillProof::from_json(&proof.to_json()).expect("our own form");
    assert_eq!(read, proof);
}

#[test]
fn a_proof_holds_for_its_challenge_and_key_only() {
    let key = ed25519_dalek::SigningKey::from_bytes(&[4; 32]);
    let pinned = key.verifying_key().to_bytes();
    let asked = challenge();
    let given = proof(&key, &asked);
    assert_eq!(given.verify(&asked, &pinned), Ok(()));

    let changes: [fn(&mut DrillChallenge); 5] = [
        |c| c.nonce[0] ^= 1,
        |c| c.vault_id = VaultId::of_key(&[3; 32], 1),
        |c| c.drill_id = DrillId::new_v7(1, [7; 10]),
        |c| c.samples[0].index += 1,
        |c| c.samples[0].kind = AddressKind::Tron,
    ];
    for change in changes {
        let mut other = challenge();
        change(&mut other);
        assert!(given.verify(&other, &pinned).is_err());
    }
    let changes: [fn(&mut DrillProof); 4] = [
        |p| p.descriptors_digest[0] ^= 1,
        |p| p.payloads.truncate(1),
        |p| p.payloads.swap(0, 1),
        |p| p.signature[0] ^= 1,
    ];
    for change in changes {
        let mut other = given.clone();
        change(&mut other);
        assert!(other.verify(&asked, &pinned).is_err());
    }
    let stranger = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    assert!(proof(&stranger, &asked).verify(&asked, &pinned).is_err());
}

#[test]
fn malformed_json_is_refused() {
    let good = challenge().to_json();
    let check = |json: &str| assert!(DrillChallenge::from_json(json).is_err(), "{json}");
    check("");
    check("null");
    check(&good[..good.len() - 1]);
    check(&good.replace("\"nonce\":", "\"salt\":"));
    check(&good.replacen('{', "{\"more\":1,", 1));
    check(&good.replacen('{', "{\"account\":0,", 1));
    check(&good.replace("\"evm\"", "\"doge\""));
    check(&good.replace("regtest", "regnet"));
    check(&good.replace(&"09".repeat(32), &"0A".repeat(32)));
    check(&good.replace(&"09".repeat(32), &"09".repeat(31)));

    let mut long = challenge();
    long.samples = vec![long.samples[0]; DRILL_SAMPLES_MAX + 1];
    check(&long.to_json());
    assert!(matches!(
        DrillChallenge::from_json(&" ".repeat(DRILL_JSON_LIMIT_BYTES + 1)),
        Err(DrillFormatError::TooLong(_))
    ));
    let proof = proof(
        &ed25519_dalek::SigningKey::from_bytes(&[4; 32]),
        &challenge(),
    );
    let short = proof.to_json().replace(&"01".repeat(20), &"01".repeat(19));
    assert!(matches!(
        DrillProof::from_json(&short),
        Err(DrillFormatError::PayloadLength { position: 0, .. })
    ));
}
