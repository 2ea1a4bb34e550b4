//! From a range of indexes to verified address payloads.
//!
//! What `derive` gives for a non-hardened chain is not believed: a batch is proven as a whole (see
//! [`Deriver::prove`]), a few are derived anew, one by one, by libsecp256k1. A batch whose proof fails is derived
//! again by plain code and checked one by one, counted, and raises an alarm; what fails there, too, is not handed out.
//! Solana's public keys come from the signer, which proves them itself. Blocking; call it where blocking is
//! allowed.

use std::sync::{Arc, OnceLock};

use coffer_derive::{
    Arch, Children, Deriver, ExtendedPublicKey, IndexRange, Payloads, Scheme, VerifyError, verify,
};
use coffer_domain::address::{AddressKind, AddressKinds, AddressPayload, solana_child};
use coffer_signing::Signer;

use super::AccountKeys;
use crate::{Entropy, Error};

/// Below it the fixed cost of a proof is more than that of deriving each anew.
const PROVEN_FROM: u32 = 32;

/// What derivation works with; its table is built at first use.
pub(crate) struct Derivation {
    deriver: OnceLock<Deriver>,
    entropy: Arc<dyn Entropy>,
}

/// Whose children a range of payloads is.
#[derive(Clone, Copy)]
struct Asked<'a> {
    parent: &'a ExtendedPublicKey,
    scheme: Scheme,
    range: IndexRange,
}

impl<'a> Asked<'a> {
    fn try_new(
        account: &'a AccountKeys,
        kind: AddressKind,
        (first, count): (u32, u32),
    ) -> Result<Self, Error> {
        let scheme = scheme(kind).ok_or_else(|| failed(kind, &"the signer alone derives them"))?;
        let parent = account
            .parent(kind)
            .ok_or_else(|| failed(kind, &"the vault has no such account"))?;
        let range = IndexRange::try_new(first, count).map_err(|error| failed(kind, &error))?;
        Ok(Self {
            parent,
            scheme,
            range,
        })
    }
}

fn failed(kind: AddressKind, error: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("deriving {kind} addresses: {error}"))
}

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
    pub(crate) fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self {
            deriver: OnceLock::new(),
            entropy,
        }
    }

    fn deriver(&self) -> &Deriver {
        self.deriver.get_or_init(Deriver::new)
    }

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
                Some(_) => self.derive_kind(account, kind, (first_index, count))?,
                None => solana(signer, account, (first_index, count))?,
            };
            per_kind.push((kind, payloads));
        }
        Ok(Derived {
            first_index,
            per_kind,
        })
    }

    /// Whether `payload` is that of `index`, by the second implementation alone; true of a kind that only the
    /// signer derives.
    pub(crate) fn derives(
        account: &AccountKeys,
        index: u32,
        payload: &AddressPayload,
    ) -> Result<bool, Error> {
        let kind = payload.kind();
        if scheme(kind).is_none() {
            return Ok(true);
        }
        let asked = Asked::try_new(account, kind, (index, 1))?;
        let bytes = payload.bytes().to_vec();
        let payloads = Payloads::from_bytes(kind.payload_len(), bytes)
            .ok_or_else(|| failed(kind, &"a payload of a wrong length"))?;
        Ok(verify(asked.parent, asked.scheme, index, &payloads).is_ok())
    }

    /// The payloads of one kind by the first implementation alone. For looking whether an address may be
    /// ours; what is handed out or credited is derived by both, see [`Self::derive`].
    pub(crate) fn derive_once(
        &self,
        account: &AccountKeys,
        kind: AddressKind,
        range: (u32, u32),
    ) -> Result<Payloads, Error> {
        let Asked {
            parent,
            scheme,
            range,
        } = Asked::try_new(account, kind, range)?;
        let mut payloads = Payloads::new();
        self.deriver()
            .payloads(parent, scheme, range, &mut payloads)
            .map_err(|error| failed(kind, &error))?;
        Ok(payloads)
    }

    fn derive_kind(
        &self,
        account: &AccountKeys,
        kind: AddressKind,
        range: (u32, u32),
    ) -> Result<Payloads, Error> {
        let asked = Asked::try_new(account, kind, range)?;
        let (mut children, mut payloads) = (Children::new(), Payloads::new());
        let started = std::time::Instant::now();
        let deriver = self.deriver();
        deriver
            .children(asked.parent, asked.range, &mut children)
            .and_then(|()| deriver.payloads_of(&mut children, asked.scheme, &mut payloads))
            .map_err(|error| failed(kind, &error))?;
        metrics::histogram!("coffer_derive_seconds", "kind" => kind.name())
            .record(started.elapsed());
        let started = std::time::Instant::now();
        let payloads = match self.check(asked, &children, &payloads)? {
            Ok(()) => payloads,
            Err(error) => {
                alarm(account, kind, &error);
                again(asked).map_err(|error| disagreement(account, kind, &error))?
            }
        };
        metrics::histogram!("coffer_verify_seconds", "kind" => kind.name())
            .record(started.elapsed());
        Ok(payloads)
    }

    /// The second implementation's judgement; an error of its own when there is no randomness for it.
    fn check(
        &self,
        asked: Asked<'_>,
        children: &Children,
        payloads: &Payloads,
    ) -> Result<Result<(), VerifyError>, Error> {
        let Asked {
            parent,
            scheme,
            range,
        } = asked;
        if range.count() < PROVEN_FROM {
            return Ok(verify(parent, scheme, range.first(), payloads));
        }
        let randomness = crate::clock::random(self.entropy.as_ref())?;
        let claimed = [(scheme, payloads)];
        Ok(self
            .deriver()
            .prove(parent, range, children, &claimed, &randomness))
    }
}

