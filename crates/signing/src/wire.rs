//! Frames and messages on the channel to the signer.
//!
//! A frame is a length (u32, big-endian) and that many bytes of JSON; the length is checked before
//! anything is allocated. The client asks, the signer answers, one at a time; the first question is
//! [`Request::Hello`]. An answer is one frame, but for Solana keys: these come as they are derived, in as many
//! frames as [`SOLANA_KEYS_PER_FRAME`] makes of their number, at least one. Neither side holds more of them in frames
//! than one, and a client that reads slowly slows the derivation down. Unknown fields and unknown messages are refused, so that a newer peer cannot be
//! half understood. No [`Response`] has a place for a private key, a seed or a mnemonic.
//! Every buffer that a frame passes through is wiped, because one of them carries the [`SealKey`].

use std::io::{self, Read, Write};

use coffer_domain::address::{AddressKind, BitcoinNetwork};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::encoding::{base64_bytes, hex_bytes, name, seal_key};
use crate::{AccountDescriptor, AccountSpec, SealKey, SignedDescriptor, SignerIdentity};

/// Raised when a message changes its meaning; both sides must name the same one.
pub const PROTOCOL_VERSION: u32 = 2;
/// Of one frame of an answer: 1,024 Solana keys take 43 KiB.
pub const RESPONSE_LIMIT_BYTES: u32 = 64 << 10;
/// Of a question; all of them are short.
pub const REQUEST_LIMIT_BYTES: u32 = 4 << 10;
/// The most Solana keys in one question.
pub const SOLANA_KEYS_MAX: u32 = 65_536;
/// Solana keys in each frame of their answer but the last, which has the rest.
pub const SOLANA_KEYS_PER_FRAME: u32 = 1024;
/// A hardened child number is below this (BIP-32).
pub const HARDENED_CHILDREN: u32 = 1 << 31;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    Hello {
        protocol: u32,
    },
    Identity {},
    SealKey {},
    AccountDescriptors {
        account: u32,
        #[serde(with = "name")]
        bitcoin_network: BitcoinNetwork,
    },
    SolanaPublicKeys {
        first_child: u32,
        count: u32,
    },
}

/// No `Debug`: descriptors are confidential, the seal key is secret.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Response {
    Hello {
        protocol: u32,
        identity: Identity,
    },
    Identity {
        identity: Identity,
    },
    SealKey {
        #[serde(with = "seal_key")]
        key: SealKey,
    },
    AccountDescriptors {
        descriptors: Vec<Descriptor>,
    },
    SolanaPublicKeys {
        /// The child of the frame's first key: a frame lost or sent twice shows.
        first_child: u32,
        /// 32 bytes each, one after the other, as Base64.
        #[serde(with = "base64_bytes")]
        keys: Vec<u8>,
    },
    /// The signer will not do this; the connection goes on.
    Refused {
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    #[serde(with = "hex_bytes")]
    pub attestation_public_key: [u8; 32],
    pub version: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descriptor {
    #[serde(with = "name")]
    pub kind: AddressKind,
    pub account: u32,
    #[serde(with = "name")]
    pub bitcoin_network: BitcoinNetwork,
    #[serde(with = "hex_bytes")]
    pub public_key: [u8; 33],
    #[serde(with = "hex_bytes")]
    pub chain_code: [u8; 32],
    #[serde(with = "hex_bytes")]
    pub master_fingerprint: [u8; 4],
    #[serde(with = "hex_bytes")]
    pub signature: [u8; 64],
}

/// Why a frame was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("a frame of {length} bytes is over the limit of {limit}")]
    TooLarge { length: u64, limit: u32 },
    /// The frame was read whole, so the next one can still be read. The position alone is told: the
    /// text at fault may be confidential.
    #[error("a message that is not of the protocol, at byte {column}")]
    Malformed { column: usize },
}

