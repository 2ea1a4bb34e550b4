//! Many points, one addition to each, one inversion for all.

use super::addends::{Addends, Held, Picked};
use crate::field::{Affine, Field, Limbs, MAX_WIDTH, Pick, Portable, invert, pack, reduce, unpack};

/// Vectors side by side, each with a running product of its own, so that no multiplication waits for the one
/// before it.
const CHAINS: usize = 4;

/// How many lanes before its turn a lane's point is fetched.
const AHEAD: usize = 64;

/// Points to which others are added, in affine coordinates, with the memory this takes.
pub(crate) struct Lanes<F> {
    points: Vec<(F, F)>,
    differences: Vec<F>,
    products: Vec<F>,
}

const ONE: Limbs = [1, 0, 0, 0, 0];

impl<F: Field> Lanes<F> {
    /// Lanes are worked on in blocks of this many.
    pub(crate) const BLOCK: usize = CHAINS * F::WIDTH;

    pub(crate) fn with_capacity(lanes: usize) -> Self {
        let vectors = lanes.div_ceil(Self::BLOCK) * CHAINS;
        Self {
            points: Vec::with_capacity(vectors),
            differences: Vec::with_capacity(vectors),
            products: Vec::with_capacity(vectors),
        }
    }

    /// Starts each lane at the point picked for it, as it is. As many picks as whole blocks have.
    #[inline(always)]
    pub(crate) fn start(&mut self, table: &[Affine], picks: &[Pick]) {
        let zero = F::splat(&[0; 5]);
        self.points.clear();
        self.points
            .extend(picks.chunks_exact(F::WIDTH).map(|picks| {
                let y = F::pick_y(table, picks).difference(zero);
                (F::pick_x(table, picks), y.mul(F::splat(&ONE)))
            }));
        self.make_room();
    }

    /// Same start for all lanes.
    #[inline(always)]
    pub(crate) fn start_same(&mut self, lanes: usize, point: &Affine) {
        let vectors = lanes.div_ceil(Self::BLOCK) * CHAINS;
        let one = F::splat(&ONE);
        let point = (F::splat(&unpack(&point.x)), F::splat(&unpack(&point.y)));
        self.points.clear();
        self.points.resize(vectors, point);
        self.differences.resize(vectors, one);
        self.products.resize(vectors, one);
    }

    /// [`Self::add`] to as many lanes as there are picks, whatever their number; `picks` is filled up.
    #[inline(always)]
    pub(crate) fn add_to_first(
        &mut self,
        table: &[Affine],
        picks: &mut Vec<Pick>,
        exceptional: &mut Vec<usize>,
    ) {
        let lanes = picks.len();
        let whole = lanes.next_multiple_of(Self::BLOCK);
        let kept = self.points[lanes / Self::BLOCK * CHAINS..whole / F::WIDTH].to_vec();
        picks.resize(whole, Pick::default());
        let mut found = Vec::new();
        self.add(table, picks, &mut found);
        exceptional.extend(found.iter().filter(|lane| **lane < lanes));
        for lane in lanes..whole {
            let (x, y) = &kept[lane % Self::BLOCK / F::WIDTH];
            let (x, y) = (x.lane(lane % F::WIDTH), y.lane(lane % F::WIDTH));
            let point = &mut self.points[lane / F::WIDTH];
            point.0.set_lane(lane % F::WIDTH, &x);
            point.1.set_lane(lane % F::WIDTH, &y);
        }
    }

    /// Adds to each lane of the first blocks the point that is picked for it. Lanes where the affine formula
    /// does not hold, as both points have the same x, are named in `exceptional` and hold no point afterwards.
    #[inline(always)]
    pub(crate) fn add(&mut self, table: &[Affine], picks: &[Pick], exceptional: &mut Vec<usize>) {
        self.add_all(&Picked { table, picks }, exceptional);
    }

    /// `vectors[a] += vectors[b]` for each pair (a, b), none of which has an a of another; lanes named as by
    /// [`Self::add`] are those of pairs, not of vectors. What this holds is lost.
    #[inline(always)]
    pub(crate) fn add_vectors(
        &mut self,
        vectors: &mut [(F, F)],
        pairs: &[(u32, u32)],
        exceptional: &mut Vec<usize>,
    ) {
        let whole = pairs.len().next_multiple_of(CHAINS);
        let padded = || (0..whole).map(|at| pairs[at.min(pairs.len() - 1)]);
        let addends: Vec<_> = padded().map(|(_, b)| vectors[b as usize]).collect();
        self.points.clear();
        self.points
            .extend(padded().map(|(a, _)| vectors[a as usize]));
        self.make_room();
        self.add_all(&Held(&addends), exceptional);
        for ((a, _), sum) in pairs.iter().zip(&self.points) {
            vectors[*a as usize] = *sum;
        }
    }

