//! A vault's account keys: encrypted at rest, checked against the attestation key, kept in memory.

use coffer_derive::ExtendedPublicKey;
use coffer_domain::address::AddressKind;
use coffer_domain::id::VaultId;
use coffer_domain::vault::Vault;
use coffer_signing::{AccountDescriptor, AccountSpec, SignedDescriptor};
use coffer_store::vaults::VaultRow;
use zeroize::Zeroizing;

use crate::Error;
use crate::seal::{SealKeys, refused};

/// What derivation needs of one account. Extended public keys are confidential: no `Debug`.
pub(crate) struct AccountKeys {
    pub(crate) vault: VaultId,
    pub(crate) spec: AccountSpec,
    descriptors: Vec<AccountDescriptor>,
    /// The keys of `m/…/a'/0`, whose children are the addresses.
    parents: Vec<(AddressKind, ExtendedPublicKey)>,
}

/// Bytes of one descriptor at rest: kind, public key, chain code, fingerprint, signature.
const STORED_LEN: usize = 1 + 33 + 32 + 4 + 64;

/// The form that is encrypted: fixed-length records one after the other.
pub(crate) fn pack(descriptors: &[SignedDescriptor]) -> Zeroizing<Vec<u8>> {
    let mut packed = Zeroizing::new(Vec::with_capacity(descriptors.len() * STORED_LEN));
    for signed in descriptors {
        let descriptor = &signed.descriptor;
        packed.push(descriptor.kind.code());
        packed.extend_from_slice(&descriptor.public_key);
        packed.extend_from_slice(&descriptor.chain_code);
        packed.extend_from_slice(&descriptor.master_fingerprint);
        packed.extend_from_slice(&signed.signature);
    }
    packed
}

fn unpack(packed: &[u8], spec: AccountSpec) -> Option<Vec<SignedDescriptor>> {
    let record = |record: &[u8]| {
        let (kind, rest) = record.split_first()?;
        let (public_key, rest) = rest.split_first_chunk::<33>()?;
        let (chain_code, rest) = rest.split_first_chunk::<32>()?;
        let (master_fingerprint, rest) = rest.split_first_chunk::<4>()?;
        let descriptor = AccountDescriptor {
            kind: AddressKind::from_code(i64::from(*kind))?,
            spec,
            public_key: *public_key,
            chain_code: *chain_code,
            master_fingerprint: *master_fingerprint,
        };
        Some(SignedDescriptor {
            descriptor,
            signature: rest.try_into().ok()?,
        })
    };
    packed
        .len()
        .is_multiple_of(STORED_LEN)
        .then(|| packed.chunks(STORED_LEN).map(record).collect())?
}

impl AccountKeys {
    /// Decrypts what the vault's row holds and verifies every signature under the pinned key.
    pub(crate) fn open(seals: &SealKeys, row: &VaultRow) -> Result<Self, Error> {
        let vault = &row.vault;
        let spec = spec_of(vault);
        let packed = seals.decrypt_descriptors(vault.id, &row.encrypted_descriptors)?;
        let signed = unpack(&packed, spec)
            .ok_or_else(|| refused(format!("the account descriptors of {}", vault.id)))?;
        Self::from_signed(vault, &signed)
    }

    pub(crate) fn from_signed(vault: &Vault, signed: &[SignedDescriptor]) -> Result<Self, Error> {
        let mut parents = Vec::with_capacity(signed.len());
        for signed in signed {
            signed
                .verify(&vault.attestation_public_key)
                .map_err(|error| {
                    refused(format!("an account descriptor of {} ({error})", vault.id))
                })?;
            let descriptor = &signed.descriptor;
            let account = ExtendedPublicKey {
                public_key: descriptor.public_key,
                chain_code: descriptor.chain_code,
            };
            let parent = account
                .child(0)
                .map_err(|error| Error::Internal(format!("account key: {error}")))?;
            parents.push((descriptor.kind, parent));
        }
        let descriptors = signed
            .iter()
            .map(|signed| signed.descriptor.clone())
            .collect();
        Ok(Self {
            vault: vault.id,
            spec: spec_of(vault),
            descriptors,
            parents,
        })
    }

    /// The key whose children are the addresses of `kind`; none for Solana.
    pub(crate) fn parent(&self, kind: AddressKind) -> Option<&ExtendedPublicKey> {
        self.parents
            .iter()
            .find(|(own, _)| *own == kind)
            .map(|(_, parent)| parent)
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        coffer_signing::descriptors_digest(&self.descriptors)
    }
}

pub(crate) fn spec_of(vault: &Vault) -> AccountSpec {
    AccountSpec {
        account: vault.account,
        bitcoin_network: vault.bitcoin_network,
    }
}
