use super::health::DOWN_AFTER;
use super::*;

const NO_JITTER: u64 = 0;
const HOUR: i64 = 3_600_000;

fn message(seq: u64, subject: &str) -> Message {
    Message {
        seq,
        id: format!("evt_{seq}"),
        kind: "wallet.created".to_owned(),
        subject: subject.to_owned(),
        body: Bytes::new(),
    }
}

/// A queue at place 0 with these events, numbered from 1.
fn queue(subjects: &[&str]) -> Queue {
    let mut queue = Queue::new(0, Vec::new(), Health::default());
    add(&mut queue, subjects, 0);
    queue
}

fn add(queue: &mut Queue, subjects: &[&str], now: i64) {
    let from = queue.read_to() + 1;
    let messages = (from..)
        .zip(subjects)
        .map(|(seq, subject)| message(seq, subject));
    let messages: Vec<_> = messages.collect();
    let to = queue.read_to() + subjects.len() as u64;
    queue.read(messages, to, now);
}

/// All that may be sent now.
fn turns(queue: &mut Queue, now: i64) -> Vec<u64> {
    std::iter::from_fn(|| queue.next(now).map(|turn| turn.seq)).collect()
}

fn succeed(queue: &mut Queue, seq: u64, now: i64) {
    let verdict = queue.answered(seq, Outcome::Delivered, now, NO_JITTER);
    assert_eq!(verdict, Verdict::Delivered);
}

fn fail(queue: &mut Queue, seq: u64, now: i64) -> Verdict {
    queue.answered(seq, Outcome::Failed { pause_ms: None }, now, NO_JITTER)
}

fn open(queue: &Queue) -> Vec<u64> {
    queue.open_events().iter().map(|event| event.seq).collect()
}

#[test]
fn of_one_object_one_event_is_under_way_and_in_order() {
    let mut queue = queue(&["a", "b", "a", "a", "b"]);
    assert_eq!(turns(&mut queue, 0), [1, 2]);
    assert_eq!(queue.told_to(), 0);
    succeed(&mut queue, 2, 0);
    assert_eq!(turns(&mut queue, 0), [5]);
    assert_eq!(queue.told_to(), 0, "the first is not told");
    succeed(&mut queue, 1, 0);
    assert_eq!(queue.told_to(), 2);
    assert_eq!(turns(&mut queue, 0), [3]);
    succeed(&mut queue, 3, 0);
    succeed(&mut queue, 5, 0);
    assert_eq!(queue.told_to(), 3);
    assert_eq!(turns(&mut queue, 0), [4]);
    succeed(&mut queue, 4, 0);
    assert_eq!((queue.told_to(), queue.under_way()), (5, 0));
}

#[test]
fn a_poison_event_is_opened_when_others_succeed_and_its_object_waits_behind_it() {
    let mut queue = queue(&["bad", "a", "bad", "b"]);
    assert_eq!(turns(&mut queue, 0), [1, 2, 4]);
    assert_eq!(fail(&mut queue, 1, 0), Verdict::Again);
    assert_eq!(open(&queue), [0; 0], "nothing is known yet");
    succeed(&mut queue, 2, 0);
    succeed(&mut queue, 4, 0);
    assert_eq!(open(&queue), [1]);
    queue.settle();
    assert_eq!(open(&queue), [1, 3]);
    assert_eq!(
        queue.told_to(),
        4,
        "the place passed the poison and what waits behind it"
    );
    // Neither is sent before its time, and the later not before the earlier.
    assert_eq!(turns(&mut queue, 0), [0; 0]);
    assert_eq!(turns(&mut queue, HOUR), [1]);
    succeed(&mut queue, 1, HOUR);
    let turn = queue.next(HOUR).expect("the one behind");
    assert_eq!((turn.seq, turn.attempt, turn.message), (3, 1, None));
    succeed(&mut queue, 3, HOUR);
    assert_eq!(open(&queue), [0; 0]);
}

