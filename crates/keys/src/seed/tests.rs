use super::*;
use crate::Mnemonic;

fn seed(words: &str) -> MasterSeed {
    Mnemonic::parse(words).expect("a valid mnemonic").seed()
}

fn ours() -> MasterSeed {
    seed("zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong")
}

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("not zero")
}

#[test]
fn keys_of_different_use_differ_and_come_again() {
    let other = seed("legal winner thank year wave sausage worth useful legal winner thank yellow");
    let attestation = ours().attestation_key().public_key();
    assert_eq!(attestation, ours().attestation_key().public_key());
    assert_ne!(attestation, other.attestation_key().public_key());
    assert!(*ours().seal_key() == *ours().seal_key());
    assert!(*ours().seal_key() != *other.seal_key());
    assert!(*ours().seal_key() != *ours().expand(b"attestation key"));
}

#[test]
fn solana_keys_do_not_depend_on_threads_or_on_the_range() {
    let seed = ours();
    let all = seed
        .solana_public_keys(5, 23, threads(1))
        .expect("in range");
    for count in [2, 3, 7, 23, 64] {
        assert_eq!(
            seed.solana_public_keys(5, 23, threads(count)),
            Ok(all.clone()),
            "{count} threads"
        );
    }
    assert_eq!(seed.solana_public_keys(12, 1, threads(2)), Ok(vec![all[7]]));
    assert_eq!(seed.solana_public_keys(12, 0, threads(2)), Ok(vec![]));
    let payload = seed.address_payload(AddressKind::Solana, BitcoinNetwork::Mainnet, 0, 12);
    assert_eq!(payload.expect("in range").bytes(), all[7]);
}

#[test]
fn the_last_child_is_served_and_none_beyond() {
    let last = HARDENED - 1;
    assert_eq!(
        ours()
            .solana_public_keys(last, 1, threads(2))
            .map(|keys| keys.len()),
        Ok(1)
    );
    for (first, count) in [(last, 2), (HARDENED, 1), (u32::MAX, 1), (0, u32::MAX)] {
        let refused = ours().solana_public_keys(first, count, threads(2));
        assert_eq!(refused, Err(SolanaError::OutOfRange { first, count }));
    }
}

#[test]
fn account_keys_are_refused_where_there_are_none() {
    let seed = ours();
    let solana = seed.account_public_key(AddressKind::Solana, BitcoinNetwork::Mainnet, 0);
    assert_eq!(solana.err(), Some(DerivationError::NoAccountKey));
    let beyond = seed.account_public_key(AddressKind::Evm, BitcoinNetwork::Mainnet, HARDENED);
    assert_eq!(beyond.err(), Some(DerivationError::OutOfRange(HARDENED)));
    let beyond = seed.address_payload(AddressKind::Evm, BitcoinNetwork::Mainnet, 0, HARDENED);
    assert_eq!(beyond.err(), Some(DerivationError::OutOfRange(HARDENED)));
    let beyond = seed.address_payload(AddressKind::Solana, BitcoinNetwork::Mainnet, 0, 1 << 25);
    assert_eq!(beyond.err(), Some(DerivationError::OutOfRange(1 << 25)));
}

/// The private path of the drill and the public path from the descriptor meet at the same address.
#[test]
fn private_and_public_derivation_agree() {
    use bitcoin::bip32::{ChainCode, ChildNumber, Fingerprint, Xpub};
    let seed = ours();
    for kind in [
        AddressKind::Evm,
        AddressKind::Tron,
        AddressKind::BitcoinP2wpkh,
        AddressKind::BitcoinP2tr,
    ] {
        for network in BitcoinNetwork::ALL {
            let account = seed
                .account_public_key(kind, network, 7)
                .expect("an account");
            let xpub = Xpub {
                network: bitcoin::NetworkKind::Main,
                depth: 3,
                parent_fingerprint: Fingerprint::default(),
                child_number: ChildNumber::from(7 | HARDENED),
                public_key: bitcoin::secp256k1::PublicKey::from_slice(&account.public_key)
                    .expect("a key"),
                chain_code: ChainCode::from(account.chain_code),
            };
            for index in [0, 1, 255, HARDENED - 1] {
                let path = [ChildNumber::from(0), ChildNumber::from(index)];
                let secp = bitcoin::secp256k1::Secp256k1::verification_only();
                let child = xpub.derive_pub(&secp, &path).expect("a child");
                let expected = payload(kind, &child.public_key).expect("on this curve");
                assert_eq!(
                    seed.address_payload(kind, network, 7, index),
                    Ok(expected),
                    "{kind} {index}"
                );
            }
        }
    }
}
