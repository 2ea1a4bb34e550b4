//! Flips of single bits inside of a walk, for the test that every one of them is caught. In tests only.

use std::cell::Cell;

use super::table::{self, ENTRIES, WINDOWS};
use super::{Comb, words};
use crate::field::{Field, Pick};

/// What is flipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A digit: which point is added, and with which sign.
    Pick,
    X,
    Y,
    /// Of two x, as it stands between the two passes.
    Difference,
    /// Of the differences before.
    Product,
    /// Of the product of all differences.
    Inverse,
}

impl Place {
    pub(crate) const ALL: [Self; 6] = [
        Self::Pick,
        Self::X,
        Self::Y,
        Self::Difference,
        Self::Product,
        Self::Inverse,
    ];
}

/// Once, at one window of one lane. Each bit that there is, is below 256; of a pick there are 13.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) window: usize,
    pub(crate) lane: usize,
    pub(crate) bit: usize,
}

thread_local! {
    static ARMED: Cell<Option<Fault>> = const { Cell::new(None) };
    /// It is the window of the one armed.
    static IS_DUE: Cell<bool> = const { Cell::new(false) };
}

pub(crate) const WINDOWS_OF_A_WALK: usize = WINDOWS;

/// For the next walk of this thread.
pub(crate) fn arm(fault: Fault) {
    ARMED.set(Some(fault));
}

/// Has it come to pass?
pub(crate) fn is_armed() -> bool {
    ARMED.get().is_some()
}

pub(super) fn begin_window(window: usize) {
    IS_DUE.set(ARMED.get().is_some_and(|fault| fault.window == window));
}

fn take(place: Place) -> Option<Fault> {
    let fault = ARMED.get().filter(|fault| fault.place == place)?;
    IS_DUE.get().then(|| ARMED.set(None))?;
    Some(fault)
}

pub(super) fn in_picks(picks: &mut [Pick]) {
    if let Some(fault) = take(Place::Pick) {
        picks[fault.lane].0 ^= 1 << (fault.bit % 13);
    }
}

/// Vectors side by side, lane after lane.
pub(super) fn in_vectors<F: Field>(place: Place, vectors: &mut [F]) {
    in_elements(place, |at| &mut vectors[at]);
}

pub(super) fn in_points<F: Field>(points: &mut [(F, F)]) {
    in_elements(Place::X, |at| &mut points[at].0);
    in_elements(Place::Y, |at| &mut points[at].1);
}

/// An inverse is that of a chain; lanes take turns in the chains.
pub(super) fn in_inverses<F: Field>(inverses: &mut [F]) {
    let chains = inverses.len();
    in_elements(Place::Inverse, |at| &mut inverses[at % chains]);
}

fn in_elements<'a, F: Field>(place: Place, vector: impl FnOnce(usize) -> &'a mut F) {
    if let Some(fault) = take(place) {
        let (vector, lane) = (vector(fault.lane / F::WIDTH), fault.lane % F::WIDTH);
        let mut limbs = vector.lane(lane);
        limbs[fault.bit / 52] ^= 1 << (fault.bit % 52);
        vector.set_lane(lane, &limbs);
    }
}

impl Comb {
    /// In the entry that this scalar picks at a window: a second time restores it. There are 512 bits.
    pub(crate) fn flip(&mut self, scalar: &[u8; 32], window: usize, bit: usize) {
        let pick = table::pick(&words(scalar), window);
        let entry = &mut self.table[window * ENTRIES + pick.at()];
        let (coordinate, bit) = if bit < 256 {
            (&mut entry.x, bit)
        } else {
            (&mut entry.y, bit - 256)
        };
        coordinate[bit / 64] ^= 1 << (bit % 64);
    }
}
