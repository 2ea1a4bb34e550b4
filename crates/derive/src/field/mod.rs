//! Arithmetic modulo p = 2²⁵⁶ − 2³² − 977, the field of secp256k1, on several elements at once.
//!
//! An element is five limbs of 52 bits, lowest first, so that products and sums leave room before anything
//! has to be carried; a [`Field`] holds [`Field::WIDTH`] of them, limb beside limb (with AVX2, ten limbs of 26).
//! Values that a later subtraction takes are *weak*: below 2p, with limbs of 52 bits (the portable path and AVX2
//! let some have a few units more). Only [`reduce`] makes the one canonical form.
//!
//! Not constant in time, and not meant to be: what is computed here is public.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod inverse;
mod portable;

#[cfg(target_arch = "x86_64")]
use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use ifma::Ifma;
pub(crate) use inverse::invert;
pub(crate) use portable::{Portable, from_bytes, negate, pack, reduce, to_bytes, unpack};

pub(crate) const LIMBS: usize = 5;
/// One element in limbs of 52 bits.
pub(crate) type Limbs = [u64; LIMBS];
/// The widest [`Field`].
pub(crate) const MAX_WIDTH: usize = 8;
/// Low 52 bits.
pub(crate) const MASK: u64 = (1 << 52) - 1;
/// Low 48 bits: what of the top limb lies below 2²⁵⁶.
pub(crate) const TOP_MASK: u64 = (1 << 48) - 1;
/// 2²⁵⁶ modulo p.
pub(crate) const FOLD: u64 = 0x1_0000_03d1;
/// 2²⁶⁰ modulo p.
pub(crate) const FOLD_LIMBS: u64 = FOLD << 4;
pub(crate) const P: Limbs = [MASK - (FOLD - 1), MASK, MASK, MASK, TOP_MASK];

/// n·p limb by limb, to be added before a subtraction so that no limb goes below zero.
pub(crate) const fn multiple_of_p(n: u64) -> Limbs {
    let mut limbs = P;
    let mut i = 0;
    while i < LIMBS {
        limbs[i] *= n;
        i += 1;
    }
    limbs
}

/// A point other than infinity as tables hold it: canonical, 64-bit limbs, the lowest first; one cache line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Affine {
    pub(crate) x: [u64; 4],
    pub(crate) y: [u64; 4],
}

/// Which point of a table a lane adds, and whether it subtracts it instead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Pick(pub(crate) u32);

impl Pick {
    pub(crate) fn new(at: u32, negative: bool) -> Self {
        Self(at << 1 | u32::from(negative))
    }

    #[inline(always)]
    pub(crate) fn at(self) -> usize {
        (self.0 >> 1) as usize
    }

    #[inline(always)]
    pub(crate) fn is_negative(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Work written once for every [`Field`], compiled for each with its instructions.
pub(crate) trait Work {
    type Output;
    /// Must be `#[inline(always)]`, with all it calls: only then do the wide instructions reach it.
    fn run<F: Field>(self) -> Self::Output;
}

/// [`Self::WIDTH`] elements.
pub(crate) trait Field: Copy + Send + Sync + 'static {
    const WIDTH: usize;

    /// The same weak element in all lanes.
    fn splat(element: &Limbs) -> Self;
    fn lane(&self, lane: usize) -> Limbs;
    /// All lanes at once; only the first [`Self::WIDTH`] mean anything.
    fn lanes(&self) -> [Limbs; MAX_WIDTH];
    fn set_lane(&mut self, lane: usize, element: &Limbs);
    /// Of weak elements; the inverse of [`Self::lanes`].
    fn of_lanes(lanes: &[Limbs; MAX_WIDTH]) -> Self;

    /// The x coordinates of the points picked, as many as there are lanes. Weak.
    fn pick_x(table: &[Affine], picks: &[Pick]) -> Self;
    /// The y coordinates, negated where the pick says so. To be subtracted from only.
    fn pick_y(table: &[Affine], picks: &[Pick]) -> Self;

    /// Are all lanes of this weak element zero modulo p?
    #[inline(always)]
    fn is_zero(&self) -> bool {
        let lanes = self.lanes();
        lanes[..Self::WIDTH]
            .iter()
            .all(|lane| reduce(*lane) == [0; LIMBS])
    }

    /// Takes weak elements and differences; weak.
    fn mul(self, other: Self) -> Self;
    /// Takes weak elements and differences; weak.
    fn square(self) -> Self;
    /// `self` − `other`, both weak (`self` may come from [`Self::pick_y`]). A difference: to be multiplied, or
    /// to be the third of [`Self::minus_twice_minus`].
    fn difference(self, other: Self) -> Self;
    /// `self` − `other`, both weak. Weak.
    fn minus(self, other: Self) -> Self;
    /// `self` − 2`twice` − `difference`, the first two weak. Weak.
    fn minus_twice_minus(self, twice: Self, difference: Self) -> Self;
}

/// Runs `work` on the elements that `arch` has.
pub(crate) fn run<W: Work>(arch: crate::Arch, work: W) -> W::Output {
    match arch {
        #[cfg(target_arch = "x86_64")]
        crate::Arch::Ifma => Ifma::run(work),
        #[cfg(target_arch = "x86_64")]
        crate::Arch::Avx2 => Avx2::run(work),
        _ => work.run::<Portable>(),
    }
}

#[cfg(test)]
mod tests;
