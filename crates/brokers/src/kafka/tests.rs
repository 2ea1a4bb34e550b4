use super::progress::Progress;
use super::*;

const TOPIC: &str = "batches";

/// Hands out the offsets from 5 and settles some of them, in this order; `expected` are the commits.
fn check(handed_out: i64, settled: &[i64], expected: &[Option<i64>]) {
    let mut progress = Progress::default();
    let mut assignment = 0;
    for offset in 5..5 + handed_out {
        assignment = progress.handed_out(TOPIC, 0, offset);
    }
    let commits: Vec<_> = settled
        .iter()
        .map(|offset| progress.settled(TOPIC, 0, assignment, *offset))
        .collect();
    assert_eq!(commits, expected, "{settled:?}");
}

#[test]
fn only_what_is_settled_without_a_gap_is_committed() {
    check(3, &[5, 6, 7], &[Some(6), Some(7), Some(8)]);
    check(3, &[7, 6, 5], &[None, None, Some(8)]);
    check(3, &[6, 5, 7], &[None, Some(7), Some(8)]);
    check(3, &[7, 6], &[None, None]);
    check(1, &[5, 5], &[Some(6), None]);
}

#[test]
fn what_was_handed_out_under_an_old_assignment_settles_nothing() {
    let mut progress = Progress::default();
    let old = progress.handed_out(TOPIC, 0, 7);
    progress.reassigned();
    assert_eq!(progress.settled(TOPIC, 0, old, 7), None);
    let new = progress.handed_out(TOPIC, 0, 7);
    assert_eq!(progress.settled(TOPIC, 0, old, 7), None);
    assert!(!progress.is_current(TOPIC, 0, old) && progress.is_current(TOPIC, 0, new));
    assert_eq!(progress.settled(TOPIC, 0, new, 7), Some(8));
}

#[test]
fn a_partition_that_went_back_is_another_one() {
    let mut progress = Progress::default();
    let old = progress.handed_out(TOPIC, 0, 7);
    // The broker lost its data: offset 3 is a new message, and 7 will be one too.
    let new = progress.handed_out(TOPIC, 0, 3);
    assert_eq!(progress.settled(TOPIC, 0, old, 7), None);
    assert_eq!(progress.settled(TOPIC, 0, new, 3), Some(4));
    // Another partition is not concerned.
    let other = progress.handed_out(TOPIC, 1, 0);
    assert_eq!(progress.settled(TOPIC, 1, other, 0), Some(1));
}

#[test]
fn settings_that_cannot_work_are_told_at_once() {
    let check = |servers: &[&str], topic: &str, good: bool| {
        let servers: Vec<_> = servers.iter().map(|&server| server.to_owned()).collect();
        let checked = client::check(&servers, topic);
        assert_eq!(checked.is_ok(), good, "{servers:?} {topic}");
    };
    check(&["a:9092", "b:9092"], "coffer.events", true);
    check(&[], "events", false);
    check(&["kafka://a:9092"], "events", false);
    check(&["a"], "events", false);
    check(&["a:9092"], "", false);
    check(&["a:9092"], "coffer events", false);
}
