//! The crash runner with a bounded set: every failpoint once, random kills, restarts, a takeover; both engines at
//! the same time. The full run is `cargo xtask crash`.

use std::path::PathBuf;

use coffer_testkit::Engine;
use coffer_testkit::crash::{self, Line, Options};
use coffer_testkit::programs::program;
use coffer_testkit::serving::Programs;

/// Those of blocks are passed by `tests/reorgs.rs`, those of webhooks by `tests/webhooks`.
const FAILPOINTS_ELSEWHERE: usize = 8 + 5;

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment what there is"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn programs() -> Programs {
    let folder: PathBuf = program("coffer")
        .parent()
        .expect("a program lies in a folder")
        .to_owned();
    Programs::in_folder(&folder).expect("the programs are built")
}

/// As `cargo xtask test --engine` chooses.
fn is_asked_for(engine: &str) -> bool {
    environment("COFFER_TEST_ENGINES")
        .is_none_or(|engines| engines.split(',').any(|name| name == engine))
}

async fn every_run_is_equal(engine: Engine) {
    let server_url = environment("COFFER_TEST_POSTGRES_URL");
    assert!(
        engine == Engine::Sqlite || server_url.is_some(),
        "COFFER_TEST_POSTGRES_URL is not set; run the tests by `cargo xtask test`, which starts a PostgreSQL"
    );
    let options = Options {
        programs: programs(),
        engine,
        server_url,
        rows: 3000,
        random_kills: 6,
        seed: 20_261_122,
        failpoints: coffer_failpoint::NAMES.to_vec(),
        one_passing_each: true,
        takeover: true,
    };
    let lines = crash::run(&options, &|line: &Line| eprintln!("{}", line.text()));
    let lines = lines.await.expect("the undisturbed run is good");
    let bad: Vec<String> = lines
        .iter()
        .filter(|line| !line.is_good())
        .map(Line::text)
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(
        lines.len() > coffer_failpoint::NAMES.len() - FAILPOINTS_ELSEWHERE,
        "a failpoint was left out"
    );
}

#[tokio::test]
async fn a_crash_anywhere_leaves_the_same_results_on_sqlite() {
    if is_asked_for("sqlite") {
        every_run_is_equal(Engine::Sqlite).await;
    }
}

#[tokio::test]
async fn a_crash_anywhere_leaves_the_same_results_on_postgresql() {
    if is_asked_for("postgres") {
        every_run_is_equal(Engine::Postgres).await;
    }
}
