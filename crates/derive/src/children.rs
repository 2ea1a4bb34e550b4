use crate::{DeriveError, IndexRange};

/// Coordinates of points, big-endian, in index order.
#[derive(Default)]
pub(crate) struct Points {
    pub(crate) xs: Vec<[u8; 32]>,
    pub(crate) ys: Vec<[u8; 32]>,
}

impl Points {
    pub(crate) fn resize(&mut self, count: usize) {
        self.xs.resize(count, [0; 32]);
        self.ys.resize(count, [0; 32]);
    }

    pub(crate) fn clear(&mut self) {
        self.resize(0);
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8; 32], &[u8; 32])> {
        self.xs.iter().zip(&self.ys)
    }
}

/// Child public keys of a contiguous range, as points: what payloads are made of and what a proof is about.
///
/// No `Debug`: tweaks are as confidential as the extended key they come from.
#[derive(Default)]
pub struct Children {
    pub(crate) first_index: u32,
    /// I_L of each child.
    pub(crate) tweaks: Vec<[u8; 32]>,
    pub(crate) keys: Points,
    /// Taproot output keys, once they were asked for.
    pub(crate) outputs: Points,
}

impl Children {
    /// None yet; calls that fill it reuse its memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn first_index(&self) -> u32 {
        self.first_index
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.xs.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn reset(&mut self, indexes: IndexRange) {
        self.first_index = indexes.first();
        self.clear();
    }

    fn clear(&mut self) {
        self.tweaks.clear();
        self.keys.clear();
        self.outputs.clear();
    }

    /// Empties itself and names the index that has no child.
    pub(crate) fn invalid(&mut self, position: usize) -> DeriveError {
        let index = self.first_index + position as u32;
        self.clear();
        DeriveError::InvalidChild { index }
    }
}