/// `Ok(None)` at the end of the channel.
pub fn read_request(channel: &mut impl Read) -> Result<Option<Request>, WireError> {
    read_frame(channel, REQUEST_LIMIT_BYTES)?
        .map(|frame| decode(&frame))
        .transpose()
}

pub fn write_request(channel: &mut impl Write, request: &Request) -> Result<(), WireError> {
    write_frame(channel, request, REQUEST_LIMIT_BYTES)
}

/// `Ok(None)` at the end of the channel.
pub fn read_response(channel: &mut impl Read) -> Result<Option<Response>, WireError> {
    read_frame(channel, RESPONSE_LIMIT_BYTES)?
        .map(|frame| decode(&frame))
        .transpose()
}

pub fn write_response(channel: &mut impl Write, response: &Response) -> Result<(), WireError> {
    write_frame(channel, response, RESPONSE_LIMIT_BYTES)
}

fn decode<'a, T: Deserialize<'a>>(frame: &'a [u8]) -> Result<T, WireError> {
    serde_json::from_slice(frame).map_err(|error| WireError::Malformed {
        column: error.column(),
    })
}

fn read_frame(
    channel: &mut impl Read,
    limit: u32,
) -> Result<Option<Zeroizing<Vec<u8>>>, WireError> {
    let mut header = [0; 4];
    let first = loop {
        match channel.read(&mut header) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    if first == 0 {
        return Ok(None);
    }
    channel.read_exact(&mut header[first..])?;
    let length = u32::from_be_bytes(header);
    if length > limit {
        return Err(WireError::TooLarge {
            length: length.into(),
            limit,
        });
    }
    let mut frame = Zeroizing::new(vec![0; length as usize]);
    channel.read_exact(&mut frame)?;
    Ok(Some(frame))
}

fn write_frame(
    channel: &mut impl Write,
    message: &impl Serialize,
    limit: u32,
) -> Result<(), WireError> {
    // A growing `Vec` leaves its old self behind unwiped. The only secret message fits the first
    // allocation many times over; the long ones are public.
    let mut frame = Zeroizing::new(Vec::with_capacity(4096));
    frame.extend_from_slice(&[0; 4]);
    serde_json::to_writer(&mut *frame, message).map_err(io::Error::from)?;
    let length = frame.len() as u64 - 4;
    let header = u32::try_from(length)
        .ok()
        .filter(|length| *length <= limit)
        .ok_or(WireError::TooLarge { length, limit })?;
    frame[..4].copy_from_slice(&header.to_be_bytes());
    channel.write_all(&frame)?;
    Ok(channel.flush()?)
}

impl From<&SignerIdentity> for Identity {
    fn from(identity: &SignerIdentity) -> Self {
        Self {
            attestation_public_key: identity.attestation_public_key,
            version: identity.version.clone(),
        }
    }
}

impl From<Identity> for SignerIdentity {
    fn from(identity: Identity) -> Self {
        Self {
            attestation_public_key: identity.attestation_public_key,
            version: identity.version,
        }
    }
}

impl From<&SignedDescriptor> for Descriptor {
    fn from(signed: &SignedDescriptor) -> Self {
        let descriptor = &signed.descriptor;
        Self {
            kind: descriptor.kind,
            account: descriptor.spec.account,
            bitcoin_network: descriptor.spec.bitcoin_network,
            public_key: descriptor.public_key,
            chain_code: descriptor.chain_code,
            master_fingerprint: descriptor.master_fingerprint,
            signature: signed.signature,
        }
    }
}

impl From<Descriptor> for SignedDescriptor {
    fn from(wire: Descriptor) -> Self {
        Self {
            descriptor: AccountDescriptor {
                kind: wire.kind,
                spec: AccountSpec {
                    account: wire.account,
                    bitcoin_network: wire.bitcoin_network,
                },
                public_key: wire.public_key,
                chain_code: wire.chain_code,
                master_fingerprint: wire.master_fingerprint,
            },
            signature: wire.signature,
        }
    }
}
