//! Reorganizations on real nodes, in a bounded set: 40 rounds per family and engine, two of them deeper than finality;
//! the contracts that lie; and the checker checked. The full run is `cargo xtask reorgs`.

use std::path::PathBuf;

use coffer_testkit::Engine;
use coffer_testkit::chain_proof::{Family, Ground, contracts, corruption, reorgs};
use coffer_testkit::programs::program;
use coffer_testkit::serving::Programs;

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment what there is"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// `None` for an engine that `cargo xtask test --engine` left out.
fn ground(family: Family, engine: Engine, name: &str) -> Option<Ground> {
    let asked = environment("COFFER_TEST_ENGINES")
        .is_none_or(|engines| engines.split(',').any(|engine| engine == name));
    if !asked {
        return None;
    }
    let server_url = environment("COFFER_TEST_POSTGRES_URL");
    assert!(
        engine == Engine::Sqlite || server_url.is_some(),
        "COFFER_TEST_POSTGRES_URL is not set; run the tests by `cargo xtask test`, which starts a PostgreSQL"
    );
    let coffer = program("coffer");
    let folder: PathBuf = coffer.parent().expect("a program lies in a folder").into();
    Some(Ground {
        family,
        programs: Programs::in_folder(&folder).expect("the programs are built"),
        engine,
        server_url,
        wallets: 60,
        finality: reorgs::FINALITY,
    })
}

async fn the_ledger_follows(family: Family, (engine, name): (Engine, &str), seed: u64) {
    let Some(ground) = ground(family, engine, name) else {
        return;
    };
    let options = reorgs::Options {
        ground,
        rounds: 40,
        deep_every: 20,
        seed,
    };
    let tally = reorgs::run(&options, &|_, _| {}).await;
    let tally = tally.expect("the installation comes to where the chain is");
    eprintln!("{tally}");
    assert!(tally.report.is_good(), "{}", tally.report);
    assert_eq!(tally.freezes, 2);
    let report = &tally.report;
    assert!(report.orphaned > 50 && report.returned > 5 && tally.kills > 5);
    assert_eq!(tally.judged, 2, "in between");
    if family == Family::Bitcoin {
        assert!(tally.fates.partitions > 0 && tally.fates.rewards > 0);
        assert!(
            tally.judged_spends > 0 && tally.tripped > 0,
            "spent past Coffer"
        );
    }
}

#[tokio::test]
async fn the_ledger_follows_every_reorganization_on_sqlite() {
    the_ledger_follows(Family::Evm, (Engine::Sqlite, "sqlite"), 31_337).await;
}

#[tokio::test]
async fn the_ledger_follows_every_reorganization_on_postgresql() {
    the_ledger_follows(Family::Evm, (Engine::Postgres, "postgres"), 31_338).await;
}

#[tokio::test]
async fn the_ledger_follows_every_reorganization_of_bitcoin_on_sqlite() {
    the_ledger_follows(Family::Bitcoin, (Engine::Sqlite, "sqlite"), 18_443).await;
}

#[tokio::test]
async fn the_ledger_follows_every_reorganization_of_bitcoin_on_postgresql() {
    the_ledger_follows(Family::Bitcoin, (Engine::Postgres, "postgres"), 18_444).await;
}

#[tokio::test]
async fn no_contract_gets_more_credited_than_it_moved() {
    let (engine, name) = (Engine::Sqlite, "sqlite");
    let Some(ground) = ground(Family::Evm, engine, name) else {
        return;
    };
    let outcome = contracts::run(&ground).await.expect("the scene plays");
    assert!(outcome.wrong.is_empty(), "{}", outcome.wrong.join("\n"));
    assert!(outcome.report.is_good(), "{}", outcome.report);
    assert!(outcome.cases >= 35, "a contract was left out");
    assert_eq!(outcome.tripped, ["SILENT", "REBASE"]);
}

async fn the_checker_objects(family: Family, (engine, name): (Engine, &str), least: usize) {
    let Some(ground) = ground(family, engine, name) else {
        return;
    };
    let outcomes = corruption::run(&ground).await.expect("the scene plays");
    assert!(outcomes.len() >= least);
    for corrupted in outcomes {
        assert!(
            corrupted.report.objects_to(corrupted.expected),
            "{} ({}): {}",
            corrupted.what,
            corrupted.expected,
            corrupted.report
        );
    }
}

#[tokio::test]
async fn the_checker_objects_to_every_corruption_on_sqlite() {
    the_checker_objects(Family::Evm, (Engine::Sqlite, "sqlite"), 26).await;
}

#[tokio::test]
async fn the_checker_objects_to_every_corruption_on_postgresql() {
    the_checker_objects(Family::Evm, (Engine::Postgres, "postgres"), 26).await;
}

#[tokio::test]
async fn the_checker_objects_to_every_corruption_of_bitcoin_on_sqlite() {
    the_checker_objects(Family::Bitcoin, (Engine::Sqlite, "sqlite"), 40).await;
}

#[tokio::test]
async fn the_checker_objects_to_every_corruption_of_bitcoin_on_postgresql() {
    the_checker_objects(Family::Bitcoin, (Engine::Postgres, "postgres"), 40).await;
}
