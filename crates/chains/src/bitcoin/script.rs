//! Locking scripts of the two kinds that are ours, by their bytes alone.

use coffer_domain::address::{AddressKind, AddressPayload};

const OP_0: u8 = 0x00;
const OP_1: u8 = 0x51;
const PUSH_20: u8 = 20;
const PUSH_32: u8 = 32;

/// Whom a script pays: a key hash of version 0 or an output key of version 1; `None` for every other script.
#[must_use]
pub fn payload(script: &[u8]) -> Option<AddressPayload> {
    match script {
        [OP_0, PUSH_20, program @ ..] => {
            AddressPayload::try_new(AddressKind::BitcoinP2wpkh, program)
        }
        [OP_1, PUSH_32, program @ ..] => AddressPayload::try_new(AddressKind::BitcoinP2tr, program),
        _ => None,
    }
}

/// The script that pays an address; `None` for one of another family.
#[must_use]
pub fn script(payload: &AddressPayload) -> Option<Vec<u8>> {
    let head = match payload.kind() {
        AddressKind::BitcoinP2wpkh => [OP_0, PUSH_20],
        AddressKind::BitcoinP2tr => [OP_1, PUSH_32],
        _ => return None,
    };
    Some([&head[..], payload.bytes()].concat())
}
