//! From a range of indexes to verified address payloads.
//!
//! Each payload of a non-hardened chain is derived by `derive` and then, one by one, by libsecp256k1; the
//! two must agree. Solana's public keys come from the signer, which checks them itself in the same way.
//! Blocking; call it where blocking is allowed.

use std::sync::OnceLock;

use coffer_derive::{Deriver, IndexRange, Payloads, Scheme, VerifyError, verify};
use coffer_domain::address::{AddressKind, AddressKinds, AddressPayload, solana_child};
use coffer_signing::Signer;

use super::AccountKeys;
use crate::Error;

/// The table that derivation works with, built at first use.
#[derive(Default)]
pub(crate) struct Derivation(OnceLock<Deriver>);

/// Payloads of a contiguous range, per kind.
pub(crate) struct Derived {
    first_index: u32,
    per_kind: Vec<(AddressKind, Payloads)>,
}

impl Derived {
    /// The payloads of one index for `kinds`, in the order of the kinds; `None` outside of what was derived.
    pub(crate) fn of(&self, index: u32, kinds: AddressKinds) -> Option<Vec<AddressPayload>> {
        let position = usize::try_from(index.checked_sub(self.first_index)?).ok()?;
        kinds
            .iter()
            .map(|kind| {
                let (_, payloads) = self.per_kind.iter().find(|(own, _)| *own == kind)?;
                AddressPayload::try_new(kind, payloads.get(position)?)
            })
            .collect()
    }
}

fn scheme(kind: AddressKind) -> Option<Scheme> {
    match kind {
        AddressKind::Evm | AddressKind::Tron => Some(Scheme::Keccak20),
        AddressKind::BitcoinP2wpkh => Some(Scheme::Hash160),
        AddressKind::BitcoinP2tr => Some(Scheme::Taproot),
        AddressKind::Solana => None,
    }
}

impl Derivation {
    /// Derives and verifies; on a disagreement nothing is handed out.
    pub(crate) fn derive(
        &self,
        signer: &dyn Signer,
        account: &AccountKeys,
        kinds: AddressKinds,
        (first_index, count): (u32, u32),
    ) -> Result<Derived, Error> {
        let mut per_kind = Vec::with_capacity(5);
        for kind in kinds.iter() {
            let payloads = match scheme(kind) {
                Some(scheme) => self.derive_kind(account, kind, scheme, (first_index, count))?,
                None => solana(signer, account, (first_index, count))?,
            };
            per_kind.push((kind, payloads));
        }
        Ok(Derived {
            first_index,
            per_kind,
        })
    }

    /// The payloads of one kind by the first implementation alone. For looking whether an address may be
    /// ours; what is handed out or credited is derived by both, see [`Self::derive`].
    pub(crate) fn derive_once(
        &self,
        account: &AccountKeys,
        kind: AddressKind,
        (first, count): (u32, u32),
    ) -> Result<Payloads, Error> {
        let failed = |error: &dyn std::fmt::Display| {
            Error::Internal(format!("deriving {kind} addresses: {error}"))
        };
        let scheme = scheme(kind).ok_or_else(|| failed(&"the signer alone derives them"))?;
        let parent = account
            .parent(kind)
            .ok_or_else(|| failed(&"the vault has no such account"))?;
        let range = IndexRange::try_new(first, count).map_err(|error| failed(&error))?;
        let mut payloads = Payloads::new();
        self.0
            .get_or_init(Deriver::new)
            .payloads(parent, scheme, range, &mut payloads)
            .map_err(|error| failed(&error))?;
        Ok(payloads)
    }

    fn derive_kind(
        &self,
        account: &AccountKeys,
        kind: AddressKind,
        scheme: Scheme,
        (first, count): (u32, u32),
    ) -> Result<Payloads, Error> {
        let failed = |error: &dyn std::fmt::Display| {
            Error::Internal(format!("deriving {kind} addresses: {error}"))
        };
        let parent = account
            .parent(kind)
            .ok_or_else(|| failed(&"the vault has no such account"))?;
        let range = IndexRange::try_new(first, count).map_err(|error| failed(&error))?;
        let mut payloads = Payloads::new();
        let started = std::time::Instant::now();
        let deriver = self.0.get_or_init(Deriver::new);
        deriver
            .payloads(parent, scheme, range, &mut payloads)
            .map_err(|error| failed(&error))?;
        metrics::histogram!("coffer_derive_seconds", "kind" => kind.name())
            .record(started.elapsed());
        let started = std::time::Instant::now();
        if let Err(error) = verify(parent, scheme, first, &payloads) {
            return Err(disagreement(account, kind, &error));
        }
        metrics::histogram!("coffer_verify_seconds", "kind" => kind.name())
            .record(started.elapsed());
        Ok(payloads)
    }
}

fn disagreement(account: &AccountKeys, kind: AddressKind, error: &VerifyError) -> Error {
    metrics::counter!("coffer_verify_mismatches_total").increment(1);
    tracing::error!(vault = %account.vault, %kind, %error, alarm = "derivation", "two implementations disagree; nothing was handed out");
    Error::Internal(format!(
        "deriving {kind} addresses: {error}; nothing was handed out"
    ))
}

fn solana(
    signer: &dyn Signer,
    account: &AccountKeys,
    (first, count): (u32, u32),
) -> Result<Payloads, Error> {
    let last = first + count.saturating_sub(1);
    let child = |index| {
        solana_child(account.spec.account, index).ok_or_else(|| {
            Error::IndexExhausted(format!(
                "index {index} is beyond the Solana range of account {}",
                account.spec.account
            ))
        })
    };
    let (first_child, _) = (child(first)?, child(last)?);
    let started = std::time::Instant::now();
    let keys = signer.solana_public_keys(first_child, count)?;
    metrics::histogram!("coffer_derive_seconds", "kind" => AddressKind::Solana.name())
        .record(started.elapsed());
    Payloads::from_bytes(32, keys.concat())
        .ok_or_else(|| Error::Internal("the signer's Solana keys have a wrong length".to_owned()))
}
