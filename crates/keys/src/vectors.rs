//! The official vectors. Sources and what does not apply: `tests/vectors/README.md`.

use bitcoin::base58;
use bitcoin::hashes::{Hash, hash160};
use bitcoin::secp256k1::{PublicKey, SecretKey};
use coffer_domain::address::{AddressKind, AddressPayload, BitcoinNetwork};
use serde::Deserialize;

use crate::bip32::{ExtendedPrivateKey, HARDENED};
use crate::payload::payload;
use crate::slip10::{Node, SecondNode};
use crate::{MasterSeed, Mnemonic};

const ABANDON: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

#[derive(Deserialize)]
struct Bip32 {
    seed: String,
    path: String,
    xprv: String,
    xpub: String,
}

#[derive(Deserialize)]
struct Invalid {
    key: String,
    reason: String,
}

#[derive(Deserialize)]
struct Bip39 {
    entropy: String,
    mnemonic: String,
    seed: String,
}

#[derive(Deserialize)]
struct Slip10 {
    curve: String,
    seed: String,
    path: String,
    fingerprint: String,
    chain_code: String,
    private: String,
    public: String,
}

#[derive(Deserialize)]
struct Address {
    kind: String,
    path: String,
    public_key: Option<String>,
    output_key: Option<String>,
    address: String,
}

fn read<T: for<'a> Deserialize<'a>>(text: &str) -> Vec<T> {
    serde_json::from_str(text).expect("a file of vectors")
}

fn bip32() -> Vec<Bip32> {
    read(include_str!("../tests/vectors/bip-0032.json"))
}

fn invalid() -> Vec<Invalid> {
    read(include_str!("../tests/vectors/bip-0032-invalid.json"))
}

fn bip39() -> Vec<Bip39> {
    read(include_str!("../tests/vectors/bip-0039.json"))
}

fn slip10() -> Vec<Slip10> {
    read(include_str!("../tests/vectors/slip-0010.json"))
}

fn addresses() -> Vec<Address> {
    read(include_str!("../tests/vectors/addresses.json"))
}

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hexadecimal")
}

fn path(text: &str) -> Vec<u32> {
    text.split('/')
        .skip(1)
        .map(|step| match step.strip_suffix('\'') {
            Some(step) => step.parse::<u32>().expect("a number") | HARDENED,
            None => step.parse().expect("a number"),
        })
        .collect()
}

#[test]
fn every_vector_is_there() {
    assert_eq!(bip32().len(), 17);
    assert_eq!(invalid().len(), 16);
    assert_eq!(bip39().len(), 24);
    assert_eq!(slip10().len(), 24);
    assert_eq!(addresses().len(), 6);
}

/// BIP-32's text form, which the product neither reads nor writes.
fn text_of(
    version: u32,
    steps: &[u32],
    parent: [u8; 4],
    chain_code: &[u8; 32],
    key: &[u8; 33],
) -> String {
    let mut data = version.to_be_bytes().to_vec();
    data.push(u8::try_from(steps.len()).expect("a short path"));
    data.extend_from_slice(&parent);
    data.extend_from_slice(&steps.last().copied().unwrap_or(0).to_be_bytes());
    data.extend_from_slice(chain_code);
    data.extend_from_slice(key);
    base58::encode_check(&data)
}

#[test]
fn bip32_nodes() {
    for vector in bip32() {
        let steps = path(&vector.path);
        let master = ExtendedPrivateKey::master(&unhex(&vector.seed)).expect("a seed");
        let node = master.derive(&steps).expect("a valid path");
        let parent = match steps.split_last() {
            Some((_, parents)) => master
                .derive(parents)
                .expect("valid")
                .fingerprint()
                .expect("valid"),
            None => [0; 4],
        };
        let mut private = [0; 33];
        private[1..].copy_from_slice(node.key());
        let public = node.public_key().expect("a valid key").serialize();
        let name = &vector.path;
        assert_eq!(
            text_of(0x0488_ade4, &steps, parent, node.chain_code(), &private),
            vector.xprv,
            "{name}"
        );
        assert_eq!(
            text_of(0x0488_b21e, &steps, parent, node.chain_code(), &public),
            vector.xpub,
            "{name}"
        );
    }
}

/// Whether a text is a valid extended key; the key itself is judged by the code that the product uses.
fn is_extended_key(text: &str) -> bool {
    let Ok(data) = base58::decode_check(text) else {
        return false;
    };
    let Ok(data) = <[u8; 78]>::try_from(data) else {
        return false;
    };
    let at_root = data[4] == 0;
    if at_root && (data[5..9] != [0; 4] || data[9..13] != [0; 4]) {
        return false;
    }
    match data[..4] {
        [0x04, 0x88, 0xad, 0xe4] => data[45] == 0 && SecretKey::from_slice(&data[46..]).is_ok(),
        [0x04, 0x88, 0xb2, 0x1e] => PublicKey::from_slice(&data[45..]).is_ok(),
        _ => false,
    }
}

