use std::str::FromStr;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Bech32m};
use bitcoin::XOnlyPublicKey;
use bitcoin::key::TapTweak;
use bitcoin::secp256k1::Secp256k1;
use bitcoin::taproot::{TapNodeHash, TapTweakHash};
use coffer_chains::{AddressError, encode, parse};
use coffer_domain::address::{AddressKind, BitcoinNetwork};
use serde::Deserialize;

#[derive(Deserialize)]
struct SegwitVectors {
    valid_strings: Vec<String>,
    invalid_strings: Vec<Refused>,
    valid_addresses: Vec<Valid>,
    invalid_addresses: Vec<Refused>,
}

#[derive(Deserialize)]
struct Refused {
    text: String,
    reason: String,
}

#[derive(Deserialize)]
struct Valid {
    address: String,
    script_pubkey: String,
}

fn bip173() -> SegwitVectors {
    serde_json::from_str(include_str!("../vectors/bip-0173.json")).expect("vectors")
}

fn bip350() -> SegwitVectors {
    serde_json::from_str(include_str!("../vectors/bip-0350.json")).expect("vectors")
}

#[derive(Deserialize)]
struct Addresses {
    addresses: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct TronVectors {
    valid: Vec<serde_json::Value>,
    invalid: Vec<serde_json::Value>,
}

fn text<'a>(value: &'a serde_json::Value, field: &str) -> &'a str {
    value[field].as_str().expect("a text field")
}

/// The standards' own numbers of vectors. A file that loses one makes this red.
#[test]
fn no_vector_is_missing() {
    let counts = |v: &SegwitVectors| {
        [
            v.valid_strings.len(),
            v.invalid_strings.len(),
            v.valid_addresses.len(),
            v.invalid_addresses.len(),
        ]
    };
    assert_eq!(counts(&bip173()), [7, 12, 6, 10]);
    assert_eq!(counts(&bip350()), [7, 14, 8, 15]);
    let addresses = |json| {
        serde_json::from_str::<Addresses>(json)
            .expect("vectors")
            .addresses
            .len()
    };
    assert_eq!(addresses(include_str!("../vectors/eip-55.json")), 8);
    assert_eq!(addresses(include_str!("../vectors/bip-0084.json")), 3);
    assert_eq!(addresses(include_str!("../vectors/bip-0086.json")), 3);
    let tron: TronVectors =
        serde_json::from_str(include_str!("../vectors/tron.json")).expect("vectors");
    assert_eq!((tron.valid.len(), tron.invalid.len()), (4, 1));
}

#[test]
fn eip_55() {
    let vectors: Addresses =
        serde_json::from_str(include_str!("../vectors/eip-55.json")).expect("vectors");
    for vector in &vectors.addresses {
        let address = text(vector, "address");
        let found = parse(address).expect(address);
        assert_eq!(found.payload.kind(), AddressKind::Evm);
        assert_eq!(encode(&found.payload, BitcoinNetwork::Mainnet), address);
        // One letter in the other case is a wrong checksum, unless that leaves no mixture.
        let at = address
            .rfind(|c: char| c.is_ascii_alphabetic())
            .expect("a letter");
        let mut flipped = address.as_bytes().to_vec();
        flipped[at] ^= 0x20;
        let flipped = String::from_utf8(flipped).expect("ascii");
        assert!(
            matches!(parse(&flipped), Err(AddressError::Checksum { .. })),
            "{flipped}"
        );
    }
}

/// `bech32` does the checksums; these vectors hold for the version of it that is linked here.
#[test]
fn bech32_and_bech32m_strings() {
    let (v173, v350) = (bip173(), bip350());
    for text in &v173.valid_strings {
        assert!(CheckedHrpstring::new::<Bech32>(text).is_ok(), "{text}");
        assert!(CheckedHrpstring::new::<Bech32m>(text).is_err(), "{text}");
    }
    for text in &v350.valid_strings {
        assert!(CheckedHrpstring::new::<Bech32m>(text).is_ok(), "{text}");
        assert!(CheckedHrpstring::new::<Bech32>(text).is_err(), "{text}");
    }
    for Refused { text, reason } in &v173.invalid_strings {
        assert!(
            CheckedHrpstring::new::<Bech32>(text).is_err(),
            "{text}: {reason}"
        );
    }
    for Refused { text, reason } in &v350.invalid_strings {
        assert!(
            CheckedHrpstring::new::<Bech32m>(text).is_err(),
            "{text}: {reason}"
        );
    }
    for text in v173.valid_strings.iter().chain(&v350.valid_strings) {
        assert!(parse(text).is_err(), "{text} is no address");
    }
}