    #[inline(always)]
    fn make_room(&mut self) {
        let zero = F::splat(&[0; 5]);
        self.differences.resize(self.points.len(), zero);
        self.products.resize(self.points.len(), zero);
    }

    #[inline(always)]
    fn add_all(&mut self, addends: &impl Addends<F>, exceptional: &mut Vec<usize>) {
        #[cfg(test)]
        super::fault::in_points(&mut self.points);
        let products = self.subtract(addends);
        #[cfg(test)]
        {
            use super::fault::{Place, in_vectors};
            in_vectors(Place::Difference, &mut self.differences);
            in_vectors(Place::Product, &mut self.products);
        }
        #[cfg_attr(not(test), expect(unused_mut, reason = "a test damages them"))]
        let mut inverses = match invert_all(&products) {
            Some(inverses) => inverses,
            None => {
                let products = self.set_aside_zeros(addends.vectors(), exceptional);
                invert_all(&products).expect("no factor is zero any more")
            }
        };
        #[cfg(test)]
        super::fault::in_inverses(&mut inverses);
        self.finish(addends, inverses);
    }

    /// Fills the differences of x and the products of those before each; returns the whole products.
    #[inline(always)]
    fn subtract(&mut self, addends: &impl Addends<F>) -> [F; CHAINS] {
        let mut products = [F::splat(&ONE); CHAINS];
        let work = (self.points[..addends.vectors()].chunks_exact(CHAINS))
            .zip(self.differences.chunks_exact_mut(CHAINS))
            .zip(self.products.chunks_exact_mut(CHAINS));
        for (block, ((points, differences), before)) in work.enumerate() {
            let first = block * CHAINS;
            let ahead = first + AHEAD.div_ceil(Self::BLOCK) * CHAINS;
            addends.fetch(ahead..ahead + CHAINS);
            for i in 0..CHAINS {
                let difference = addends.x(first + i).difference(points[i].0);
                differences[i] = difference;
                before[i] = products[i];
                products[i] = products[i].mul(difference);
            }
        }
        products
    }

    /// Replaces the differences that are zero by one, and makes the products again.
    #[inline(never)]
    fn set_aside_zeros(&mut self, vectors: usize, exceptional: &mut Vec<usize>) -> [F; CHAINS] {
        let mut products = [F::splat(&ONE); CHAINS];
        for vector in 0..vectors {
            let difference = &mut self.differences[vector];
            for lane in 0..F::WIDTH {
                if reduce(difference.lane(lane)) == [0; 5] {
                    difference.set_lane(lane, &ONE);
                    exceptional.push(vector * F::WIDTH + lane);
                }
            }
            let product = &mut products[vector % CHAINS];
            self.products[vector] = *product;
            *product = product.mul(*difference);
        }
        products
    }

    /// The steps of a block's vectors stand side by side, for those of one vector wait for each other; what they
    /// leave takes the places of what they no longer need.
    #[inline(always)]
    fn finish(&mut self, addends: &impl Addends<F>, mut inverses: [F; CHAINS]) {
        let work = (self.points[..addends.vectors()].chunks_exact_mut(CHAINS))
            .zip(self.differences.chunks_exact_mut(CHAINS))
            .zip(self.products.chunks_exact_mut(CHAINS));
        for (block, ((points, differences), slopes)) in work.enumerate().rev() {
            let first = block * CHAINS;
            if F::WIDTH == 1 {
                for i in 0..CHAINS {
                    let (x, y) = points[i];
                    let inverse = inverses[i].mul(slopes[i]);
                    inverses[i] = inverses[i].mul(differences[i]);
                    let rise = addends.y(first + i).difference(y);
                    let slope = inverse.mul(rise);
                    let sum = slope.square().minus_twice_minus(x, differences[i]);
                    points[i].1 = slope.mul(x.difference(sum)).minus(y);
                    points[i].0 = sum;
                }
                continue;
            }
            for i in 0..CHAINS {
                slopes[i] = inverses[i].mul(slopes[i]);
                inverses[i] = inverses[i].mul(differences[i]);
            }
            for i in 0..CHAINS {
                let rise = addends.y(first + i).difference(points[i].1);
                slopes[i] = slopes[i].mul(rise);
            }
            for i in 0..CHAINS {
                let square = slopes[i].square();
                differences[i] = square.minus_twice_minus(points[i].0, differences[i]);
            }
            for i in 0..CHAINS {
                let (x, y) = points[i];
                points[i].1 = slopes[i].mul(x.difference(differences[i])).minus(y);
                points[i].0 = differences[i];
            }
        }
    }

