//! The first baseline: one address after the other, on one thread.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::Instant;

use anyhow::{Context, Result};
use bitcoin::bip32::{ChainCode, ChildNumber, Fingerprint, Xpub};
use bitcoin::hashes::{Hash, hash160};
use bitcoin::key::TapTweak;
use bitcoin::secp256k1::{All, PublicKey, Secp256k1};
use coffer_domain::address::{AddressKind, AddressKinds, AddressPayload, BitcoinNetwork};
use coffer_keys::{MasterSeed, Mnemonic};
use tiny_keccak::{Hasher, Keccak};

use super::Measured;
use crate::MNEMONIC;

const ONE: NonZeroUsize = NonZeroUsize::MIN;

/// Derives and encodes the addresses of `rows` customers for all `chains`.
pub(super) fn sequential(chains: &str, rows: u32) -> Result<Measured> {
    let kinds: AddressKinds = chains.parse().map_err(|error| anyhow::anyhow!("{error}"))?;
    let words = Mnemonic::parse(MNEMONIC).map_err(|error| anyhow::anyhow!("{error}"))?;
    let seed = words.seed();
    let context = Secp256k1::new();
    let mut parents = Vec::new();
    for kind in kinds.iter().filter(|kind| *kind != AddressKind::Solana) {
        parents.push((kind, parent(&context, &seed, kind)?));
    }
    let started = Instant::now();
    for index in 0..rows {
        for (kind, parent) in &parents {
            let child = parent.ckd_pub(&context, ChildNumber::from_normal_idx(index)?)?;
            black_box(text(*kind, &payload(&context, *kind, &child.public_key))?);
        }
        if kinds.contains(AddressKind::Solana) {
            let keys = seed.solana_public_keys(index, 1, ONE)?;
            black_box(text(AddressKind::Solana, &keys[0])?);
        }
    }
    Ok(Measured {
        rows,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// The key at `m/…/0'/0`, whose children are the addresses.
fn parent(context: &Secp256k1<All>, seed: &MasterSeed, kind: AddressKind) -> Result<Xpub> {
    let account = seed.account_public_key(kind, BitcoinNetwork::Mainnet, 0)?;
    let account = Xpub {
        network: bitcoin::NetworkKind::Main,
        depth: 3,
        parent_fingerprint: Fingerprint::default(),
        child_number: ChildNumber::Normal { index: 0 },
        public_key: PublicKey::from_slice(&account.public_key)?,
        chain_code: ChainCode::from(account.chain_code),
    };
    Ok(account.ckd_pub(context, ChildNumber::from_normal_idx(0)?)?)
}

fn payload(context: &Secp256k1<All>, kind: AddressKind, key: &PublicKey) -> Vec<u8> {
    match kind {
        AddressKind::BitcoinP2wpkh => hash160::Hash::hash(&key.serialize())
            .as_byte_array()
            .to_vec(),
        AddressKind::BitcoinP2tr => {
            let (output, _) = key.x_only_public_key().0.tap_tweak(context, None);
            output.to_x_only_public_key().serialize().to_vec()
        }
        _ => {
            let mut keccak = Keccak::v256();
            keccak.update(&key.serialize_uncompressed()[1..]);
            let mut hash = [0; 32];
            keccak.finalize(&mut hash);
            hash[12..].to_vec()
        }
    }
}

fn text(kind: AddressKind, payload: &[u8]) -> Result<String> {
    let payload =
        AddressPayload::try_new(kind, payload).context("a payload of the right length")?;
    Ok(coffer_chains::encode(&payload, BitcoinNetwork::Mainnet))
}
