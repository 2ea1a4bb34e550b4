//! How many questions go into one request: halved when a node cannot take them, grown slowly when it can.

#[derive(Debug, Clone, Copy)]
pub(super) struct BatchSize {
    calls: usize,
    max: usize,
}

impl BatchSize {
    pub(super) fn new(max: usize) -> Self {
        let max = max.max(1);
        Self { calls: max, max }
    }

    pub(super) fn get(self) -> usize {
        self.calls
    }

    /// Below what failed, whatever was tried since.
    pub(super) fn shrink(&mut self, failed: usize) {
        self.calls = self.calls.min((failed / 2).max(1));
    }

    pub(super) fn grow(&mut self) {
        self.calls = (self.calls + self.calls / 8 + 1).min(self.max);
    }
}
