use crate::field::{Affine, Field, Pick};

/// What is added, vector by vector.
pub(super) trait Addends<F> {
    /// How many vectors, whole blocks.
    fn vectors(&self) -> usize;
    fn x(&self, vector: usize) -> F;
    /// To be subtracted from only.
    fn y(&self, vector: usize) -> F;
    /// Brings what these vectors need into the nearest cache; there may be none such.
    fn fetch(&self, vectors: std::ops::Range<usize>);
}

/// Points of a table.
pub(super) struct Picked<'a> {
    pub(super) table: &'a [Affine],
    pub(super) picks: &'a [Pick],
}

impl<F: Field> Addends<F> for Picked<'_> {
    #[inline(always)]
    fn vectors(&self) -> usize {
        self.picks.len() / F::WIDTH
    }

    #[inline(always)]
    fn x(&self, vector: usize) -> F {
        F::pick_x(self.table, &self.picks[vector * F::WIDTH..][..F::WIDTH])
    }

    #[inline(always)]
    fn y(&self, vector: usize) -> F {
        F::pick_y(self.table, &self.picks[vector * F::WIDTH..][..F::WIDTH])
    }

    #[inline(always)]
    fn fetch(&self, vectors: std::ops::Range<usize>) {
        let picks = vectors.start * F::WIDTH..vectors.end * F::WIDTH;
        if let Some(picks) = self.picks.get(picks) {
            touch(self.table, picks);
        }
    }
}

/// Points that are in vectors already.
pub(super) struct Held<'a, F>(pub(super) &'a [(F, F)]);

impl<F: Field> Addends<F> for Held<'_, F> {
    #[inline(always)]
    fn vectors(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn x(&self, vector: usize) -> F {
        self.0[vector].0
    }

    #[inline(always)]
    fn y(&self, vector: usize) -> F {
        self.0[vector].1
    }

    #[inline(always)]
    fn fetch(&self, _vectors: std::ops::Range<usize>) {}
}

/// Brings points into the nearest cache: their loads wait for nothing, unlike those of the arithmetic, which
/// stand behind hundreds of instructions.
#[inline(always)]
fn touch(table: &[Affine], picks: &[Pick]) {
    let seen = picks
        .iter()
        .fold(0, |seen, pick| seen | table[pick.at()].x[0]);
    std::hint::black_box(seen);
}
