//! Nanoseconds per key of each hash and each set of instructions, and the ratio to the plain crates.
//!
//! `cargo run --release --example hashes -p coffer-derive`

use std::hint::black_box;
use std::time::Instant;

use coffer_derive::{Arch, ExtendedPublicKey};

#[path = "../src/hashes/mod.rs"]
mod hashes;

use hashes::{ChildHmac, TapTweak, hash160, keccak20, second};

/// As many as the deriver takes at once.
const KEYS: usize = 1024;

/// The best of many runs, for other programs take the processor at times.
fn nanoseconds_per_key(mut work: impl FnMut()) -> f64 {
    let run = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e9 / KEYS as f64
    };
    (0..300).map(|_| run(&mut work)).fold(f64::MAX, f64::min)
}

/// Fills `out` by each of the ways, compares, and prints.
fn compare<T: Default + Clone + PartialEq>(
    name: &str,
    out_len: usize,
    hash: impl Fn(Arch, &mut [T]),
) {
    let mut expected = vec![T::default(); out_len];
    hash(Arch::Portable, &mut expected);
    let plain = nanoseconds_per_key(|| hash(Arch::Portable, black_box(&mut expected)));
    for &arch in Arch::available() {
        let mut found = vec![T::default(); out_len];
        let each = nanoseconds_per_key(|| hash(arch, black_box(&mut found)));
        assert!(found == expected, "{name} {arch:?}");
        let ratio = plain / each;
        println!(
            "{name:<18} {:<8} {each:>7.1} ns {ratio:>5.1} ×",
            arch.name()
        );
    }
}

fn main() {
    let parent = ExtendedPublicKey {
        public_key: [3; 33],
        chain_code: [7; 32],
    };
    let hmac = ChildHmac::new(&parent);
    let tap_tweak = TapTweak::new();
    let mut xs = [[0; 32]; KEYS];
    hmac.tweaks(Arch::Portable, 0, &mut xs);
    let mut ys = xs;
    ys.reverse();
    let odd = ys.map(|y| y[31] & 1 == 1);

    compare("hmac", KEYS, |arch, out| hmac.tweaks(arch, 1 << 20, out));
    compare("keccak20", 20 * KEYS, |arch, out| {
        keccak20(arch, &xs, &ys, out)
    });
    compare("hash160", 20 * KEYS, |arch, out| {
        hash160(arch, &xs, &odd, out)
    });
    compare("tap tweak", KEYS, |arch, out| tap_tweak.of(arch, &xs, out));

    let hmac = second::ChildHmac::new(&parent);
    let tap_tweak = second::TapTweak::new();
    compare("second hmac", KEYS, |arch, out| {
        hmac.tweaks(arch, 1 << 20, out)
    });
    compare("second keccak20", 20 * KEYS, |arch, out| {
        second::keccak20(arch, &xs, &ys, out)
    });
    compare("second hash160", 20 * KEYS, |arch, out| {
        second::hash160(arch, &xs, &odd, out)
    });
    compare("second tap tweak", KEYS, |arch, out| {
        tap_tweak.of(arch, &xs, out)
    });
}
