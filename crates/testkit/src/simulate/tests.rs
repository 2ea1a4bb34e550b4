use super::*;

fn options(family: Family, told: bool) -> Options {
    Options {
        family: Some(family),
        told,
        ..Options::default()
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for family in Family::ALL {
        for seed in 0..40 {
            let once = run(seed, options(family, false));
            assert!(once.is_ok(), "{family:?}: {once:?}");
            assert_eq!(run(seed, options(family, false)), once);
            // Being watched changes nothing.
            assert_eq!(run(seed, options(family, true)), once);
        }
    }
}

#[test]
fn seeds_and_families_differ() {
    let hash = |seed, family| {
        let report = run(seed, options(family, false));
        report.expect("nothing is wrong").trace_hash
    };
    assert_ne!(hash(1, Family::Evm), hash(2, Family::Evm));
    assert_ne!(hash(1, Family::Evm), hash(1, Family::Bitcoin));
    let chosen = run(1, Options::default()).expect("nothing is wrong");
    assert_eq!(chosen.trace_hash, hash(1, Family::Bitcoin));
}

/// The seeds do what they are for: outputs of ours are spent, and given back.
#[test]
fn outputs_are_spent_and_given_back() {
    let summary = run_all(0..40, options(Family::Bitcoin, false), 1);
    let failure = summary.failure.as_ref().map(|failure| &failure.what);
    assert_eq!(failure, None);
    let Report {
        outputs,
        spent_outputs,
        restored,
        ..
    } = summary.total;
    assert!(
        spent_outputs > 500 && outputs > spent_outputs,
        "{summary:?}"
    );
    assert!(restored > 200, "{:?}", summary.total);
}

/// A judge that finds nothing is worth as much as the mistakes it would find.
#[test]
fn every_defect_is_found() {
    for defect in Defect::ALL {
        for family in defect.families() {
            let with = Options {
                defect: Some(defect),
                ..options(*family, false)
            };
            let found = (0..400).find_map(|seed| run(seed, with).err());
            let failure = found
                .unwrap_or_else(|| panic!("{defect:?} is not found in 400 seeds of {family:?}"));
            println!(
                "{defect:?} on {family:?}: seed {}, step {}: {}",
                failure.seed, failure.step, failure.what
            );
            assert_eq!(run(failure.seed, with), Err(failure));
        }
    }
}