#[test]
fn valid_segwit_addresses_are_read_or_refused_by_name() {
    let mut issued_kinds = 0;
    for Valid {
        address,
        script_pubkey,
    } in bip350().valid_addresses
    {
        let script = hex::decode(&script_pubkey).expect("hex");
        match (script[0], script.len() - 2) {
            (0x00, 20) | (0x51, 32) => {
                let found = parse(&address).expect(&address);
                assert_eq!(found.payload.bytes(), &script[2..]);
                let network = BitcoinNetwork::ALL
                    .into_iter()
                    .find(|n| found.serves(*n))
                    .expect("a network");
                assert_eq!(encode(&found.payload, network), address.to_lowercase());
                issued_kinds += 1;
            }
            _ => assert!(
                matches!(parse(&address), Err(AddressError::Unsupported { .. })),
                "{address}"
            ),
        }
    }
    assert_eq!(issued_kinds, 3);
}

#[test]
fn bip_173_addresses_above_version_0_have_lost_their_validity() {
    for Valid {
        address,
        script_pubkey,
    } in bip173().valid_addresses
    {
        match (&script_pubkey[..2], script_pubkey.len()) {
            ("00", 44) => assert!(parse(&address).is_ok(), "{address}"),
            ("00", _) => assert!(
                matches!(parse(&address), Err(AddressError::Unsupported { .. })),
                "{address}"
            ),
            _ => assert!(
                matches!(parse(&address), Err(AddressError::Checksum { .. })),
                "{address}"
            ),
        }
    }
}

#[test]
fn invalid_segwit_addresses_are_refused_for_their_reason() {
    let (v173, v350) = (bip173(), bip350());
    for Refused { text, reason } in v173.invalid_addresses.iter().chain(&v350.invalid_addresses) {
        let error = parse(text).expect_err(text);
        let as_expected = match reason.as_str() {
            "Mixed case" => matches!(error, AddressError::MixedCase { .. }),
            "Invalid character in checksum" => matches!(error, AddressError::Character { .. }),
            "Invalid human-readable part" => matches!(error, AddressError::UnknownForm { .. }),
            reason if reason.starts_with("Invalid checksum") => {
                matches!(error, AddressError::Checksum { .. })
            }
            // BIP-173's texts of version 1 and above fail at the checksum of today first.
            _ => matches!(
                error,
                AddressError::Malformed { .. } | AddressError::Checksum { .. }
            ),
        };
        assert!(as_expected, "{text}: {reason}: {error:?}");
    }
}

#[test]
fn bip_84_and_bip_86_addresses() {
    let bip84: Addresses =
        serde_json::from_str(include_str!("../vectors/bip-0084.json")).expect("vectors");
    for vector in &bip84.addresses {
        let key: bitcoin::CompressedPublicKey = text(vector, "public_key").parse().expect("a key");
        let found = parse(text(vector, "address")).expect("an address");
        assert_eq!(found.payload.kind(), AddressKind::BitcoinP2wpkh);
        assert_eq!(
            found.payload.bytes(),
            AsRef::<[u8]>::as_ref(&key.wpubkey_hash())
        );
    }
    let bip86: Addresses =
        serde_json::from_str(include_str!("../vectors/bip-0086.json")).expect("vectors");
    for vector in &bip86.addresses {
        let found = parse(text(vector, "address")).expect("an address");
        assert_eq!(found.payload.kind(), AddressKind::BitcoinP2tr);
        assert_eq!(
            hex::encode(found.payload.bytes()),
            text(vector, "output_key")
        );
        assert_eq!(
            encode(&found.payload, BitcoinNetwork::Mainnet),
            text(vector, "address")
        );
    }
}