#[test]
fn an_event_is_parked_after_three_days_and_the_next_of_its_object_goes() {
    let mut queue = queue(&["bad", "bad", "a"]);
    assert_eq!(turns(&mut queue, 0), [1, 3]);
    fail(&mut queue, 1, 0);
    succeed(&mut queue, 3, 0);
    let mut now = 0;
    while now < TRY_FOR_MS {
        now += HOUR;
        for seq in turns(&mut queue, now) {
            assert_eq!(seq, 1);
            let verdict = fail(&mut queue, 1, now);
            let expected = if now < TRY_FOR_MS {
                Verdict::Again
            } else {
                Verdict::Parked
            };
            assert_eq!(verdict, expected);
        }
    }
    assert_eq!(turns(&mut queue, now), [2]);
}

#[test]
fn a_receiver_that_is_down_holds_the_place_and_is_asked_rarely() {
    let subjects: Vec<String> = (0..100).map(|n| format!("s{n}")).collect();
    let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
    let mut queue = queue(&subjects);
    for _ in 0..DOWN_AFTER {
        let turn = queue.next(0).expect("up until now");
        fail(&mut queue, turn.seq, 0);
    }
    assert!(queue.health().is_down());
    assert_eq!((open(&queue), queue.told_to()), (vec![], 0));
    let (mut now, mut asked) = (0, 0);
    while now < 24 * HOUR {
        now += 10_000;
        for seq in turns(&mut queue, now) {
            asked += 1;
            fail(&mut queue, seq, now);
        }
    }
    assert_eq!(
        (open(&queue), queue.told_to()),
        (vec![], 0),
        "nothing is written down"
    );
    assert!(asked > 0 && !queue.health().is_hopeless(now));
    assert!(queue.health().is_hopeless(TRY_FOR_MS));
    // It comes back: everything goes, nothing is held against those that failed.
    let wake = queue.wake_at_ms(now).expect("it will ask again");
    let first = queue.next(wake).expect("a probe");
    succeed(&mut queue, first.seq, wake);
    assert!(!queue.health().is_down());
    let rest = turns(&mut queue, wake);
    assert_eq!(rest.len(), 99);
    rest.into_iter()
        .for_each(|seq| succeed(&mut queue, seq, wake));
    assert_eq!((open(&queue), queue.told_to()), (vec![], 100));
}

#[test]
fn with_the_longest_jitter_a_day_of_silence_costs_some_hundred_questions() {
    let mut queue = queue(&["a", "b", "c", "d", "e", "f"]);
    let (mut now, mut asked) = (0, 0);
    while now < 24 * HOUR {
        now += 10_000;
        for seq in turns(&mut queue, now) {
            asked += 1;
            let outcome = Outcome::Failed { pause_ms: None };
            queue.answered(seq, outcome, now, LONGEST);
        }
    }
    assert!((100..600).contains(&asked), "{asked}");
}

/// One less than a multiple of every bound, so that the whole pause is taken.
const LONGEST: u64 = 5_000 * (1 << 20) * 9 * 81 - 1;

#[test]
fn what_was_under_way_when_it_fell_does_not_push_it_deeper() {
    let subjects: Vec<String> = (0..40).map(|n| format!("s{n}")).collect();
    let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
    let mut queue = queue(&subjects);
    let under_way = turns(&mut queue, 0);
    assert_eq!(under_way.len(), 40);
    for seq in under_way {
        fail(&mut queue, seq, 0);
    }
    assert_eq!(queue.health().failures, 1);
}

#[test]
fn a_poison_event_does_not_keep_new_events_waiting() {
    let mut queue = queue(&["bad"]);
    let mut now = 0;
    for _ in 0..8 {
        now += 7 * HOUR;
        assert_eq!(turns(&mut queue, now), [1]);
        fail(&mut queue, 1, now);
    }
    add(&mut queue, &["new"], now);
    assert_eq!(turns(&mut queue, now), [2]);
    succeed(&mut queue, 2, now);
    assert_eq!((open(&queue), queue.told_to()), (vec![1], 2));
}

