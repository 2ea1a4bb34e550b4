//! Time of an address on one core, by instructions and scheme, and its ratio to the plain use of the `bitcoin`
//! crate, whose addresses are compared with ours; and what the proof costs beside it.
//!
//! `cargo run --release --example rate -p coffer-derive [-- KEYS [INSTRUCTIONS]]`
//!
//! Each time is the best of some rounds, for other work on the machine makes all of them longer.

use std::str::FromStr;
use std::time::{Duration, Instant};

use bitcoin::bip32::{ChildNumber, Xpub};
use bitcoin::secp256k1::Secp256k1;
use coffer_derive::{
    Arch, Children, Deriver, ExtendedPublicKey, IndexRange, Payloads, Scheme, verify,
};
use tiny_keccak::{Hasher, Keccak};

/// `m/86'/0'/0'` of BIP-86's test vector.
const XPUB: &str = "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ";
const ROUNDS: usize = 10;
/// On a busy machine more rounds are tried, for one that nothing interrupts.
const TRIED_FOR: Duration = Duration::from_millis(1500);

/// Microseconds per key.
fn time(keys: u32, mut work: impl FnMut()) -> f64 {
    let begun = Instant::now();
    let rounds = (0..).take_while(|round| *round < ROUNDS || begun.elapsed() < TRIED_FOR);
    let rounds = rounds.map(|_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e6 / f64::from(keys)
    });
    rounds.fold(f64::INFINITY, f64::min)
}

fn main() {
    let keys: u32 = std::env::args()
        .nth(1)
        .map_or(50_000, |n| n.parse().expect("a number of keys"));
    let xpub = Xpub::from_str(XPUB).expect("an extended key");
    let parent = ExtendedPublicKey {
        public_key: xpub.public_key.serialize(),
        chain_code: *xpub.chain_code.as_bytes(),
    };

    // One by one they take as long as thousands in bulk, and what is short is rarely interrupted.
    let few = keys.min(64);
    let mut expected = Vec::new();
    let plain = time(few, || expected = plain_evm(&xpub, few));
    println!("bitcoin ckd_pub + keccak   {plain:>7.3} µs  1.0 ×");

    let wanted = std::env::args().nth(2);
    let is_wanted = |arch: &&Arch| wanted.as_deref().is_none_or(|name| name == arch.name());
    for arch in Arch::available().iter().filter(is_wanted) {
        let start = Instant::now();
        let deriver = Deriver::with_arch(*arch);
        println!(
            "{}: table of {:.1} MiB built in {:.1} ms",
            arch.name(),
            deriver.table_bytes() as f64 / f64::from(1 << 20),
            start.elapsed().as_secs_f64() * 1e3
        );
        let mut payloads = Payloads::new();
        let range = IndexRange::try_new(0, few).expect("a range");
        deriver
            .payloads(&parent, Scheme::Keccak20, range, &mut payloads)
            .expect("children");
        assert!(
            payloads.as_bytes() == expected,
            "{arch:?} derives other addresses"
        );
        for scheme in Scheme::ALL {
            measure(&deriver, &parent, scheme, keys, plain);
        }
    }
}

fn measure(deriver: &Deriver, parent: &ExtendedPublicKey, scheme: Scheme, keys: u32, plain: f64) {
    let name = format!("{scheme:?}");
    let range = IndexRange::try_new(0, keys).expect("a range");
    let mut payloads = Payloads::new();
    let each = time(keys, || {
        deriver
            .payloads(parent, scheme, range, &mut payloads)
            .expect("children");
    });
    println!("  derive {name:<18} {each:>7.3} µs {:>5.1} ×", plain / each);

    let (mut children, mut of_children) = (Children::new(), Payloads::new());
    deriver
        .children(parent, range, &mut children)
        .expect("children");
    deriver
        .payloads_of(&mut children, scheme, &mut of_children)
        .expect("payloads");
    assert!(payloads == of_children);
    let claim = [(scheme, &of_children)];
    let proof = time(keys, || {
        deriver
            .prove(parent, range, &children, &claim, &[7; 32])
            .expect("a right batch");
    });
    let share = 100.0 * proof / each;
    println!("  prove  {name:<18} {proof:>7.3} µs {share:>4.0} % of deriving");

    let few = keys.min(500);
    let range = IndexRange::try_new(0, few).expect("a range");
    deriver
        .payloads(parent, scheme, range, &mut payloads)
        .expect("children");
    let start = Instant::now();
    verify(parent, scheme, 0, &payloads).expect("the same payloads");
    let each = start.elapsed().as_secs_f64() * 1e6 / f64::from(few);
    println!("  verify {name:<18} {each:>7.3} µs");
}

/// The last 20 bytes of each hash.
fn plain_evm(parent: &Xpub, keys: u32) -> Vec<u8> {
    let context = Secp256k1::verification_only();
    let mut payloads = Vec::with_capacity(20 * keys as usize);
    for index in 0..keys {
        let child = parent
            .ckd_pub(&context, ChildNumber::Normal { index })
            .expect("a child");
        let mut keccak = Keccak::v256();
        keccak.update(&child.public_key.serialize_uncompressed()[1..]);
        let mut hash = [0; 32];
        keccak.finalize(&mut hash);
        payloads.extend_from_slice(&hash[12..]);
    }
    payloads
}
