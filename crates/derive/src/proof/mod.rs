//! One proof over a batch that its public keys and payloads are right.
//!
//! The keys of a batch are Kᵢ = K + tᵢ·G. With coefficients rᵢ that are drawn after the batch was derived,
//! [`prove`] checks Σ rᵢ·Kᵢ = (Σ rᵢ)·K + (Σ rᵢ·tᵢ)·G: the right side by libsecp256k1, the tᵢ by the second
//! implementation of HMAC, the left side by the lanes that the keys were derived with. If any Kᵢ is wrong by
//! some error Eᵢ, the sides differ by Σ rᵢ·Eᵢ, which is infinity for one in 2⁶⁴ choices of the coefficients.
//! That the left side shares code with what it judges costs nothing: its own error would have to be −Σ rᵢ·Eᵢ,
//! and neither the code nor a damaged table knows the coefficients while it errs. Coefficients must therefore
//! come from 32 bytes of fresh randomness and not out of the batch.
//!
//! A sum says nothing of points off the curve, where the addition formulas mean another curve's group: each
//! point is checked for y² = x³ + 7 and coordinates below p. Taproot output keys
//! Qᵢ = ±Kᵢ + uᵢ·G are proven by the same equation, with the sign that lifts the proven Kᵢ to even y. Payloads
//! are hashed anew from the proven points, by the second implementation, and compared byte by byte.
//!
//! On an error nothing is known of any single key but what the error names: derive the batch anew one by one,
//! see [`crate::verify`].

mod coefficients;
mod scalars;
mod sum;

use bitcoin::secp256k1::{self, PublicKey, Secp256k1};
use k256::Scalar;

use crate::children::Points;
use crate::comb::Comb;
use crate::field::{Affine, Field, MAX_WIDTH, P, Pick, Work, from_bytes, pack, reduce, run};
use crate::hashes::second;
use crate::{Children, ExtendedPublicKey, IndexRange, Payloads, Scheme, VerifyError};
use coefficients::{Digits, coefficients};
use scalars::Products;
use sum::weighted_sum;

/// What a proof is about, beside the children.
pub(crate) struct Claim<'a> {
    pub(crate) parent: &'a ExtendedPublicKey,
    pub(crate) indexes: IndexRange,
    pub(crate) payloads: &'a [(Scheme, &'a Payloads)],
}

/// See the module's documentation.
pub(crate) fn prove(
    comb: &Comb,
    children: &Children,
    claim: &Claim<'_>,
    randomness: &[u8; 32],
) -> Result<(), VerifyError> {
    let count = claim.indexes.count() as usize;
    if count == 0 {
        return check_payloads(comb, children, claim);
    }
    if children.keys.xs.len() != count || children.keys.ys.len() != count {
        return Err(VerifyError::Unproven);
    }
    let mut tweaks = vec![[0; 32]; count];
    second::ChildHmac::new(claim.parent).tweaks(comb.arch(), claim.indexes.first(), &mut tweaks);
    let tweaks: Vec<_> = tweaks.iter().map(from_bytes).collect();

    let mut keys = Equation::new(count, randomness, 0);
    for (i, tweak) in tweaks.iter().enumerate() {
        keys.parent.add(keys.coefficients[i], tweak);
    }
    keys.check(comb, claim, &children.keys)?;

    if claim
        .payloads
        .iter()
        .any(|(scheme, _)| *scheme == Scheme::Taproot)
    {
        let mut taps = vec![[0; 32]; count];
        second::TapTweak::new().of(comb.arch(), &children.keys.xs, &mut taps);
        let mut outputs = Equation::new(count, randomness, 1);
        for (i, (tweak, tap)) in tweaks.iter().zip(&taps).enumerate() {
            let coefficient = outputs.coefficients[i];
            let is_odd = children.keys.ys[i][31] & 1 == 1;
            let signed = if is_odd {
                &mut outputs.negated
            } else {
                &mut outputs.parent
            };
            signed.add(coefficient, tweak);
            outputs.taps.add(coefficient, &from_bytes(tap));
        }
        outputs.check(comb, claim, &children.outputs)?;
    }
    check_payloads(comb, children, claim)
}

/// Σ r·points = (Σ over `parent` r − Σ over `negated` r)·K + (the same of r·t, + Σ over `taps` r·u)·G.
struct Equation {
    digits: Digits,
    coefficients: Vec<u64>,
    parent: Products,
    negated: Products,
    taps: Products,
}

impl Equation {
    fn new(count: usize, randomness: &[u8; 32], purpose: u8) -> Self {
        Self {
            digits: Digits::for_points(count),
            coefficients: coefficients(randomness, purpose, count),
            parent: Products::default(),
            negated: Products::default(),
            taps: Products::default(),
        }
    }

