//! The EVM chains: one address serves all of them, and one reader all their blocks.
//!
//! Text form is [EIP-55](https://eips.ethereum.org/EIPS/eip-55): hexadecimal digits whose letter case is the
//! checksum. A text all in one case carries no checksum and is accepted, as the standard asks; a text in
//! mixed case must carry the right one. The chain-dependent variant of EIP-1191 is not used.
//!
//! What a node says of a block is believed as far as it hashes to the block's hash: [`block`] recomputes the
//! header's hash and the roots of transactions and withdrawals, [`receipt`] that of the receipts. What no root
//! covers ([`trace`], [`abi`]) is only decoded here; the reader needs more than one node for it.
//!
//! Deliberately not here: asking a node, and which address is whose. A block whose header has fields of a fork
//! that this program does not know, or a transaction of an unknown type, does not verify and is never guessed at.
//! Cost: one hash per trie node and log; a sender takes a signature recovery, and is computed only when asked for.

pub mod abi;
pub mod address;
pub mod block;
mod error;
pub mod receipt;
pub mod trace;
pub mod transaction;
pub mod transfer;

#[cfg(test)]
mod tests;

use alloy_primitives::Address;
use coffer_domain::address::{AddressKind, AddressPayload};

pub use error::EvmError;

/// The payload of an EVM address.
#[must_use]
pub fn payload(address: Address) -> AddressPayload {
    AddressPayload::try_new(AddressKind::Evm, address.as_slice())
        .expect("an EVM payload has 20 bytes")
}

/// `None` for an address of another family.
#[must_use]
pub fn address_of(payload: &AddressPayload) -> Option<Address> {
    (payload.kind() == AddressKind::Evm).then(|| Address::from_slice(payload.bytes()))
}
