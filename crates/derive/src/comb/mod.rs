//! Adding multiples of the generator to many points at once.
//!
//! A fixed-base comb of signed odd digits: 20 windows of 13 bits, each with 4096 multiples of the generator,
//! so a scalar is 20 additions and no doubling, and no digit is zero. The additions of all lanes at one window
//! are done in affine coordinates with one shared inversion (Montgomery's trick), 5 multiplications and a
//! squaring each, and the window's 256 KiB of the table stay in the second-level cache meanwhile.
//!
//! The affine formula does not hold where two points share x (a doubling or a cancellation). Such a lane is
//! taken out and computed by `k256`'s complete formulas, from its start. Variable-time throughout.

mod lanes;
mod table;

use k256::elliptic_curve::PrimeField;
use k256::elliptic_curve::point::AffineCoordinates;
use k256::{AffinePoint, ProjectivePoint, Scalar};

use crate::Arch;
use crate::field::{Affine, Field, Pick, Portable, Work, from_bytes, to_bytes};
use lanes::Lanes;
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
        let table = match arch {
            #[cfg(target_arch = "x86_64")]
            Arch::Ifma => table::build::<crate::field::Ifma>(),
            _ => table::build::<Portable>(),
        };
        Self { arch, table }
    }

    /// The error is the first lane whose sum is infinity. `batch` lanes share an inversion.
    pub(crate) fn add_multiples(&self, sums: Sums<'_>, batch: usize) -> Result<(), usize> {
        let work = Walk {
            table: &self.table,
            sums,
            batch,
        };
        match self.arch {
            #[cfg(target_arch = "x86_64")]
            Arch::Ifma => crate::field::Ifma::run(work),
            _ => Portable::run(work),
        }
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
                Start::Each(points) => lanes.start(count, |lane| points[first + lane]),
            }
            scalars.clear();
            scalars.extend(sums.scalars[first..first + count].iter().map(words));
            scalars.resize(count.next_multiple_of(Lanes::<F>::BLOCK), [0; 5]);
            for window in 0..WINDOWS {
                picks.clear();
                picks.extend(scalars.iter().map(|scalar| table::pick(scalar, window)));
                let multiples = &table[window * ENTRIES..(window + 1) * ENTRIES];
                lanes.add(multiples, &picks, &mut exceptional);
            }
            for lane in 0..count {
                let point = lanes.point(lane);
                sums.xs[first + lane] = to_bytes(&point.x);
                sums.ys[first + lane] = to_bytes(&point.y);
            }
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
