//! Bitcoin: SegWit version 0 key hashes (BIP-84), Taproot key paths (BIP-86), and blocks that pay to them.
//!
//! Text forms are Bech32 ([BIP-173](https://github.com/bitcoin/bips/blob/master/bip-0173.mediawiki)) for
//! version 0 and Bech32m ([BIP-350](https://github.com/bitcoin/bips/blob/master/bip-0350.mediawiki)) for
//! version 1. The checksums are checked with the variant that the witness version asks for. Script hashes
//! and later versions are valid Bitcoin addresses and are refused by name: none of them is ours.
//!
//! A block is believed as far as it hashes to its hash: [`block`] recomputes the header's hash, checks its proof of
//! work, and the transactions and witnesses against the roots that the header covers.
//! Hashes are written as nodes print them, the last byte of the computed hash first.
//!
//! Of the work it is checked that the target which the header claims is no easier than the network's limit, and that
//! the header's hash meets that target. That the claimed target is the one which the chain before the block asks for
//! (the retarget rule) is consensus, which k nodes have checked before they name the hash; so is the total work.
//! What the check adds is that nobody gives us a made-up block of the main network without the least work of one.
//! Deliberately not here: asking a node, whose an output is, scripts and signatures (a block that k nodes took has
//! valid ones), and the difficulty that the chain before the block asked for.

pub mod address;
pub mod block;
mod error;
mod merkle;
pub mod script;

#[cfg(test)]
mod tests;

pub use error::BitcoinError;
