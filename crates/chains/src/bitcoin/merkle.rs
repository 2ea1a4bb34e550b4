//! The root of a list of hashes, as blocks commit to it.

use bitcoin::hashes::{Hash, sha256d};

/// The root of one or more hashes; `None` of none, and where two neighbours that are hashed together are equal: a list
/// that repeats its end has the root of the shorter list (CVE-2012-2459), so the root says nothing of it.
pub(super) fn root(mut hashes: Vec<sha256d::Hash>) -> Option<sha256d::Hash> {
    while hashes.len() > 1 {
        let mut above = Vec::with_capacity(hashes.len().div_ceil(2));
        for pair in hashes.chunks(2) {
            let (left, right) = match *pair {
                [left, right] if left == right => return None,
                [left, right] => (left, right),
                [last] => (last, last),
                _ => return None,
            };
            let mut both = [0; 64];
            both[..32].copy_from_slice(left.as_byte_array());
            both[32..].copy_from_slice(right.as_byte_array());
            above.push(sha256d::Hash::hash(&both));
        }
        hashes = above;
    }
    hashes.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_end_has_no_root() {
        let hash = |number: u8| sha256d::Hash::from_byte_array([number; 32]);
        let three = root(vec![hash(1), hash(2), hash(3)]);
        assert!(three.is_some());
        assert_eq!(root(vec![hash(1), hash(2), hash(3), hash(3)]), None);
        let six = (1..=6).map(hash).collect();
        let again = (1..=6).chain(5..=6).map(hash).collect();
        assert!(root(six).is_some());
        assert_eq!(root(again), None);
        assert_eq!(root(Vec::new()), None);
        assert_eq!(root(vec![hash(9)]), Some(hash(9)));
    }
}
