use std::ops::Range;

use super::super::coefficients::Digits;
use crate::field::Pick;

/// Which point goes into which bucket of some places, round by round.
pub(super) struct Plan {
    /// The buckets, from 0 for the first of the places, the fullest first.
    pub(super) order: Vec<u32>,
    /// Round by round, each for as many of the buckets as get a point in it.
    picks: Vec<Pick>,
    /// Where each round begins, and one more for the end.
    begins: Vec<u32>,
}

/// Where the next point of a bucket goes.
#[derive(Clone, Copy, Default)]
struct Next {
    lane: u32,
    round: u32,
}

impl Plan {
    pub(super) fn new(coefficients: &[u64], digits: Digits, places: Range<usize>) -> Self {
        let size = digits.buckets_of_place();
        let first = (places.start * size) as u32;
        let bucket = |coefficient: u64, place: usize| {
            let pick = digits.bucket(coefficient, place);
            (pick.at() - first as usize, pick.is_negative())
        };
        let mut fullness = vec![0_u32; places.len() * size];
        for coefficient in coefficients {
            for place in places.clone() {
                fullness[bucket(*coefficient, place).0] += 1;
            }
        }
        let order = order(&fullness);
        let begins = begins(&order, &fullness);
        let mut next = vec![Next::default(); fullness.len()];
        for (lane, bucket) in (0..).zip(&order) {
            next[*bucket as usize].lane = lane;
        }
        let mut picks = vec![Pick::default(); coefficients.len() * places.len()];
        for (point, coefficient) in (0..).zip(coefficients) {
            for place in places.clone() {
                let (bucket, negative) = bucket(*coefficient, place);
                let next = &mut next[bucket];
                let at = begins[next.round as usize] + next.lane;
                picks[at as usize] = Pick::new(point, negative);
                next.round += 1;
            }
        }
        Self {
            order,
            picks,
            begins,
        }
    }

    pub(super) fn rounds(&self) -> usize {
        self.begins.len() - 1
    }

    /// For the first of the buckets in order.
    pub(super) fn picks(&self, round: usize) -> &[Pick] {
        match self.begins.get(round..round + 2) {
            Some(ends) => &self.picks[ends[0] as usize..ends[1] as usize],
            None => &[],
        }
    }

    /// Those that get no point are the last in order.
    pub(super) fn empty(&self) -> impl Iterator<Item = u32> {
        self.order[self.picks(0).len()..].iter().copied()
    }
}

/// By counting: buckets have few different numbers of points.
fn order(fullness: &[u32]) -> Vec<u32> {
    let fullest = fullness.iter().copied().max().unwrap_or(0);
    let mut places = vec![0_u32; fullest as usize + 2];
    for points in fullness {
        places[(fullest - points) as usize + 1] += 1;
    }
    for at in 1..places.len() {
        places[at] += places[at - 1];
    }
    let mut order = vec![0; fullness.len()];
    for (bucket, points) in (0..).zip(fullness) {
        let place = &mut places[(fullest - points) as usize];
        order[*place as usize] = bucket;
        *place += 1;
    }
    order
}

fn begins(order: &[u32], fullness: &[u32]) -> Vec<u32> {
    let fullest = order.first().map_or(0, |bucket| fullness[*bucket as usize]);
    let mut begins = Vec::with_capacity(fullest as usize + 1);
    let (mut begin, mut lanes) = (0, order.len());
    for round in 0..fullest {
        begins.push(begin);
        while fullness[order[lanes - 1] as usize] <= round {
            lanes -= 1;
        }
        begin += lanes as u32;
    }
    begins.push(begin);
    begins
}
