//! Address texts per second on one core: `cargo run --release --example rate -p coffer-chains`

use std::hint::black_box;
use std::time::Instant;

use coffer_chains::{encode, parse};
use coffer_domain::address::{AddressKind, AddressPayload, BitcoinNetwork};

const TEXTS: u32 = 200_000;

fn main() {
    for kind in AddressKind::ALL {
        let payloads: Vec<_> = (0..TEXTS).map(|n| payload(kind, n)).collect();
        let start = Instant::now();
        let texts: Vec<_> = payloads
            .iter()
            .map(|payload| encode(payload, BitcoinNetwork::Mainnet))
            .collect();
        let encoding = start.elapsed().as_secs_f64() / f64::from(TEXTS);
        let start = Instant::now();
        for text in &texts {
            black_box(parse(text).expect("an address"));
        }
        let parsing = start.elapsed().as_secs_f64() / f64::from(TEXTS);
        println!(
            "{:<16} encode {:>5.2} µs, parse {:>5.2} µs",
            kind.name(),
            encoding * 1e6,
            parsing * 1e6
        );
    }
}

/// Spreads a number over the payload, so that no text is like the one before.
fn payload(kind: AddressKind, number: u32) -> AddressPayload {
    let word = number.wrapping_mul(0x9e37_79b9).to_be_bytes();
    let bytes: Vec<u8> = word.into_iter().cycle().take(kind.payload_len()).collect();
    AddressPayload::try_new(kind, &bytes).expect("the kind's length")
}
