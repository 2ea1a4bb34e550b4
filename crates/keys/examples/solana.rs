//! What a checked Solana public key costs here, beside SLIP-10 by `hmac` and `ed25519-dalek` alone, one key after the
//! other and checked by nothing: `cargo run --release --example solana -p coffer-keys`.
//!
//! Both are measured in turn, many short rounds in one run, and every key is compared. The fastest round of
//! each counts, which others on the same machine disturb least; the ratio of the medians stands beside it.

use std::num::NonZeroUsize;
use std::time::Instant;

use coffer_keys::{Mnemonic, SolanaPiece};
use ed25519_dalek::SigningKey;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;

const WORDS: &str = "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong";
const KEYS: u32 = 4096;
const ROUNDS: usize = 31;
const HARDENED: u32 = 1 << 31;

fn hmac_sha512(key: &[u8], parts: &[&[u8]]) -> [u8; 64] {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn child(node: &[u8; 64], number: u32) -> [u8; 64] {
    let number = (number | HARDENED).to_be_bytes();
    hmac_sha512(&node[32..], &[&[0], &node[..32], &number])
}

fn sequential(parent: &[u8; 64]) -> Vec<[u8; 32]> {
    let key = |number| {
        let leaf = child(&child(parent, number), 0);
        let secret = leaf[..32].try_into().expect("32 bytes");
        SigningKey::from_bytes(secret).verifying_key().to_bytes()
    };
    (0..KEYS).map(key).collect()
}

fn timed<T>(micros: &mut Vec<f64>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    micros.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(KEYS));
    result
}

/// The fastest round and the middle one.
fn summary(mut micros: Vec<f64>) -> (f64, f64) {
    micros.sort_by(f64::total_cmp);
    (micros[0], micros[micros.len() / 2])
}

fn main() {
    let seed = Mnemonic::parse(WORDS).expect("of BIP-39's vectors").seed();
    let bytes = bip39::Mnemonic::parse(WORDS)
        .expect("of BIP-39's vectors")
        .to_seed("");
    let master = hmac_sha512(b"ed25519 seed", &[&bytes]);
    let parent = child(&child(&master, 44), 501);
    let all = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let (mut one_by_one, mut bulk, mut on_all) = (vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let expected = timed(&mut one_by_one, || sequential(&parent));
        for (micros, threads) in [(&mut bulk, NonZeroUsize::MIN), (&mut on_all, all)] {
            let mut keys = Vec::with_capacity(expected.len());
            let mut failed = 0;
            let receive = |piece: SolanaPiece| {
                failed += u32::from(piece.proof_failed);
                keys.extend(piece.keys);
                Ok::<_, coffer_keys::SolanaError>(())
            };
            timed(micros, || {
                seed.stream_solana_public_keys(0, KEYS, threads, receive)
            })
            .expect("children in range");
            assert_eq!(failed, 0, "a proof failed");
            assert!(keys == expected, "the keys differ");
        }
    }
    let [one_by_one, bulk, on_all] = [one_by_one, bulk, on_all].map(summary);
    println!("{KEYS} keys a round, {ROUNDS} rounds, all keys equal, all proven");
    println!("us a key                          fastest  median");
    let line = |name: &str, (fastest, median): (f64, f64)| {
        println!("{name:32} {fastest:8.2} {median:7.2}");
    };
    line("one by one, unchecked, 1 thread", one_by_one);
    line("in bulk, proven, 1 thread", bulk);
    line(&format!("in bulk, proven, {all} threads"), on_all);
    let ratio = (one_by_one.0 / bulk.0, one_by_one.1 / bulk.1);
    line("ratio per core", ratio);
}
