//! From a point to a payload: the hashes of the first implementation.

use ripemd::Ripemd160;
use sha2::{Digest, Sha256};
use sha3::Keccak256;

pub(crate) fn keccak20(x: &[u8; 32], y: &[u8; 32]) -> [u8; 20] {
    let hash = Keccak256::new().chain_update(x).chain_update(y).finalize();
    let mut payload = [0; 20];
    payload.copy_from_slice(&hash[12..]);
    payload
}

pub(crate) fn hash160(x: &[u8; 32], y_is_odd: bool) -> [u8; 20] {
    let sha = Sha256::new()
        .chain_update([2 + u8::from(y_is_odd)])
        .chain_update(x)
        .finalize();
    Ripemd160::digest(sha).into()
}

/// The tagged hash `TapTweak` of [BIP-341](https://github.com/bitcoin/bips/blob/master/bip-0341.mediawiki),
/// with the state after the tag kept.
pub(crate) struct TapTweak(Sha256);

impl TapTweak {
    pub(crate) fn new() -> Self {
        let tag = Sha256::digest(b"TapTweak");
        Self(Sha256::new().chain_update(tag).chain_update(tag))
    }

    /// The tweak of an output without script path.
    pub(crate) fn of(&self, internal_key: &[u8; 32]) -> [u8; 32] {
        self.0.clone().chain_update(internal_key).finalize().into()
    }
}
