//! How many events of a webhook may be sent in a second: a bucket that holds a tenth of a second's worth.

pub(super) struct Throttle {
    per_second: Option<u32>,
    /// Thousandths of a send.
    level: i64,
    filled_at_ms: i64,
}

impl Throttle {
    pub(super) fn new(per_second: Option<u32>, now_ms: i64) -> Self {
        Self {
            per_second,
            level: capacity(per_second.unwrap_or(0)),
            filled_at_ms: now_ms,
        }
    }

    fn fill(&mut self, rate: u32, now_ms: i64) {
        let passed = now_ms.saturating_sub(self.filled_at_ms).clamp(0, 10_000);
        self.filled_at_ms = now_ms;
        self.level = (self.level + passed * i64::from(rate)).min(capacity(rate));
    }

    /// Whether one may be sent now.
    pub(super) fn is_open(&mut self, now_ms: i64) -> bool {
        let Some(rate) = self.per_second else {
            return true;
        };
        self.fill(rate, now_ms);
        self.level >= 1000
    }

    pub(super) fn sent(&mut self) {
        if self.per_second.is_some() {
            self.level -= 1000;
        }
    }

    /// Until the next may be sent, where that is what is waited for.
    pub(super) fn wait_ms(&self) -> i64 {
        match self.per_second {
            Some(rate) => (1000 - self.level).max(0) / i64::from(rate.max(1)) + 1,
            None => 0,
        }
    }
}

fn capacity(rate: u32) -> i64 {
    (i64::from(rate) * 100).max(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent_within(rate: Option<u32>, ms: i64) -> u32 {
        let mut throttle = Throttle::new(rate, 0);
        let mut sent = 0;
        for now in 0..ms {
            while sent < 10_000 && throttle.is_open(now) {
                throttle.sent();
                sent += 1;
            }
        }
        sent
    }

    #[test]
    fn no_second_has_more_than_its_share_and_a_tenth() {
        assert!((3..=4).contains(&sent_within(Some(1), 3_000)));
        assert!((300..=330).contains(&sent_within(Some(100), 3_000)));
        assert_eq!(sent_within(None, 1), 10_000);
    }

    #[test]
    fn a_long_rest_does_not_save_up() {
        let mut throttle = Throttle::new(Some(10), 0);
        let mut sent = 0;
        while throttle.is_open(1_000_000) {
            throttle.sent();
            sent += 1;
        }
        assert_eq!(sent, 1);
        assert!((99..=101).contains(&throttle.wait_ms()));
    }
}
