//! How many checked Solana public keys a second this machine derives:
//! `cargo run --release -p coffer-keys --example solana_rate`.

use std::num::NonZeroUsize;
use std::time::Instant;

use coffer_keys::Mnemonic;

const KEYS: u32 = 65_536;

fn main() {
    let words = "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong";
    let seed = Mnemonic::parse(words)
        .expect("a valid mnemonic of BIP-39's vectors")
        .seed();
    let all = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    for threads in [NonZeroUsize::MIN, all] {
        let start = Instant::now();
        let keys = seed
            .solana_public_keys(0, KEYS, threads)
            .expect("children in range");
        let rate = f64::from(KEYS) / start.elapsed().as_secs_f64();
        println!("{threads} threads: {} keys, {rate:.0} a second", keys.len());
    }
}
