//! Both implementations against the standards' vectors and against each other.

mod agreement;
mod edges;
mod vectors;

use std::str::FromStr;
use std::sync::OnceLock;

use bitcoin::bip32::Xpub;
use coffer_derive::{Deriver, ExtendedPublicKey, IndexRange, Payloads, Scheme};

/// The table is built once for all tests.
fn deriver() -> &'static Deriver {
    static DERIVER: OnceLock<Deriver> = OnceLock::new();
    DERIVER.get_or_init(Deriver::new)
}

fn key(xpub: &str) -> ExtendedPublicKey {
    let xpub = Xpub::from_str(xpub).expect("an extended public key");
    ExtendedPublicKey {
        public_key: xpub.public_key.serialize(),
        chain_code: *xpub.chain_code.as_bytes(),
    }
}

fn payloads(parent: &ExtendedPublicKey, scheme: Scheme, first: u32, count: u32) -> Payloads {
    let mut out = Payloads::new();
    let range = IndexRange::try_new(first, count).expect("a range");
    deriver()
        .payloads(parent, scheme, range, &mut out)
        .expect("children");
    out
}