#[test]
fn poison_at_the_front_of_a_receiver_that_was_down_is_passed() {
    let subjects: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
    let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
    let mut queue = queue(&subjects);
    let mut now = 0;
    // The first ten are poison, enough to look like a receiver that is down whenever nothing else is left.
    for round in 0..50 {
        now += HOUR;
        add(&mut queue, &[&format!("new-{round}")], now);
        for seq in turns(&mut queue, now) {
            if seq <= 10 {
                fail(&mut queue, seq, now);
            } else {
                succeed(&mut queue, seq, now);
            }
        }
        queue.settle();
    }
    assert_eq!(queue.told_to(), 70);
    assert_eq!(open(&queue).len(), 10);
    assert!(open(&queue).iter().all(|seq| *seq <= 10));
}

#[test]
fn a_pause_that_was_asked_for_holds_for_the_whole_webhook() {
    let mut queue = queue(&["a", "b"]);
    let first = queue.next(0).expect("due");
    let asked = Outcome::Failed {
        pause_ms: Some(30_000),
    };
    queue.answered(first.seq, asked, 0, NO_JITTER);
    assert_eq!(turns(&mut queue, 29_999), [0; 0]);
    assert_eq!(queue.wake_at_ms(1), Some(30_000));
    assert_eq!(turns(&mut queue, 30_000).len(), 2);
}

#[test]
fn the_open_list_is_bounded_and_then_holds_the_place() {
    let subjects: Vec<String> = (0..WINDOW).map(|_| "bad".to_owned()).collect();
    let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
    let mut queue = queue(&subjects);
    assert_eq!(queue.room(), 0);
    assert_eq!(turns(&mut queue, 0), [1]);
    fail(&mut queue, 1, 0);
    add(&mut queue, &["good"], 0);
    let good = turns(&mut queue, 0);
    good.into_iter().for_each(|seq| succeed(&mut queue, seq, 0));
    queue.settle();
    assert_eq!(open(&queue).len(), OPEN_MAX);
    assert_eq!(queue.told_to(), OPEN_MAX as u64);
}

#[test]
fn what_is_written_down_comes_back_as_it_was() {
    let mut first = queue(&["bad", "a", "bad"]);
    turns(&mut first, 0);
    fail(&mut first, 1, 5);
    succeed(&mut first, 2, 5);
    first.settle();
    let text = serde_json::to_string(&first.open_events()).expect("plain");
    let stored: Vec<OpenEvent> = serde_json::from_str(&text).expect("its own form");
    let mut again = Queue::new(first.told_to(), stored, Health::default());
    assert_eq!((open(&again), again.told_to()), (vec![1, 3], 3));
    let turn = again.next(HOUR).expect("due");
    assert_eq!((turn.seq, turn.attempt), (1, 2));
    assert_eq!(turns(&mut again, HOUR), [0; 0], "the one behind waits");
}

#[test]
fn events_are_reopened_once_and_only_behind_the_place() {
    let mut queue = queue(&["a", "b"]);
    for seq in turns(&mut queue, 0) {
        succeed(&mut queue, seq, 0);
    }
    add(&mut queue, &["a"], 0);
    for seq in [1, 1, 3] {
        queue.reopen(message(seq, "a"), 0);
    }
    assert_eq!(open(&queue), [1]);
    assert_eq!(
        turns(&mut queue, 0),
        [1],
        "the newer one of the object waits"
    );
    queue.put_back(1, 10);
    assert_eq!(turns(&mut queue, 9), [0; 0]);
    assert_eq!(turns(&mut queue, 10), [1]);
}

#[test]
fn pauses_double_up_to_a_bound() {
    assert_eq!(pause_ms(0, LONGEST), 5_000);
    assert_eq!(pause_ms(1, LONGEST), 10_000);
    assert!(pause_ms(60, u64::MAX) <= 6 * HOUR);
    assert_eq!(pause_ms(3, 0), 1);
}
