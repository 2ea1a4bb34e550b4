//! Adding multiples of the generator to many points at once.
//!
//! A fixed-base comb of signed odd digits: 20 windows of 13 bits, each with 4096 multiples of the generator,
//! so a scalar is 20 additions and no doubling, and no digit is zero. The additions of all lanes at one window
//! are done in affine coordinates with one shared inversion (Montgomery's trick), 5 multiplications and a
//! squaring each, and the window's 256 KiB of the table stay in the second-level cache meanwhile.
//!
//! The affine formula does not hold where two points share x (a doubling or a cancellation). Such a lane is
//! taken out and computed by `k256`'s complete formulas, from its start. Variable-time throughout.

mod addends;
#[cfg(test)]
pub(crate) mod fault;
mod lanes;
mod table;

use k256::elliptic_curve::PrimeField;
use k256::elliptic_curve::point::AffineCoordinates;
use k256::{AffinePoint, ProjectivePoint, Scalar};

use crate::Arch;
use crate::field::{Affine, Field, Pick, Work, from_bytes, run, to_bytes};
pub(crate) use lanes::{Lanes, add_pairs, vectors_of};
pub(crate) use table::affine;
use table::{ENTRIES, WINDOWS};

/// What the multiples are added to.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    Same(Affine),
    Each(&'a [Affine]),
}

impl Start<'_> {
    #[inline(always)]
    fn of(&self, lane: usize) -> Affine {
        match self {
            Self::Same(point) => *point,
            Self::Each(points) => points[lane],
        }
    }
}

/// `out[k]` = start + `scalars[k]`·G, coordinates big-endian.
pub(crate) struct Sums<'a> {
    pub(crate) start: Start<'a>,
    /// Big-endian, below the group order.
    pub(crate) scalars: &'a [[u8; 32]],
    pub(crate) xs: &'a mut [[u8; 32]],
    pub(crate) ys: &'a mut [[u8; 32]],
}

pub(crate) struct Comb {
    arch: Arch,
    table: Vec<Affine>,
}

impl Comb {
    pub(crate) fn new(arch: Arch) -> Self {
        let table = table::build(arch);
        Self { arch, table }
    }

    /// The error is the first lane whose sum is infinity. `batch` lanes share an inversion.
    pub(crate) fn add_multiples(&self, sums: Sums<'_>, batch: usize) -> Result<(), usize> {
        let work = Walk {
            table: &self.table,
            sums,
            batch,
        };
        run(self.arch, work)
    }
}

impl Comb {
    pub(crate) fn arch(&self) -> Arch {
        self.arch
    }

    pub(crate) fn table_bytes(&self) -> usize {
        size_of_val(self.table.as_slice())
    }

    /// Points for whoever needs some that differ: that at k is (k + offset)·G.
    pub(crate) fn distinct_points(&self) -> (&[Affine], Scalar) {
        (&self.table[..ENTRIES], table::offset())
    }
}

struct Walk<'a> {
    table: &'a [Affine],
    sums: Sums<'a>,
    batch: usize,
}

impl Work for Walk<'_> {
    type Output = Result<(), usize>;

    #[inline(always)]
    fn run<F: Field>(self) -> Result<(), usize> {
        let Self { table, sums, batch } = self;
        let batch = batch.min(sums.scalars.len());
        let mut lanes = Lanes::<F>::with_capacity(batch);
        let (mut scalars, mut picks) = (Vec::new(), Vec::<Pick>::new());
        let mut exceptional = Vec::new();
        for first in (0..sums.scalars.len()).step_by(batch.max(1)) {
            let count = batch.min(sums.scalars.len() - first);
            match &sums.start {
                Start::Same(point) => lanes.start_same(count, point),
                Start::Each(points) => {
                    picks.clear();
                    picks.extend((first..first + count).map(|at| Pick::new(at as u32, false)));
                    picks.resize(count.next_multiple_of(Lanes::<F>::BLOCK), Pick::default());
                    lanes.start(points, &picks);
                }
            }
            scalars.clear();
            scalars.extend(sums.scalars[first..first + count].iter().map(words));
            scalars.resize(count.next_multiple_of(Lanes::<F>::BLOCK), [0; 5]);
            for window in 0..WINDOWS {
                picks.clear();
                picks.extend(scalars.iter().map(|scalar| table::pick(scalar, window)));
                #[cfg(test)]
                fault::begin_window(window);
                #[cfg(test)]
                fault::in_picks(&mut picks);
                let multiples = &table[window * ENTRIES..(window + 1) * ENTRIES];
                lanes.add(multiples, &picks, &mut exceptional);
            }
            lanes.for_each(count, |lane, point| {
                sums.xs[first + lane] = to_bytes(&point.x);
                sums.ys[first + lane] = to_bytes(&point.y);
            });
            exceptional.retain(|lane| *lane < count);
            exceptional.sort_unstable();
            exceptional.dedup();
            for lane in exceptional.drain(..) {
                let lane = first + lane;
                let sum = add_plainly(&sums.start.of(lane), &sums.scalars[lane]).ok_or(lane)?;
                (sums.xs[lane], sums.ys[lane]) = (to_bytes(&sum.x), to_bytes(&sum.y));
            }
        }
        Ok(())
    }
}

/// One word more than there are, so that a digit can be read across words.
#[inline(always)]
fn words(scalar: &[u8; 32]) -> [u64; 5] {
    let [a, b, c, d] = from_bytes(scalar);
    [a, b, c, d, 0]
}

/// `None` for infinity.
fn add_plainly(start: &Affine, scalar: &[u8; 32]) -> Option<Affine> {
    let (x, y) = (to_bytes(&start.x), to_bytes(&start.y));
    let start = AffinePoint::from_coordinates(&x.into(), &y.into());
    let start = ProjectivePoint::from(start.expect("a lane starts at a point of the curve"));
    let scalar = Option::<Scalar>::from(Scalar::from_repr((*scalar).into()))
        .expect("scalars are below the group order");
    affine(&(start + ProjectivePoint::GENERATOR * scalar).to_affine())
}

#[cfg(test)]
mod tests;
