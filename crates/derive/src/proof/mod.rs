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

/// How many keys are hashed at a time: what they leave stays in the nearest caches.
const BLOCK: usize = 512;

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
    let mut keys = Equation::new(count, randomness, 0);
    let is_taproot = |(scheme, _): &(Scheme, &Payloads)| *scheme == Scheme::Taproot;
    let mut outputs = (claim.payloads.iter().any(is_taproot))
        .then(|| (Equation::new(count, randomness, 1), second::TapTweak::new()));

    let hmac = second::ChildHmac::new(claim.parent);
    let (mut tweaks, mut taps) = ([[0; 32]; BLOCK], [[0; 32]; BLOCK]);
    for first in (0..count).step_by(BLOCK) {
        let block = first..count.min(first + BLOCK);
        let tweaks = &mut tweaks[..block.len()];
        hmac.tweaks(comb.arch(), claim.indexes.first() + first as u32, tweaks);
        keys.add_keys(first, tweaks);
        if let Some((outputs, tap_tweak)) = &mut outputs {
            let taps = &mut taps[..block.len()];
            tap_tweak.of(comb.arch(), &children.keys.xs[block.clone()], taps);
            outputs.add_outputs(first, tweaks, taps, &children.keys.ys[block]);
        }
    }
    keys.check(comb, claim, &children.keys)?;
    if let Some((outputs, _)) = outputs {
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

    fn add_keys(&mut self, first: usize, tweaks: &[[u8; 32]]) {
        for (tweak, coefficient) in tweaks.iter().zip(&self.coefficients[first..]) {
            self.parent.add(*coefficient, &from_bytes(tweak));
        }
    }

    /// Those of keys with these y.
    fn add_outputs(
        &mut self,
        first: usize,
        tweaks: &[[u8; 32]],
        taps: &[[u8; 32]],
        ys: &[[u8; 32]],
    ) {
        let coefficients = &self.coefficients[first..];
        for (((tweak, tap), y), coefficient) in tweaks.iter().zip(taps).zip(ys).zip(coefficients) {
            let is_odd = y[31] & 1 == 1;
            let signed = if is_odd {
                &mut self.negated
            } else {
                &mut self.parent
            };
            signed.add(*coefficient, &from_bytes(tweak));
            self.taps.add(*coefficient, &from_bytes(tap));
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
    let coordinates = points.xs.iter().zip(&points.ys);
    // The sum has points of its own to add.
    let mut points = Vec::with_capacity(coordinates.len() + Digits::STARTS_MAX);
    points.extend(coordinates.map(|(x, y)| Affine {
        x: from_bytes(x),
        y: from_bytes(y),
    }));
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
    for (scheme, payloads) in claim.payloads {
        let (expected, found) = (scheme.payload_len(), payloads.record_len());
        if found != expected && !payloads.is_empty() {
            return Err(VerifyError::RecordLength { expected, found });
        }
        let (count, mut again) = (children.len(), [0; 32 * BLOCK]);
        for first in (0..count).step_by(BLOCK) {
            let block = first..count.min(first + BLOCK);
            let records = expected * block.start..expected * block.end;
            let again = &mut again[..records.len()];
            hash_again(comb, children, *scheme, block, again);
            let found = payloads.as_bytes().get(records).unwrap_or_default();
            if found != again {
                let records = again
                    .chunks_exact(expected)
                    .zip(found.chunks_exact(expected));
                let same = records.take_while(|(again, found)| again == found).count();
                let index = claim.indexes.first() + (first + same) as u32;
                return Err(VerifyError::Mismatch { index });
            }
        }
        if payloads.len() > count {
            let index = claim.indexes.first() + count as u32;
            return Err(VerifyError::Mismatch { index });
        }
    }
    Ok(())
}

fn hash_again(
    comb: &Comb,
    children: &Children,
    scheme: Scheme,
    block: std::ops::Range<usize>,
    again: &mut [u8],
) {
    let keys = &children.keys;
    let (xs, ys) = (&keys.xs[block.clone()], &keys.ys[block.clone()]);
    match scheme {
        Scheme::Keccak20 => second::keccak20(comb.arch(), xs, ys, again),
        Scheme::Hash160 => {
            let mut y_odd = [false; BLOCK];
            for (odd, y) in y_odd.iter_mut().zip(ys) {
                *odd = y[31] & 1 == 1;
            }
            second::hash160(comb.arch(), xs, &y_odd[..ys.len()], again);
        }
        Scheme::Taproot => again.copy_from_slice(children.outputs.xs[block].as_flattened()),
    }
}

#[cfg(test)]
mod tests;
