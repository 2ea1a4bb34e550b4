use hmac::{Hmac, KeyInit, Mac};
use k256::elliptic_curve::PrimeField;
use k256::elliptic_curve::sec1::{FromSec1Point, Sec1Point, ToSec1Point};
use k256::{AffinePoint, ProjectivePoint, Scalar, Secp256k1};
use sha2::Sha512;

use crate::{DeriveError, IndexRange};

/// A compressed public key with its chain code, e.g. that of `m/44'/60'/0'`.
///
/// No `Debug`: see the crate's documentation. Depth, fingerprint and version of the text form `xpub…` are
/// left out, for no child depends on them.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtendedPublicKey {
    pub public_key: [u8; 33],
    pub chain_code: [u8; 32],
}

impl ExtendedPublicKey {
    /// The non-hardened child, one at a time; for many use [`crate::Deriver`].
    pub fn child(&self, index: u32) -> Result<Self, DeriveError> {
        IndexRange::try_new(index, 1)?;
        let (tweak, chain_code) = hmac_halves(self, index);
        let invalid = DeriveError::InvalidChild { index };
        let tweak = Option::<Scalar>::from(Scalar::from_repr(tweak.into())).ok_or(invalid)?;
        let point = ProjectivePoint::from(self.point()?) + ProjectivePoint::GENERATOR * tweak;
        if point == ProjectivePoint::IDENTITY {
            return Err(invalid);
        }
        let mut public_key = [0; 33];
        public_key.copy_from_slice(point.to_affine().to_sec1_point(true).as_bytes());
        Ok(Self {
            public_key,
            chain_code,
        })
    }

    pub(crate) fn point(&self) -> Result<AffinePoint, DeriveError> {
        let encoded = Sec1Point::<Secp256k1>::from_bytes(self.public_key)
            .map_err(|_| DeriveError::NotAPublicKey)?;
        Option::from(AffinePoint::from_sec1_point(&encoded)).ok_or(DeriveError::NotAPublicKey)
    }
}

/// I_L and I_R of BIP-32. I_L is not yet compared with the group order.
fn hmac_halves(parent: &ExtendedPublicKey, index: u32) -> ([u8; 32], [u8; 32]) {
    let output = Hmac::<Sha512>::new_from_slice(&parent.chain_code)
        .expect("hmac takes keys of any length")
        .chain_update(parent.public_key)
        .chain_update(index.to_be_bytes())
        .finalize()
        .into_bytes();
    let (mut left, mut right) = ([0; 32], [0; 32]);
    left.copy_from_slice(&output[..32]);
    right.copy_from_slice(&output[32..]);
    (left, right)
}