#[test]
fn bip32_invalid_keys_are_refused() {
    for vector in bip32() {
        assert!(is_extended_key(&vector.xprv) && is_extended_key(&vector.xpub));
    }
    for vector in invalid() {
        assert!(!is_extended_key(&vector.key), "{}", vector.reason);
    }
}

#[test]
fn bip39_words_and_seeds() {
    for vector in bip39() {
        let mnemonic = Mnemonic::from_entropy(&unhex(&vector.entropy));
        assert_eq!(*mnemonic.phrase(), vector.mnemonic);
        let parsed = Mnemonic::parse(&vector.mnemonic).expect("a vector");
        assert_eq!(hex::encode(parsed.seed_with("TREZOR")), vector.seed);
    }
}

#[test]
fn slip10_nodes_by_both_implementations() {
    let fingerprint =
        |public: &[u8]| hex::encode(&hash160::Hash::hash(public).to_byte_array()[..4]);
    for vector in slip10() {
        let (seed, steps) = (unhex(&vector.seed), path(&vector.path));
        let parents = &steps[..steps.len().saturating_sub(1)];
        let (key, chain_code, public, parent) = if vector.curve == "ed25519" {
            let walk = |steps: &[u32]| {
                steps
                    .iter()
                    .fold(Node::master(&seed), |node, step| node.child(*step))
            };
            let public = |node: &Node| [&[0], node.public_key().as_slice()].concat();
            let node = walk(&steps);
            let second = steps
                .iter()
                .fold(SecondNode::master(&seed), |node, step| node.child(*step));
            assert_eq!(
                second.public_key(),
                Some(node.public_key()),
                "{}",
                vector.path
            );
            (
                *node.key(),
                *node.chain_code(),
                public(&node),
                fingerprint(&public(&walk(parents))),
            )
        } else {
            let walk = |steps: &[u32]| {
                ExtendedPrivateKey::master(&seed)
                    .and_then(|m| m.derive(steps))
                    .expect("valid")
            };
            let public =
                |node: &ExtendedPrivateKey| node.public_key().expect("valid").serialize().to_vec();
            let node = walk(&steps);
            (
                *node.key(),
                *node.chain_code(),
                public(&node),
                fingerprint(&public(&walk(parents))),
            )
        };
        let name = format!("{} {}", vector.curve, vector.path);
        assert_eq!(hex::encode(key), vector.private, "{name}");
        assert_eq!(hex::encode(chain_code), vector.chain_code, "{name}");
        assert_eq!(hex::encode(public), vector.public, "{name}");
        let parent = if steps.is_empty() {
            "00000000".into()
        } else {
            parent
        };
        assert_eq!(parent, vector.fingerprint, "{name}");
    }
}

fn abandon() -> MasterSeed {
    Mnemonic::parse(ABANDON).expect("a valid mnemonic").seed()
}

/// BIP-173 and BIP-350 by the `bitcoin` crate, to compare with the printed addresses.
fn segwit_text(payload: &AddressPayload) -> String {
    use bitcoin::{KnownHrp, WitnessProgram, WitnessVersion};
    let version = match payload.kind() {
        AddressKind::BitcoinP2tr => WitnessVersion::V1,
        _ => WitnessVersion::V0,
    };
    let program = WitnessProgram::new(version, payload.bytes()).expect("a payload of SegWit");
    bitcoin::Address::from_witness_program(program, KnownHrp::Mainnet).to_string()
}

#[test]
fn bip84_and_bip86_addresses() {
    for vector in addresses() {
        let kind: AddressKind = vector.kind.parse().expect("a kind");
        let steps = path(&vector.path);
        let node = ExtendedPrivateKey::master(abandon().bytes())
            .and_then(|m| m.derive(&steps))
            .expect("valid");
        let public = node.public_key().expect("valid");
        let found = payload(kind, &public).expect("on this curve");
        assert_eq!(segwit_text(&found), vector.address, "{}", vector.path);
        if let Some(expected) = vector.public_key {
            assert_eq!(hex::encode(public.serialize()), expected);
        }
        if let Some(expected) = vector.output_key {
            assert_eq!(hex::encode(found.bytes()), expected);
        }
        if steps[3] == 0 {
            let by_index = abandon().address_payload(kind, BitcoinNetwork::Mainnet, 0, steps[4]);
            assert_eq!(by_index, Ok(found));
        }
    }
}

/// Not official, but what every wallet shows first for this mnemonic.
#[test]
fn the_first_addresses_of_the_best_known_mnemonic() {
    let check = |kind, expected: &[u8]| {
        let found = abandon()
            .address_payload(kind, BitcoinNetwork::Mainnet, 0, 0)
            .expect("index 0");
        assert_eq!(hex::encode(found.bytes()), hex::encode(expected), "{kind}");
    };
    check(
        AddressKind::Evm,
        &unhex("9858effd232b4033e47d90003d41ec34ecaeda94"),
    );
    let tron = base58::decode_check("TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH").expect("Base58Check");
    check(AddressKind::Tron, &tron[1..]);
    let solana = base58::decode("HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk").expect("Base58");
    check(AddressKind::Solana, &solana);
}
