//! The EVM chains: one address serves all of them.
//!
//! Text form is [EIP-55](https://eips.ethereum.org/EIPS/eip-55): hexadecimal digits whose letter case is the
//! checksum. A text all in one case carries no checksum and is accepted, as the standard asks; a text in
//! mixed case must carry the right one. The chain-dependent variant of EIP-1191 is not used.

pub mod address;
