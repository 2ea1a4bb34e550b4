use super::*;

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..40 {
        let (once, again) = (run(seed, None, false), run(seed, None, false));
        assert!(once.is_ok(), "{once:?}");
        assert_eq!(once, again);
        // Being watched changes nothing.
        assert_eq!(run(seed, None, true), once);
    }
}

#[test]
fn seeds_differ() {
    let hash = |seed| run(seed, None, false).expect("nothing is wrong").trace_hash;
    assert_ne!(hash(1), hash(2));
}

/// A judge that finds nothing is worth as much as the mistakes it would find.
#[test]
fn every_defect_is_found() {
    for defect in Defect::ALL {
        let found = (0..400).find_map(|seed| run(seed, Some(defect), false).err());
        let failure = found.unwrap_or_else(|| panic!("{defect:?} is not found in 400 seeds"));
        println!(
            "{defect:?}: seed {}, step {}: {}",
            failure.seed, failure.step, failure.what
        );
        assert_eq!(run(failure.seed, Some(defect), false), Err(failure));
    }
}
