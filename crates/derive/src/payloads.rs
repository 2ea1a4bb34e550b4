use crate::DeriveError;

/// Non-hardened child indexes `first .. first + count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexRange {
    first: u32,
    count: u32,
}

impl IndexRange {
    /// Refuses a range that reaches 2³¹, where the hardened indexes begin.
    pub fn try_new(first: u32, count: u32) -> Result<Self, DeriveError> {
        let end = u64::from(first) + u64::from(count);
        if end > 1 << 31 {
            Err(DeriveError::IndexOutOfRange { first, count })
        } else {
            Ok(Self { first, count })
        }
    }

    #[must_use]
    pub fn first(self) -> u32 {
        self.first
    }

    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// The same indexes in stretches of at most `len`.
    pub(crate) fn parts(self, len: u32) -> impl Iterator<Item = Self> {
        (0..self.count).step_by(len as usize).map(move |done| Self {
            first: self.first + done,
            count: len.min(self.count - done),
        })
    }
}

/// Payloads of one length, one behind the other in index order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payloads {
    record_len: usize,
    bytes: Vec<u8>,
}

impl Payloads {
    /// An empty buffer; calls that fill it reuse its memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes records as they are, e.g. to have them verified; `None` when `bytes` is not whole records.
    #[must_use]
    pub fn from_bytes(record_len: usize, bytes: Vec<u8>) -> Option<Self> {
        (record_len > 0 && bytes.len().is_multiple_of(record_len))
            .then_some(Self { record_len, bytes })
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len().checked_div(self.record_len).unwrap_or(0)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of one record: 20 or 32, and 0 in a buffer never filled.
    #[must_use]
    pub fn record_len(&self) -> usize {
        self.record_len
    }

    #[must_use]
    pub fn get(&self, position: usize) -> Option<&[u8]> {
        self.iter().nth(position)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.record_len.max(1))
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn reset(&mut self, record_len: usize, records: usize) {
        self.record_len = record_len;
        self.bytes.clear();
        self.bytes.reserve(record_len * records);
    }

    /// The bytes of as many records more, to be written.
    pub(crate) fn more(&mut self, records: usize) -> &mut [u8] {
        let filled = self.bytes.len();
        self.bytes.resize(filled + self.record_len * records, 0);
        &mut self.bytes[filled..]
    }
}
