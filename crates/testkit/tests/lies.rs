//! One of three nodes lies, on each family of chains, in a bounded set: every kind of lie twice. The full run is
//! `cargo xtask lies`.

use std::path::PathBuf;

use coffer_testkit::Engine;
use coffer_testkit::chain_proof::reorgs::FINALITY;
use coffer_testkit::chain_proof::{Family, Ground, lies};
use coffer_testkit::programs::program;
use coffer_testkit::serving::Programs;

async fn no_lie_is_credited(family: Family, least_kinds: usize) {
    let coffer = program("coffer");
    let folder: PathBuf = coffer.parent().expect("a program lies in a folder").into();
    let ground = Ground {
        family,
        programs: Programs::in_folder(&folder).expect("the programs are built"),
        // What is believed does not depend on where it is stored.
        engine: Engine::Sqlite,
        server_url: None,
        wallets: 40,
        finality: FINALITY,
    };
    let options = lies::Options {
        ground,
        count: 200,
        seed: 77,
    };
    let tally = lies::run(&options, &|_| {}).await;
    let tally = tally.expect("the installation comes to where the chain is");
    eprintln!("{tally}");
    assert!(tally.report.is_good(), "{}", tally.report);
    assert!(tally.lies() >= 200 && tally.outages == 2);
    let kinds = tally.told.len();
    assert!(
        kinds >= least_kinds,
        "{kinds} kinds were told: {:?}",
        tally.told
    );
}

#[tokio::test]
async fn no_lie_is_credited_and_nothing_hidden_stays_hidden() {
    no_lie_is_credited(Family::Evm, 24).await;
}

#[tokio::test]
async fn no_lie_about_bitcoin_is_credited_and_nothing_hidden_stays_hidden() {
    // All but the order of a batch's answers, where the server never asked for several blocks at once.
    no_lie_is_credited(Family::Bitcoin, 40).await;
}
