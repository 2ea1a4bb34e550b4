//! Bitcoin: SegWit version 0 key hashes (BIP-84) and Taproot key paths (BIP-86).
//!
//! Text forms are Bech32 ([BIP-173](https://github.com/bitcoin/bips/blob/master/bip-0173.mediawiki)) for
//! version 0 and Bech32m ([BIP-350](https://github.com/bitcoin/bips/blob/master/bip-0350.mediawiki)) for
//! version 1. The checksums are checked with the variant that the witness version asks for. Script hashes
//! and later versions are valid Bitcoin addresses and are refused by name: none of them is ours.

pub mod address;
