//! Searches everything that the signer says for every secret that this mnemonic has.
//! The secrets are derived here with other libraries than the signer's own derivation.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bitcoin::bip32::{DerivationPath, Xpriv};
use bitcoin::secp256k1::Secp256k1;
use coffer_domain::address::BitcoinNetwork;
use coffer_signing::wire::{self, Request};

use crate::rig::{PASSPHRASE, Rig, WORDS, run_with_input, signer};

fn seed() -> [u8; 64] {
    bip39::Mnemonic::parse(WORDS).expect("valid").to_seed("")
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA512, key);
    ring::hmac::sign(&key, data).as_ref().to_vec()
}

/// Name and bytes of each secret.
fn secrets() -> Vec<(String, Vec<u8>)> {
    let seed = seed();
    let entropy = bip39::Mnemonic::parse(WORDS).expect("valid").to_entropy();
    let mut secrets = vec![
        ("seed".into(), seed.to_vec()),
        ("half the seed".into(), seed[..32].to_vec()),
        ("entropy".into(), entropy),
        ("words".into(), WORDS.as_bytes().to_vec()),
        ("some words".into(), b"wave sausage worth".to_vec()),
        ("passphrase".into(), PASSPHRASE.as_bytes().to_vec()),
    ];
    let secp = Secp256k1::new();
    let master = Xpriv::new_master(bitcoin::NetworkKind::Main, &seed).expect("a seed");
    for path in [
        "m",
        "m/44'",
        "m/44'/60'",
        "m/44'/60'/0'",
        "m/44'/60'/0'/0",
        "m/44'/60'/0'/0/0",
        "m/44'/195'/0'",
        "m/44'/195'/0'/0/0",
        "m/84'/0'/0'",
        "m/84'/0'/0'/0/0",
        "m/86'/0'/0'",
        "m/86'/0'/0'/0/0",
    ] {
        let node = master
            .derive_priv(&secp, &path.parse::<DerivationPath>().expect("a path"))
            .expect("valid");
        secrets.push((path.into(), node.private_key.secret_bytes().to_vec()));
        secrets.push((format!("{path} as text"), node.to_string().into_bytes()));
    }
    let mut node = hmac(b"ed25519 seed", &seed);
    secrets.push(("Solana m".into(), node[..32].to_vec()));
    for step in [44_u32, 501, 0, 0] {
        let data = [&[0], &node[..32], &(step | 1 << 31).to_be_bytes()].concat();
        node = hmac(&node[32..], &data);
        secrets.push((format!("Solana …/{step}'"), node[..32].to_vec()));
    }
    secrets
}

/// In the encodings that a leak could take.
pub(crate) fn assert_no_secret(place: &str, said: &[u8]) {
    let text = String::from_utf8_lossy(said).to_lowercase();
    for (name, secret) in secrets() {
        let raw = said.windows(secret.len()).any(|window| window == secret);
        let hexadecimal = text.contains(&hex::encode(&secret));
        // Base64 looks otherwise at each of three offsets; inside the padding it is the same text.
        let base64 = (0..3).any(|offset| {
            let padded = STANDARD_NO_PAD.encode([&vec![0; offset], secret.as_slice()].concat());
            let inner = &padded[4.min(4 * offset)..padded.len() - 4];
            String::from_utf8_lossy(said).contains(inner)
        });
        let whole = String::from_utf8_lossy(said).contains(&STANDARD.encode(&secret));
        assert!(
            !(raw || hexadecimal || base64 || whole),
            "{name} is in {place}"
        );
    }
}

fn ask_raw(channel: &mut UnixStream, request: Request) -> Vec<u8> {
    wire::write_request(channel, &request).expect("written");
    let mut length = [0; 4];
    channel.read_exact(&mut length).expect("an answer");
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    channel.read_exact(&mut answer).expect("an answer");
    answer
}

#[test]
fn no_answer_carries_a_secret() {
    let rig = Rig::imported(WORDS);
    let (serving, mut channel) = rig.serve();
    let mut said = Vec::new();
    let mut variants = Vec::new();
    let mut ask = |channel: &mut UnixStream, request| {
        let answer = ask_raw(channel, request);
        let json: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
        variants.extend(json.as_object().expect("an object").keys().cloned());
        said.extend(answer);
    };
    ask(
        &mut channel,
        Request::Hello {
            protocol: wire::PROTOCOL_VERSION,
        },
    );
    ask(&mut channel, Request::Identity {});
    ask(&mut channel, Request::SealKey {});
    for bitcoin_network in BitcoinNetwork::ALL {
        ask(
            &mut channel,
            Request::AccountDescriptors {
                account: 0,
                bitcoin_network,
            },
        );
    }
    ask(
        &mut channel,
        Request::SolanaPublicKeys {
            first_child: 0,
            count: 100,
        },
    );
    ask(
        &mut channel,
        Request::SolanaPublicKeys {
            first_child: u32::MAX,
            count: 100,
        },
    );
    channel
        .write_all(&[0, 0, 0, 2, b'{', b'{'])
        .expect("written");
    let _ = channel.shutdown(std::net::Shutdown::Write);
    channel.read_to_end(&mut said).expect("the rest");
    variants.dedup();
    // Each kind of answer that the protocol has was looked at.
    assert_eq!(
        variants,
        [
            "hello",
            "identity",
            "seal_key",
            "account_descriptors",
            "solana_public_keys",
            "refused"
        ]
    );
    assert_no_secret("the answers", &said);
    let output = serving.finish();
    assert!(output.status.success(), "{output:?}");
    assert_no_secret("standard output", &output.stdout);
    assert_no_secret("the log", &output.stderr);
}

#[test]
fn no_command_prints_a_secret() {
    let rig = Rig::new();
    let good = rig.import(WORDS);
    assert!(good.status.success());
    let again = rig.import(WORDS);
    let mut command = signer();
    command
        .arg("drill")
        .arg("--mnemonic-file")
        .arg(rig.path("words"));
    let drill = run_with_input(command, b"{}");
    let mistyped = Rig::new().import(&WORDS.replace("yellow", "yelow"));
    for (name, output) in [
        ("init", good),
        ("init again", again),
        ("drill", drill),
        ("a mistyped word", mistyped),
    ] {
        assert_no_secret(name, &output.stdout);
        assert_no_secret(name, &output.stderr);
    }
    let key_file = std::fs::read(rig.path("vault.key")).expect("readable");
    assert_no_secret("the key file", &key_file);
}

/// The search itself must be able to find.
#[test]
fn the_search_finds_what_it_looks_for() {
    let key = secrets().swap_remove(6).1;
    for leak in [
        key.clone(),
        hex::encode(&key).into_bytes(),
        hex::encode_upper(&key).into_bytes(),
        STANDARD.encode(&key).into_bytes(),
        STANDARD
            .encode([b"a", key.as_slice(), b"bc"].concat())
            .into_bytes(),
        STANDARD
            .encode([b"ab", key.as_slice(), b"c"].concat())
            .into_bytes(),
        WORDS.as_bytes().to_vec(),
    ] {
        let found = std::panic::catch_unwind(|| assert_no_secret("a leak", &leak));
        assert!(found.is_err(), "{}", String::from_utf8_lossy(&leak));
    }
}
