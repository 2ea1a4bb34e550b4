//! Adding multiples of the generator to many points at once.
//!
//! A fixed-base comb: the table holds d·2^(10j)·G for every window j and 1 ≤ d ≤ 512, so a scalar is at most
//! 26 additions and no doubling; digits are signed, which halves the table. The additions of all lanes at one
//! window are done in affine coordinates with one shared inversion (Montgomery's trick), 5 multiplications
//! and a squaring each, and the window's 40 KiB of the table stay in the first-level cache meanwhile.
//!
//! The affine formula does not hold where two points share x (a doubling or a cancellation). Such a lane is
//! taken out and computed by `k256`'s complete formulas, from its start. Variable-time throughout.

use k256::elliptic_curve::hazmat::FieldArithmetic;
use k256::elliptic_curve::point::AffineCoordinates;
use k256::elliptic_curve::{BatchNormalize, PrimeField};
use k256::{AffinePoint, ProjectivePoint, Scalar, Secp256k1};

/// Lazily reduced: a difference has magnitude 3, and products take magnitudes up to 8. `k256` checks this
/// wherever debug assertions are on.
pub(crate) type Field = <Secp256k1 as FieldArithmetic>::FieldElement;

const WINDOW_BITS: usize = 10;
const WINDOWS: usize = 256_usize.div_ceil(WINDOW_BITS);
/// Greatest digit, and number of entries of a window.
const HALF: usize = 1 << (WINDOW_BITS - 1);

/// A point other than infinity; coordinates have magnitude 1.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    pub(crate) x: Field,
    pub(crate) y: Field,
}

impl Point {
    /// `None` for infinity.
    pub(crate) fn from_affine(point: &AffinePoint) -> Option<Self> {
        if *point == AffinePoint::IDENTITY {
            return None;
        }
        let coordinate = |bytes| Option::<Field>::from(Field::from_bytes(&bytes));
        Some(Self {
            x: coordinate(point.x())?,
            y: coordinate(point.y())?,
        })
    }

    fn to_projective(self) -> ProjectivePoint {
        let affine = AffinePoint::from_coordinates(&self.x.to_bytes(), &self.y.to_bytes());
        ProjectivePoint::from(affine.expect("a lane holds a point of the curve"))
    }
}

/// The work of one call of [`Comb::add_multiples`], kept to reuse its memory.
#[derive(Default)]
pub(crate) struct Lanes {
    pub(crate) points: Vec<Point>,
    /// Big-endian, below the group order.
    pub(crate) scalars: Vec<[u8; 32]>,
    digits: Vec<[i16; WINDOWS]>,
    starts: Vec<Point>,
    differences: Vec<Field>,
    products: Vec<Field>,
}

#[cfg(test)]
impl Lanes {
    pub(crate) fn of(points: Vec<Point>, scalars: Vec<[u8; 32]>) -> Self {
        Self {
            points,
            scalars,
            ..Self::default()
        }
    }
}

pub(crate) struct Comb {
    /// `multiples[window * HALF + digit - 1]`
    multiples: Vec<Point>,
}

impl Comb {
    pub(crate) fn new() -> Self {
        let mut multiples = Vec::with_capacity(WINDOWS * HALF);
        let mut base = ProjectivePoint::GENERATOR;
        for _ in 0..WINDOWS {
            let window: Vec<_> = std::iter::successors(Some(base), |point| Some(*point + base))
                .take(HALF)
                .collect();
            base = window[HALF - 1].double();
            let affine =
                <ProjectivePoint as BatchNormalize<[ProjectivePoint]>>::batch_normalize(&window);
            multiples.extend(
                affine
                    .iter()
                    .map(|p| Point::from_affine(p).expect("small multiples are not infinity")),
            );
        }
        Self { multiples }
    }

