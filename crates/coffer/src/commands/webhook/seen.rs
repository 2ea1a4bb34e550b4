//! Ids of messages that were taken, for as long as a copy of one could still pass for fresh.

use std::collections::{HashMap, VecDeque};

/// A message is fresh within five minutes before and after its time.
const KEEP_MS: i64 = 10 * 60 * 1000;
const IDS_MAX: usize = 100_000;

#[derive(Default)]
pub(super) struct Seen {
    since: HashMap<String, i64>,
    order: VecDeque<String>,
}

impl Seen {
    /// Whether `id` is new; it is known from now on.
    pub(super) fn is_new(&mut self, id: &str, now_ms: i64) -> bool {
        while let Some(oldest) = self.order.front() {
            let old = self
                .since
                .get(oldest)
                .is_none_or(|since| now_ms - since > KEEP_MS);
            if !old && self.order.len() < IDS_MAX {
                break;
            }
            self.since.remove(oldest);
            self.order.pop_front();
        }
        if self.since.contains_key(id) {
            return false;
        }
        self.since.insert(id.to_owned(), now_ms);
        self.order.push_back(id.to_owned());
        true
    }

    /// It was not taken after all.
    pub(super) fn forget(&mut self, id: &str) {
        self.since.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_counts_once_while_it_could_be_fresh() {
        let mut seen = Seen::default();
        assert!(seen.is_new("a", 0));
        assert!(!seen.is_new("a", KEEP_MS));
        assert!(seen.is_new("b", KEEP_MS));
        assert!(seen.is_new("a", KEEP_MS + 1));
        assert!(!seen.is_new("b", KEEP_MS + 1));
        seen.forget("b");
        assert!(seen.is_new("b", KEEP_MS + 1));
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Seen::default();
        for number in 0..IDS_MAX + 10 {
            assert!(seen.is_new(&number.to_string(), 0));
        }
        assert_eq!((seen.since.len(), seen.order.len()), (IDS_MAX, IDS_MAX));
    }
}
