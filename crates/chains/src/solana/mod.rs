//! Solana: 32 bytes of an Ed25519 public key in base58, with no checksum.
//!
//! Any base58 text of 32 bytes parses, so a typing error is found only when the length changes or
//! when the address is looked up.

pub mod address;