    /// Weak, lane by lane; of no meaning in an exceptional lane.
    #[inline(always)]
    pub(crate) fn for_each_weak(&self, lanes: usize, mut take: impl FnMut(usize, [Limbs; 2])) {
        for (vector, (x, y)) in self.points.iter().enumerate() {
            let first = vector * F::WIDTH;
            let coordinates = x.lanes().into_iter().zip(y.lanes()).take(F::WIDTH);
            for (lane, (x, y)) in coordinates.enumerate().take(lanes.saturating_sub(first)) {
                take(first + lane, [x, y]);
            }
        }
    }

    /// Canonical, lane by lane; of no meaning in an exceptional lane.
    #[inline(always)]
    pub(crate) fn for_each(&self, lanes: usize, mut take: impl FnMut(usize, Affine)) {
        for (vector, (x, y)) in self.points.iter().enumerate() {
            let first = vector * F::WIDTH;
            let coordinates = x.lanes().into_iter().zip(y.lanes()).take(F::WIDTH);
            for (lane, (x, y)) in coordinates.enumerate().take(lanes.saturating_sub(first)) {
                let (x, y) = (pack(&reduce(x)), pack(&reduce(y)));
                take(first + lane, Affine { x, y });
            }
        }
    }
}

/// As vectors hold them, in their order; as many as whole vectors have.
#[inline(always)]
pub(crate) fn vectors_of<F: Field>(points: &[[Limbs; 2]]) -> Vec<(F, F)> {
    let mut vectors = Vec::with_capacity(points.len() / F::WIDTH);
    let (mut xs, mut ys) = ([[0; 5]; MAX_WIDTH], [[0; 5]; MAX_WIDTH]);
    for points in points.chunks_exact(F::WIDTH) {
        for (lane, [x, y]) in points.iter().enumerate() {
            (xs[lane], ys[lane]) = (*x, *y);
        }
        vectors.push((F::of_lanes(&xs), F::of_lanes(&ys)));
    }
    vectors
}

/// The inverses of all lanes of all products with one inversion; `None` if one of them is zero.
#[inline(always)]
fn invert_all<F: Field>(products: &[F; CHAINS]) -> Option<[F; CHAINS]> {
    let mut before = *products;
    let mut product = products[0];
    for i in 1..CHAINS {
        before[i] = product;
        product = product.mul(products[i]);
    }
    let mut inverse = invert_lanes(&product)?;
    let mut inverses = *products;
    for i in (1..CHAINS).rev() {
        inverses[i] = inverse.mul(before[i]);
        inverse = inverse.mul(products[i]);
    }
    inverses[0] = inverse;
    Some(inverses)
}

#[inline(always)]
fn invert_lanes<F: Field>(elements: &F) -> Option<F> {
    let mut product = Portable(ONE);
    let mut before = [product; 8];
    for (lane, before) in before.iter_mut().enumerate().take(F::WIDTH) {
        *before = product;
        product = product.mul(Portable(elements.lane(lane)));
    }
    let mut inverse = Portable(invert(product.0)?);
    let mut inverses = *elements;
    for lane in (0..F::WIDTH).rev() {
        inverses.set_lane(lane, &carried(inverse.mul(before[lane])));
        inverse = inverse.mul(Portable(elements.lane(lane)));
    }
    Some(inverses)
}

/// The portable product's slack carried away: wider multipliers read 52 bits of a limb.
#[inline(always)]
fn carried(element: Portable) -> Limbs {
    reduce(element.0)
}

/// `points[a] += points[b]` for each pair (a, b), none of which has an a of another.
#[inline(always)]
pub(crate) fn add_pairs<F: Field>(
    points: &mut [Affine],
    pairs: &[(u32, u32)],
    lanes: &mut Lanes<F>,
    exceptional: &mut Vec<usize>,
) {
    let whole = pairs.len().next_multiple_of(Lanes::<F>::BLOCK);
    // The last block is filled up with what is another lane's work, so that nothing exceptional comes of it.
    let picks = |of: fn(&(u32, u32)) -> u32| {
        let mut picks: Vec<_> = pairs
            .iter()
            .map(|pair| Pick::new(of(pair), false))
            .collect();
        picks.resize(whole, picks[0]);
        picks
    };
    lanes.start(points, &picks(|pair| pair.0));
    lanes.add(points, &picks(|pair| pair.1), exceptional);
    lanes.for_each(pairs.len(), |lane, sum| {
        points[pairs[lane].0 as usize] = sum
    });
}