    fn check(&self, comb: &Comb, claim: &Claim<'_>, points: &Points) -> Result<(), VerifyError> {
        let points = points_of_the_curve(comb, claim.indexes.first(), points)?;
        if points.len() != self.coefficients.len() {
            return Err(VerifyError::Unproven);
        }
        let left = weighted_sum(comb, points, &self.coefficients, self.digits);
        let less = self.digits.less();
        let of_parent = self.parent.of_ones(less) - self.negated.of_ones(less);
        let of_generator = self.parent.of_scalars(less) - self.negated.of_scalars(less)
            + self.taps.of_scalars(less);
        let right = right_side(claim.parent, of_parent, of_generator);
        match (left, right) {
            (Some(left), Some(right)) if left == right => Ok(()),
            _ => Err(VerifyError::Unproven),
        }
    }
}

/// `of_parent`·K + `of_generator`·G by libsecp256k1; `None` for infinity.
fn right_side(
    parent: &ExtendedPublicKey,
    of_parent: Scalar,
    of_generator: Scalar,
) -> Option<PublicKey> {
    let scalar = |scalar: Scalar| secp256k1::Scalar::from_be_bytes(scalar.to_bytes().into()).ok();
    let context = Secp256k1::verification_only();
    let parent = PublicKey::from_slice(&parent.public_key).ok()?;
    let sum = parent.mul_tweak(&context, &scalar(of_parent)?).ok()?;
    sum.add_exp_tweak(&context, &scalar(of_generator)?).ok()
}

/// The first that is not a point is named.
fn points_of_the_curve(
    comb: &Comb,
    first_index: u32,
    points: &Points,
) -> Result<Vec<Affine>, VerifyError> {
    let points: Vec<_> = (points.xs.iter().zip(&points.ys))
        .map(|(x, y)| Affine {
            x: from_bytes(x),
            y: from_bytes(y),
        })
        .collect();
    let beyond = points
        .iter()
        .position(|point| !is_canonical(&point.x) || !is_canonical(&point.y));
    match beyond.or_else(|| run(comb.arch(), OffTheCurve(&points))) {
        Some(position) => Err(VerifyError::Mismatch {
            index: first_index + position as u32,
        }),
        None => Ok(points),
    }
}

/// Below p, of which all words but the lowest are ones.
fn is_canonical([a, b, c, d]: &[u64; 4]) -> bool {
    const LOWEST: u64 = pack(&P)[0];
    *a < LOWEST || b & c & d != u64::MAX
}

/// Where y² = x³ + 7 does not hold; the first vector in which it does not is looked at lane by lane.
struct OffTheCurve<'a>(&'a [Affine]);

impl Work for OffTheCurve<'_> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run<F: Field>(self) -> Option<usize> {
        let seven = F::splat(&[7, 0, 0, 0, 0]);
        for first in (0..self.0.len()).step_by(F::WIDTH) {
            let mut picks = [Pick::default(); MAX_WIDTH];
            for (i, pick) in picks.iter_mut().enumerate() {
                let at = (first + i).min(self.0.len() - 1);
                *pick = Pick::new(at as u32, false);
            }
            let x = F::pick_x(self.0, &picks[..F::WIDTH]);
            let y = F::pick_y(self.0, &picks[..F::WIDTH]);
            let off = y.square().minus(x.square().mul(x)).minus(seven);
            if !off.is_zero() {
                let off = off.lanes();
                let lane = (0..F::WIDTH).find(|lane| reduce(off[*lane]) != [0; 5]);
                return Some(picks[lane.unwrap_or(0)].at());
            }
        }
        None
    }
}

/// Hashes the proven points anew.
fn check_payloads(comb: &Comb, children: &Children, claim: &Claim<'_>) -> Result<(), VerifyError> {
    let (keys, arch) = (&children.keys, comb.arch());
    for (scheme, payloads) in claim.payloads {
        let (expected, found) = (scheme.payload_len(), payloads.record_len());
        if found != expected && !payloads.is_empty() {
            return Err(VerifyError::RecordLength { expected, found });
        }
        let mut again = vec![0; expected * keys.xs.len()];
        match scheme {
            Scheme::Keccak20 => second::keccak20(arch, &keys.xs, &keys.ys, &mut again),
            Scheme::Hash160 => {
                let y_odd: Vec<_> = keys.ys.iter().map(|y| y[31] & 1 == 1).collect();
                second::hash160(arch, &keys.xs, &y_odd, &mut again);
            }
            Scheme::Taproot => again.copy_from_slice(children.outputs.xs.as_flattened()),
        }
        if payloads.as_bytes() == again {
            continue;
        }
        let records = again.chunks_exact(expected).zip(payloads.iter());
        let same = records.take_while(|(again, found)| again == found).count();
        return Err(VerifyError::Mismatch {
            index: claim.indexes.first() + same as u32,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
