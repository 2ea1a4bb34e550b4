//! Keys per second of both implementations on one core, and their ratio to the plain use of the `bitcoin` crate.
//!
//! `cargo run --release --example rate -p coffer-derive [-- KEYS]`

use std::hint::black_box;
use std::str::FromStr;
use std::time::Instant;

use bitcoin::bip32::{ChildNumber, Xpub};
use bitcoin::secp256k1::Secp256k1;
use coffer_derive::{Deriver, ExtendedPublicKey, IndexRange, Payloads, Scheme, verify};
use tiny_keccak::{Hasher, Keccak};

/// `m/86'/0'/0'` of BIP-86's test vector.
const XPUB: &str = "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ";

/// Seconds per key.
fn time(keys: u32, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() / f64::from(keys)
}

fn main() {
    let keys: u32 = std::env::args()
        .nth(1)
        .map_or(100_000, |n| n.parse().expect("a number of keys"));
    let xpub = Xpub::from_str(XPUB).expect("an extended key");
    let parent = ExtendedPublicKey {
        public_key: xpub.public_key.serialize(),
        chain_code: *xpub.chain_code.as_bytes(),
    };
    let parent = parent.child(0).expect("a child");

    let start = Instant::now();
    let deriver = Deriver::new();
    println!(
        "table built in {:.1} ms",
        start.elapsed().as_secs_f64() * 1e3
    );

    let few = (keys / 5).max(1);
    let change = xpub
        .ckd_pub(
            &Secp256k1::verification_only(),
            ChildNumber::Normal { index: 0 },
        )
        .expect("a child");
    let plain = time(few, || plain_evm(&change, few));
    println!(
        "bitcoin ckd_pub + keccak {:>9.0} keys/s {:>6.2} µs  1.0 ×",
        1.0 / plain,
        plain * 1e6
    );

    let mut payloads = Payloads::new();
    for scheme in Scheme::ALL {
        let name = format!("{scheme:?}");
        let range = IndexRange::try_new(0, keys).expect("a range");
        let each = time(keys, || {
            deriver
                .payloads(&parent, scheme, range, &mut payloads)
                .expect("children")
        });
        println!(
            "derive {name:<17} {:>9.0} keys/s {:>6.2} µs {:>4.1} ×",
            1.0 / each,
            each * 1e6,
            plain / each
        );
        let range = IndexRange::try_new(0, few).expect("a range");
        deriver
            .payloads(&parent, scheme, range, &mut payloads)
            .expect("children");
        let each = time(few, || {
            verify(&parent, scheme, 0, &payloads).expect("the same payloads")
        });
        println!(
            "verify {name:<17} {:>9.0} keys/s {:>6.2} µs {:>4.1} ×",
            1.0 / each,
            each * 1e6,
            plain / each
        );
    }
}

fn plain_evm(parent: &Xpub, keys: u32) {
    let context = Secp256k1::verification_only();
    for index in 0..keys {
        let child = parent
            .ckd_pub(&context, ChildNumber::Normal { index })
            .expect("a child");
        let mut keccak = Keccak::v256();
        keccak.update(&child.public_key.serialize_uncompressed()[1..]);
        let mut hash = [0; 32];
        keccak.finalize(&mut hash);
        black_box(hash);
    }
}
