use proptest::prelude::*;

use super::{agreed, largest_group, reached};

#[test]
fn k_must_say_the_same() {
    assert_eq!(agreed(2, &["a", "b", "a"]), Some(&"a"));
    assert_eq!(agreed(2, &["a", "b", "c"]), None);
    assert_eq!(agreed(2, &["a"]), None);
    assert_eq!(agreed(1, &["a"]), Some(&"a"));
    assert_eq!(agreed::<u8>(0, &[]), None);
    assert_eq!(largest_group(&["a", "b", "a"]), 2);
}

#[test]
fn one_who_claims_more_moves_nothing() {
    assert_eq!(reached(2, &[10, 10, 1_000]), Some(10));
    assert_eq!(reached(2, &[10, 3, 11]), Some(10));
    assert_eq!(reached(2, &[10]), None);
    assert_eq!(reached(0, &[10]), None);
}

proptest! {
    /// Fewer than k liars, whatever each of them says, neither make an answer nor lift the head.
    #[test]
    fn fewer_than_k_liars_decide_nothing(nodes in 1_usize..9, truth in 0_u8..4, lies in prop::collection::vec(0_u8..4, 0..4)) {
        let quorum = nodes / 2 + 1;
        let liars = lies.len().min(quorum - 1).min(nodes);
        let mut answers = lies[..liars].to_vec();
        answers.resize(nodes, truth);
        if let Some(found) = agreed(quorum, &answers) {
            prop_assert_eq!(*found, truth);
        }
        prop_assert!(reached(quorum, &answers).is_some_and(|height| height <= truth));
    }

    /// With silent nodes there is no answer rather than a weaker one.
    #[test]
    fn silence_never_lowers_k(nodes in 1_usize..9, silent in 0_usize..9) {
        let quorum = nodes / 2 + 1;
        let answers = vec![1_u8; nodes.saturating_sub(silent)];
        prop_assert_eq!(agreed(quorum, &answers).is_some(), answers.len() >= quorum);
        prop_assert_eq!(reached(quorum, &answers).is_some(), answers.len() >= quorum);
    }
}
