//! Where the programs under test are.

use std::path::PathBuf;

/// A built program, from `COFFER_TEST_BIN_DIR` or beside this test's own folder.
///
/// # Panics
/// When it is not there; the message says how to build it.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment where the programs are"
)]
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var("COFFER_TEST_BIN_DIR")
        .map(PathBuf::from)
        .unwrap_or_else(|_| {
            let own = std::env::current_exe().expect("a running program has a path");
            let folder = own
                .ancestors()
                .find(|folder| folder.ends_with("debug") || folder.ends_with("release"));
            folder.expect("tests run from a target folder").to_owned()
        });
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is not built; run `cargo xtask test`, or build it and set COFFER_TEST_BIN_DIR",
        path.display()
    );
    path
}
