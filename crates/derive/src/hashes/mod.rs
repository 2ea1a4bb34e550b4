//! From an index to a scalar and from a point to a payload: the hashes of the first implementation, over
//! slices of keys.
//!
//! One key lies in each lane of a vector. Slices have any length: what is left over at the end takes one more
//! vector whose other lanes nobody reads. Without vectors the crates `sha2`, `sha3` and `ripemd` do the work.
//!
//! Cost on a core of Sapphire Rapids with AVX-512: some 86 ns a key for the HMAC, 47 for Keccak, 32
//! for HASH160, 23 for the tweak of Taproot (`examples/hashes.rs` measures them).

mod child_hmac;
mod hash160;
mod keccak;
mod ripemd160;
pub(crate) mod second;
mod sha256;
mod sha512;
mod tap_tweak;
mod words;

pub(crate) use child_hmac::ChildHmac;
pub(crate) use hash160::hash160;
pub(crate) use keccak::keccak20;
pub(crate) use tap_tweak::TapTweak;

#[cfg(test)]
mod tests;
