//! Whether a receiver is there at all, and how long to leave it alone.

use std::collections::BTreeSet;

use super::TRY_FOR_MS;

/// So many different events fail without a success between before the receiver counts as down.
pub(super) const DOWN_AFTER: usize = 5;
/// Events with which a receiver that is down is asked.
const PROBES: usize = 4;
const FIRST_PAUSE_MS: i64 = 5_000;
const LONGEST_PAUSE_MS: i64 = 6 * 60 * 60 * 1000;
/// A receiver that came back is noticed within this time.
const LONGEST_DOWN_PAUSE_MS: i64 = 15 * 60 * 1000;

/// Full jitter (any time up to the doubled pause), so that many events do not come back together.
pub(crate) fn pause_ms(failures_before: u32, random: u64) -> i64 {
    jittered(failures_before, random, LONGEST_PAUSE_MS)
}

fn jittered(failures_before: u32, random: u64, longest_ms: i64) -> i64 {
    let doubled = FIRST_PAUSE_MS.saturating_mul(1 << failures_before.min(30));
    let most = doubled.min(longest_ms).unsigned_abs();
    1 + i64::try_from(random % most).unwrap_or(longest_ms)
}

/// What is stored of it, and what lasts as long as the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// The first failure after the last success.
    pub(crate) failing_since_ms: Option<i64>,
    /// Rounds of probes that all failed; 0 is up.
    pub(crate) failures: u32,
    pub(crate) paused_until_ms: Option<i64>,
    /// Events beyond the place that failed since the last success.
    failing: BTreeSet<u64>,
    probes_left: usize,
    probes_under_way: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    Nothing,
    Due,
    Probe,
}

impl Health {
    pub(crate) fn restored(
        failing_since_ms: Option<i64>,
        failures: u32,
        paused_until_ms: Option<i64>,
    ) -> Self {
        Self {
            failing_since_ms,
            failures,
            paused_until_ms,
            probes_left: PROBES,
            ..Self::default()
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        self.failures > 0
    }

    /// Whether nothing has got through for as long as an event is tried.
    pub(crate) fn is_hopeless(&self, now_ms: i64) -> bool {
        let since = self.failing_since_ms;
        self.is_down() && since.is_some_and(|since| now_ms - since >= TRY_FOR_MS)
    }

    pub(super) fn allows(&self, now_ms: i64) -> Allowed {
        if self.paused_until_ms.is_some_and(|until| now_ms < until) {
            Allowed::Nothing
        } else if !self.is_down() {
            Allowed::Due
        } else if self.probes_left > 0 {
            Allowed::Probe
        } else {
            Allowed::Nothing
        }
    }

    pub(super) fn wake_at_ms(&self, not_before_ms: i64, now_ms: i64) -> Option<i64> {
        match self.paused_until_ms.filter(|until| now_ms < *until) {
            Some(until) if self.is_down() => Some(until),
            Some(until) => Some(until.max(not_before_ms)),
            None if self.is_down() => (self.probes_left > 0).then_some(now_ms),
            None => Some(not_before_ms),
        }
    }

    pub(super) fn probe_sent(&mut self) {
        self.probes_left -= 1;
        self.probes_under_way += 1;
    }

    /// It was not tried after all, and is not before this time.
    pub(super) fn probe_came_back(&mut self, not_before_ms: i64) {
        if self.probes_under_way > 0 {
            self.probes_under_way -= 1;
            self.probes_left += 1;
            self.pause_until(not_before_ms);
        }
    }

    pub(super) fn pause_until(&mut self, until_ms: i64) {
        self.paused_until_ms = self.paused_until_ms.max(Some(until_ms));
    }

    /// Whether it was down until now.
    pub(super) fn succeeded(&mut self) -> bool {
        let was_down = self.is_down();
        // A pause that a receiver asked for while others were under way still holds.
        let asked = self.paused_until_ms.filter(|_| !was_down);
        *self = Self {
            paused_until_ms: asked,
            ..Self::default()
        };
        was_down
    }

    /// `beyond` tells an event beyond the place from an open one: those fail by themselves and say little.
    pub(super) fn failed(&mut self, seq: u64, beyond: bool, now_ms: i64, random: u64) {
        self.failing_since_ms.get_or_insert(now_ms);
        if self.is_down() {
            // One that was under way before the receiver counted as down says nothing new.
            if self.probes_under_way > 0 {
                self.probes_under_way -= 1;
                if self.probes_under_way == 0 {
                    self.fall_deeper(now_ms, random);
                }
            }
            return;
        }
        if beyond {
            self.failing.insert(seq);
        }
        if self.failing.len() >= DOWN_AFTER {
            self.failing.clear();
            self.fall_deeper(now_ms, random);
        }
    }

    fn fall_deeper(&mut self, now_ms: i64, random: u64) {
        let pause = jittered(self.failures, random, LONGEST_DOWN_PAUSE_MS);
        self.failures = self.failures.saturating_add(1);
        self.probes_left = PROBES;
        self.pause_until(now_ms.saturating_add(pause));
    }
}
