use bitcoin::bip32::Xpub;
use coffer_derive::{ExtendedPublicKey, Scheme, verify};
use serde::Deserialize;
use std::str::FromStr;

use crate::{key, payloads};

#[derive(Deserialize)]
struct Bip32 {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    vector: u8,
    chains: Vec<Chain>,
}

#[derive(Deserialize)]
struct Chain {
    path: String,
    xpub: String,
}

fn bip32() -> Bip32 {
    serde_json::from_str(include_str!("../vectors/bip-0032.json")).expect("vectors")
}

/// Of the 17 chains of vectors 1 to 4, six are reached by a step that public keys can make.
#[test]
fn bip_32_steps_without_hardening() {
    let mut chains = 0;
    let mut steps = 0;
    for Vector {
        vector,
        chains: list,
    } in bip32().vectors
    {
        chains += list.len();
        for pair in list.windows(2) {
            let index = pair[1].path.rsplit('/').next().expect("a step");
            let Ok(index) = index.parse::<u32>() else {
                continue;
            };
            let child = key(&pair[0].xpub).child(index).expect("a child");
            assert!(
                child == key(&pair[1].xpub),
                "vector {vector}, {}",
                pair[1].path
            );
            steps += 1;
        }
    }
    assert_eq!((chains, steps), (17, 6));
}

/// The batch path gives the children that the vectors' extended keys hold.
#[test]
fn bip_32_children_in_batches() {
    for Vector { chains, .. } in bip32().vectors {
        for pair in chains.windows(2) {
            let index = pair[1].path.rsplit('/').next().expect("a step");
            let Ok(index) = index.parse::<u32>() else {
                continue;
            };
            let child = bitcoin::CompressedPublicKey(
                Xpub::from_str(&pair[1].xpub).expect("a key").public_key,
            );
            let found = payloads(&key(&pair[0].xpub), Scheme::Hash160, index, 1);
            assert_eq!(
                found.as_bytes(),
                AsRef::<[u8]>::as_ref(&child.wpubkey_hash()),
                "{}",
                pair[1].path
            );
        }
    }
}

/// BIP-86's account key gives its three output keys.
#[test]
fn bip_86_output_keys() {
    let account = key(
        "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ",
    );
    let check = |change, index, expected: &str| {
        let parent = account.child(change).expect("a child");
        let found = payloads(&parent, Scheme::Taproot, index, 1);
        assert_eq!(hex::encode(found.as_bytes()), expected);
        assert_eq!(verify(&parent, Scheme::Taproot, index, &found), Ok(()));
    };
    check(
        0,
        0,
        "a60869f0dbcf1dc659c9cecbaf8050135ea9e8cdc487053f1dc6880949dc684c",
    );
    check(
        0,
        1,
        "a82f29944d65b86ae6b5e5cc75e294ead6c59391a1edc5e016e3498c67fc7bbb",
    );
    check(
        1,
        0,
        "882d74e5d0572d5a816cef0041a96b6c1de832f6f9676d9605c44d5e9a97d3dc",
    );
}

/// BIP-84's account key (of its `zpub`, by the standard's mnemonic) gives the hashes of its public keys.
#[test]
fn bip_84_key_hashes() {
    let account = bip84_account();
    let check = |change, index, public_key: &str| {
        let key: bitcoin::CompressedPublicKey = public_key.parse().expect("a key");
        let found = payloads(
            &account.child(change).expect("a child"),
            Scheme::Hash160,
            index,
            1,
        );
        assert_eq!(found.as_bytes(), AsRef::<[u8]>::as_ref(&key.wpubkey_hash()));
    };
    check(
        0,
        0,
        "0330d54fd0dd420a6e5f8d3624f5f3482cae350f79d5f0753bf5beef9c2d91af3c",
    );
    check(
        0,
        1,
        "03e775fd51f0dfb8cd865d9ff1cca2a158cf651fe997fdc9fee9c1d3b5e995ea77",
    );
    check(
        1,
        0,
        "03025324888e429ab8e3dbaf1f7802648b9cd01e9b418485c5fa4c1b9b5700e1a6",
    );
}

fn bip84_account() -> ExtendedPublicKey {
    // From the standard's account key `zprvAdG4iTXWBoARx…`, whose text form has a version byte of its own.
    let bytes = bitcoin::base58::decode_check(
        "zprvAdG4iTXWBoARxkkzNpNh8r6Qag3irQB8PzEMkAFeTRXxHpbF9z4QgEvBRmfvqWvGp42t42nvgGpNgYSJA9iefm1yYNZKEm7z6qUWCroSQnE",
    )
    .expect("base58check");
    let mut chain_code = [0; 32];
    chain_code.copy_from_slice(&bytes[13..45]);
    let secret = bitcoin::secp256k1::SecretKey::from_slice(&bytes[46..]).expect("a key");
    let public_key = secret
        .public_key(&bitcoin::secp256k1::Secp256k1::signing_only())
        .serialize();
    ExtendedPublicKey {
        public_key,
        chain_code,
    }
}