    /// `points[k] += scalars[k]·G` for every lane; the error is the first lane whose sum is infinity.
    pub(crate) fn add_multiples(&self, lanes: &mut Lanes) -> Result<(), usize> {
        let count = lanes.points.len();
        lanes.starts.clone_from(&lanes.points);
        lanes.digits.clear();
        lanes.digits.extend(lanes.scalars.iter().map(signed_digits));
        lanes.differences.resize(count, Field::ONE);
        lanes.products.resize(count, Field::ONE);
        let mut exceptional = Vec::new();
        for (window, multiples) in self.multiples.chunks_exact(HALF).enumerate() {
            let mut product = subtract(lanes, multiples, window);
            if bool::from(product.normalizes_to_zero()) {
                set_aside_equal_x(lanes, window, &mut exceptional);
                product = subtract(lanes, multiples, window);
            }
            add(lanes, multiples, window, product);
        }
        for lane in exceptional {
            let (start, scalar) = (lanes.starts[lane], lanes.scalars[lane]);
            lanes.points[lane] = add_multiple_plainly(start, scalar).ok_or(lane)?;
        }
        Ok(())
    }
}

/// Fills the differences of x and the products of those before each lane; returns the whole product.
fn subtract(lanes: &mut Lanes, multiples: &[Point], window: usize) -> Field {
    let mut product = Field::ONE;
    let work = lanes
        .points
        .iter()
        .zip(&lanes.digits)
        .zip(&mut lanes.differences)
        .zip(&mut lanes.products);
    for (((point, digits), difference), before) in work {
        let digit = digits[window];
        if digit != 0 {
            *difference = multiples[usize::from(digit.unsigned_abs()) - 1].x - point.x;
            *before = product;
            product *= &*difference;
        }
    }
    product
}

/// Takes out the lanes that the affine formula cannot serve at this window: no digit of theirs is left.
fn set_aside_equal_x(lanes: &mut Lanes, window: usize, exceptional: &mut Vec<usize>) {
    for (lane, (digits, difference)) in lanes.digits.iter_mut().zip(&lanes.differences).enumerate()
    {
        if digits[window] != 0 && bool::from(difference.normalizes_to_zero()) {
            *digits = [0; WINDOWS];
            exceptional.push(lane);
        }
    }
}

fn add(lanes: &mut Lanes, multiples: &[Point], window: usize, product: Field) {
    let mut inverse = product.invert_vartime().expect("no difference is zero");
    let work = lanes
        .points
        .iter_mut()
        .zip(&lanes.digits)
        .zip(&lanes.differences)
        .zip(&lanes.products);
    for (((point, digits), difference), before) in work.rev() {
        let digit = digits[window];
        if digit == 0 {
            continue;
        }
        let multiple = &multiples[usize::from(digit.unsigned_abs()) - 1];
        let of_difference = inverse * before;
        inverse *= difference;
        let rise = if digit > 0 {
            multiple.y - point.y
        } else {
            (multiple.y + point.y).negate(2)
        };
        let slope = rise * of_difference;
        let x = (slope.square() - point.x - multiple.x).normalize_weak();
        point.y = (slope * (point.x - x) - point.y).normalize_weak();
        point.x = x;
    }
}

/// `None` for infinity.
fn add_multiple_plainly(start: Point, scalar: [u8; 32]) -> Option<Point> {
    let scalar: Scalar =
        Option::from(Scalar::from_repr(scalar.into())).expect("scalars are below the group order");
    Point::from_affine(&(start.to_projective() + ProjectivePoint::GENERATOR * scalar).to_affine())
}

/// Digits of −511 ..= 512, lowest window first. The top window has 6 bits, which take the last carry.
fn signed_digits(scalar: &[u8; 32]) -> [i16; WINDOWS] {
    let mut limbs = [0_u64; 5];
    for (limb, bytes) in limbs.iter_mut().zip(scalar.rchunks_exact(8)) {
        *limb = u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
    }
    let mut digits = [0; WINDOWS];
    let mut carry = 0;
    for (window, digit) in digits.iter_mut().enumerate() {
        let (limb, shift) = (window * WINDOW_BITS / 64, window * WINDOW_BITS % 64);
        let wide = u128::from(limbs[limb]) | u128::from(limbs[limb + 1]) << 64;
        let value = (wide >> shift) as i16 & (2 * HALF as i16 - 1);
        let value = value + carry;
        carry = i16::from(value > HALF as i16);
        *digit = value - carry * 2 * HALF as i16;
    }
    digits
}

#[cfg(test)]
mod tests;