#[test]
fn tron_examples() {
    let vectors: TronVectors =
        serde_json::from_str(include_str!("../vectors/tron.json")).expect("vectors");
    for vector in &vectors.valid {
        let found = parse(text(vector, "address")).expect("an address");
        assert_eq!(found.payload.kind(), AddressKind::Tron);
        assert_eq!(
            format!("41{}", hex::encode(found.payload.bytes())),
            text(vector, "hex")
        );
        assert_eq!(
            encode(&found.payload, BitcoinNetwork::Mainnet),
            text(vector, "address")
        );
    }
    for vector in &vectors.invalid {
        assert!(matches!(
            parse(text(vector, "address")),
            Err(AddressError::Unsupported { .. })
        ));
    }
}

/// Solana's built-in programs, whose addresses its documentation lists.
#[test]
fn solana_programs() {
    let check = |address: &str, bytes: &str| {
        let found = parse(address).expect(address);
        assert_eq!(
            (
                found.payload.kind(),
                hex::encode(found.payload.bytes()).as_str()
            ),
            (AddressKind::Solana, bytes)
        );
    };
    check("11111111111111111111111111111111", &"00".repeat(32));
    check(
        "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
        "06ddf6e1d765a193d9cbe146ceeb79ac1cb485ed5f5b37913a8cf5857eff00a9",
    );
}

#[derive(Deserialize)]
struct TaprootVectors {
    script_pubkeys: Vec<Taproot>,
}

#[derive(Deserialize)]
struct Taproot {
    internal_key: String,
    /// Of the tree of scripts; where there is none, the key alone can spend.
    merkle_root: Option<String>,
    tweak: String,
    output_key: String,
    script_pubkey: String,
    address: String,
}

fn bip341() -> TaprootVectors {
    serde_json::from_str(include_str!("../vectors/bip-0341.json")).expect("vectors")
}

/// BIP-341: from the internal key to the tweak and the output key. Only the first has no tree of scripts, as every
/// address of ours; the other six hold for the library that is linked here.
#[test]
fn taproot_output_keys_are_those_of_bip_341() {
    let key = |text: &str| XOnlyPublicKey::from_str(text).expect("a key");
    let curve = Secp256k1::verification_only();
    let mut without_scripts = 0;
    for vector in bip341().script_pubkeys {
        let root = vector.merkle_root.as_deref();
        let root = root.map(|root| TapNodeHash::from_str(root).expect("a hash"));
        without_scripts += u32::from(root.is_none());
        let internal = key(&vector.internal_key);
        let tweak = TapTweakHash::from_key_and_tweak(internal, root);
        assert_eq!(tweak.to_string(), vector.tweak);
        let (output, _) = internal.tap_tweak(&curve, root);
        assert_eq!(output.to_x_only_public_key(), key(&vector.output_key));
    }
    assert_eq!(without_scripts, 1);
}

/// BIP-341: an output key, the script that pays it, and its address.
#[test]
fn taproot_scripts_and_addresses_are_those_of_bip_341() {
    let vectors = bip341();
    assert_eq!(vectors.script_pubkeys.len(), 7);
    for vector in vectors.script_pubkeys {
        let script = hex::decode(&vector.script_pubkey).expect("hexadecimal");
        let payload = coffer_chains::bitcoin::script::payload(&script).expect("taproot");
        assert_eq!(payload.kind(), AddressKind::BitcoinP2tr);
        assert_eq!(hex::encode(payload.bytes()), vector.output_key);
        assert_eq!(
            coffer_chains::bitcoin::script::script(&payload),
            Some(script)
        );
        assert_eq!(encode(&payload, BitcoinNetwork::Mainnet), vector.address);
        assert_eq!(
            parse(&vector.address).map(|parsed| parsed.payload),
            Ok(payload)
        );
    }
}

/// BIP-173 and BIP-350: every valid address of a kind that is ours pays its script.
#[test]
fn scripts_are_those_of_the_address_vectors() {
    let mut ours = 0;
    for vector in bip173()
        .valid_addresses
        .iter()
        .chain(&bip350().valid_addresses)
    {
        let script = hex::decode(&vector.script_pubkey).expect("hexadecimal");
        let payload = coffer_chains::bitcoin::script::payload(&script);
        if let Ok(parsed) = parse(&vector.address) {
            assert_eq!(Some(parsed.payload), payload, "{}", vector.address);
            ours += 1;
        }
    }
    assert!(ours >= 3, "{ours}");
}
