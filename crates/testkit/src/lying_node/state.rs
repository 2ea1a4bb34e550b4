//! What a lying node is to say, and what it has said.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::fault::Lie;
use crate::crash::Chance;

#[derive(Debug)]
struct Inner {
    lies: Vec<Lie>,
    chance: u64,
    told: BTreeMap<&'static str, u64>,
    asked: BTreeMap<String, u64>,
    requests: u64,
}

/// Shared between the server and whoever holds the handle.
#[derive(Debug)]
pub(super) struct State(Mutex<Inner>);

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self(Mutex::new(Inner {
            lies: Vec::new(),
            chance: seed,
            told: BTreeMap::new(),
            asked: BTreeMap::new(),
            requests: 0,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, lies: Vec<Lie>) {
        self.lock().lies = lies;
    }

    pub(super) fn add(&self, lie: Lie) {
        self.lock().lies.push(lie);
    }

    /// The lies for one call. Each is drawn for itself; the same seed and order of calls give the same draws.
    pub(super) fn draw(&self, method: &str) -> Vec<Lie> {
        let mut inner = self.lock();
        *inner.asked.entry(method.to_owned()).or_default() += 1;
        let Inner { lies, chance, .. } = &mut *inner;
        let fits = lies
            .iter()
            .filter(|lie| lie.method.as_deref().is_none_or(|own| own == method));
        let drawn = fits.filter(|lie| {
            lie.permille >= 1_000 || {
                // The generator's state is one number that grows: the next draw begins where it is.
                *chance = chance.wrapping_add(1);
                Chance::new(*chance).between(0, 1_000) < lie.permille
            }
        });
        drawn.cloned().collect()
    }

    pub(super) fn count(&self, name: &'static str) {
        *self.lock().told.entry(name).or_default() += 1;
    }

    pub(super) fn told(&self) -> BTreeMap<&'static str, u64> {
        self.lock().told.clone()
    }

    pub(super) fn asked(&self) -> BTreeMap<String, u64> {
        self.lock().asked.clone()
    }

    /// True at every second request.
    pub(super) fn is_odd_request(&self) -> bool {
        let mut inner = self.lock();
        inner.requests += 1;
        inner.requests.is_multiple_of(2)
    }
}