/// The slow way: plain code, and each key derived anew by libsecp256k1.
fn again(asked: Asked<'_>) -> Result<Payloads, String> {
    let mut payloads = Payloads::new();
    Deriver::with_arch(Arch::Portable)
        .payloads(asked.parent, asked.scheme, asked.range, &mut payloads)
        .map_err(|error| error.to_string())?;
    verify(asked.parent, asked.scheme, asked.range.first(), &payloads)
        .map_err(|error| error.to_string())?;
    Ok(payloads)
}

fn alarm(account: &AccountKeys, kind: AddressKind, error: &VerifyError) {
    metrics::counter!("coffer_verify_mismatches_total").increment(1);
    tracing::error!(vault = %account.vault, %kind, %error, alarm = "derivation", "two implementations disagree; the batch is derived again by the slow way");
}

fn disagreement(account: &AccountKeys, kind: AddressKind, error: &str) -> Error {
    tracing::error!(vault = %account.vault, %kind, error, alarm = "derivation", "the slow way disagrees, too; nothing was handed out");
    failed(kind, &format_args!("{error}; nothing was handed out"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsEntropy;

    fn parent() -> ExtendedPublicKey {
        // The base point as a key, with any chain code.
        let x = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
        ExtendedPublicKey {
            public_key: hex::decode(x)
                .expect("hexadecimal")
                .try_into()
                .expect("33 bytes"),
            chain_code: [7; 32],
        }
    }

    /// What is derived is damaged before it is judged: it is refused, and the slow way gives what is right.
    fn check(scheme: Scheme, count: u32) {
        let derivation = Derivation::new(Arc::new(OsEntropy));
        let parent = parent();
        let asked = Asked {
            parent: &parent,
            scheme,
            range: IndexRange::try_new(5, count).expect("in range"),
        };
        let (mut children, mut payloads) = (Children::new(), Payloads::new());
        let deriver = derivation.deriver();
        deriver
            .children(&parent, asked.range, &mut children)
            .expect("derives");
        deriver
            .payloads_of(&mut children, scheme, &mut payloads)
            .expect("hashes");
        let judged = derivation.check(asked, &children, &payloads);
        assert_eq!(judged.expect("judges"), Ok(()));
        let mut bytes = payloads.as_bytes().to_vec();
        bytes[3] ^= 1;
        let damaged = Payloads::from_bytes(scheme.payload_len(), bytes).expect("whole records");
        let judged = derivation.check(asked, &children, &damaged);
        assert_eq!(
            judged.expect("judges"),
            Err(VerifyError::Mismatch { index: 5 })
        );
        assert_eq!(again(asked), Ok(payloads));
    }

    #[test]
    fn a_damaged_batch_is_refused_and_derived_again() {
        for scheme in Scheme::ALL {
            check(scheme, 1);
            check(scheme, PROVEN_FROM);
        }
    }

    #[test]
    fn without_randomness_nothing_is_proven() {
        struct None;
        impl Entropy for None {
            fn fill(&self, _: &mut [u8]) -> Result<(), Error> {
                Err(Error::Internal("none".to_owned()))
            }
        }
        let derivation = Derivation::new(Arc::new(None));
        let asked = Asked {
            parent: &parent(),
            scheme: Scheme::Keccak20,
            range: IndexRange::try_new(0, PROVEN_FROM).expect("in range"),
        };
        let judged = derivation.check(asked, &Children::new(), &Payloads::new());
        assert!(matches!(judged, Err(Error::Internal(_))));
    }
}
