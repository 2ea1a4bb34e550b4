//! What a lying node is to say, and what it has said.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

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
pub(super) struct State {
    inner: Mutex<Inner>,
    /// The method whose calls wait.
    held: watch::Sender<Option<String>>,
    /// How many wait now.
    waiting: watch::Sender<usize>,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        let inner = Inner {
            lies: Vec::new(),
            chance: seed,
            told: BTreeMap::new(),
            asked: BTreeMap::new(),
            requests: 0,
        };
        Self {
            inner: Mutex::new(inner),
            held: watch::Sender::new(None),
            waiting: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
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

    pub(super) fn hold(&self, method: Option<String>) {
        self.held.send_replace(method);
    }

    /// Comes back at once unless one of the methods is held.
    pub(super) async fn pass(&self, methods: &[&str]) {
        let held = |method: &Option<String>| {
            method
                .as_deref()
                .is_some_and(|method| methods.contains(&method))
        };
        let mut gate = self.held.subscribe();
        if !held(&gate.borrow_and_update()) {
            return;
        }
        self.waiting.send_modify(|waiting| *waiting += 1);
        // The sender lives as long as `self`.
        let _ = gate.wait_for(|method| !held(method)).await;
        self.waiting.send_modify(|waiting| *waiting -= 1);
    }

    pub(super) async fn wait_for_held(&self) {
        let mut waiting = self.waiting.subscribe();
        let _ = waiting.wait_for(|waiting| *waiting > 0).await;
    }
}
