//! One of three nodes lies, in a bounded set: every kind of lie twice. The full run is `cargo xtask lies`.

use std::path::PathBuf;

use coffer_testkit::Engine;
use coffer_testkit::chain_proof::reorgs::FINALITY;
use coffer_testkit::chain_proof::{Family, Ground, lies};
use coffer_testkit::programs::program;
use coffer_testkit::serving::Programs;

#[tokio::test]
async fn no_lie_is_credited_and_nothing_hidden_stays_hidden() {
    let coffer = program("coffer");
    let folder: PathBuf = coffer.parent().expect("a program lies in a folder").into();
    let ground = Ground {
        family: Family::Evm,
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
    assert!(
        tally.told.len() >= 24,
        "kinds that were told: {:?}",
        tally.told
    );
}
