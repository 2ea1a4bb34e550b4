//! What Rust source may not say.

use super::{File, Finding};

/// A glob import hides where a name comes from; those of the processor's instructions tell it themselves.
pub(crate) fn glob_imports(files: &[File]) -> Vec<Finding> {
    let is_glob = |line: &str| {
        let line = line
            .trim_start()
            .trim_start_matches("pub(crate) ")
            .trim_start_matches("pub ");
        line.starts_with("use ")
            && !line.starts_with("use std::arch::")
            && (line.contains("::*;") || line.contains("::*,") || line.contains("::*}"))
    };
    rust(files)
        .flat_map(|file| {
            file.production_lines()
                .filter(move |(_, line)| is_glob(line))
                .map(move |(number, _)| (file, number))
        })
        .map(|(file, number)| {
            Finding::new(
                &file.path,
                number,
                "glob import outside tests; name what is imported",
            )
        })
        .collect()
}

/// An ignored test is one that nobody runs.
pub(crate) fn ignored_tests(files: &[File]) -> Vec<Finding> {
    let is_ignored = |line: &str| line.trim_start().starts_with("#[ignore");
    rust(files)
        .flat_map(|file| {
            file.text
                .lines()
                .enumerate()
                .filter(move |(_, line)| is_ignored(line))
                .map(move |(index, _)| (file, index + 1))
        })
        .map(|(file, number)| {
            Finding::new(&file.path, number, "ignored test; repair it or remove it")
        })
        .collect()
}

/// A test that sleeps is slow when it is right and wrong when the machine is slow. Where time itself is the
/// subject (a slow client), or the pause of a loop under a deadline, the line before says so: `// Paced: why`.
pub(crate) fn sleeping_tests(files: &[File]) -> Vec<Finding> {
    let sleeps = |line: &str| {
        let line = line.trim_start();
        !line.starts_with("//")
            && ["thread::sleep(", "time::sleep("]
                .iter()
                .any(|call| line.contains(call))
    };
    let mut findings = Vec::new();
    for file in rust(files) {
        let mut before = "";
        for (number, line) in file.test_lines() {
            if sleeps(line) && !before.trim_start().starts_with("// Paced: ") {
                findings.push(Finding::new(
                    &file.path,
                    number,
                    "a test sleeps; wait for a condition with a deadline, move a manual clock, or say above it `// Paced: why`",
                ));
            }
            before = line;
        }
    }
    findings
}

/// Files in which the lint against `unsafe` may be lifted: vector instructions over public data.
const VECTOR_FILES: [&str; 3] = ["avx2.rs", "avx512.rs", "ifma.rs"];

/// The one over secrets: see `docs/adr/0012-vector-instructions-in-keys.md`.
const SIGNER_VECTOR_FILE: &str = "crates/keys/src/solana/lanes.rs";

/// The compiler denies `unsafe` wherever the lint is not lifted; so it is enough to look where it is.
pub(crate) fn lifted_unsafety(files: &[File]) -> Vec<Finding> {
    let marker = concat!("unsafe", "_code");
    let may = |path: &str| {
        let of_derive = path.starts_with("crates/derive/src/")
            && VECTOR_FILES.iter().any(|name| {
                path.strip_suffix(name)
                    .is_some_and(|folder| folder.ends_with('/'))
            });
        of_derive || path == SIGNER_VECTOR_FILE
    };
    let mut findings = Vec::new();
    for file in rust(files).filter(|file| !may(&file.path)) {
        for (index, line) in file.text.lines().enumerate() {
            let line = line.trim();
            let lifts = line.starts_with(marker) || line.contains(&format!("({marker}"));
            if lifts {
                let text = "`unsafe` outside the vector files of derive and keys";
                findings.push(Finding::new(&file.path, index + 1, text));
            }
        }
    }
    findings
}

fn rust(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.is_rust())
}

#[cfg(test)]
mod tests {
    use super::super::tests::places;
    use super::*;

    #[test]
    fn globs_are_for_tests() {
        let text = "use a::*;\nuse std::arch::x86_64::*;\npub use b::{c::*, d};\nuse a::b;\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\n";
        assert_eq!(
            places(
                glob_imports,
                &[("a/lib.rs", text), ("a/tests.rs", "use super::*;\n")]
            ),
            ["a/lib.rs:1", "a/lib.rs:3"]
        );
    }

    #[test]
    fn ignored_tests_are_found_everywhere() {
        let marker = concat!("#[", "ignore = \"slow\"]\n");
        assert_eq!(
            places(ignored_tests, &[("a/tests/it/main.rs", marker)]),
            ["a/tests/it/main.rs:1"]
        );
    }

    #[test]
    fn unsafe_code_has_its_place() {
        let marker = concat!("#![expect(", "unsafe", "_code, reason = \"fast\")]\n");
        let split = concat!("#![expect(\n    ", "unsafe", "_code,\n");
        let files = [
            ("crates/derive/src/field/ifma.rs", marker),
            ("crates/derive/src/field/mod.rs", marker),
            ("crates/derive/src/notifma.rs", split),
            ("crates/keys/src/avx2.rs", marker),
        ];
        assert_eq!(
            places(lifted_unsafety, &files),
            [
                "crates/derive/src/field/mod.rs:1",
                "crates/derive/src/notifma.rs:2",
                "crates/keys/src/avx2.rs:1"
            ]
        );
    }

    #[test]
    fn tests_do_not_sleep_but_programs_may() {
        let call = concat!("std::thread::", "sleep(long);\n");
        assert_eq!(
            places(
                sleeping_tests,
                &[("a/src/a.rs", call), ("a/src/tests.rs", call)]
            ),
            ["a/src/tests.rs:1"]
        );
        assert_eq!(
            places(sleeping_tests, &[("a/src/tests.rs", &format!("// {call}"))]),
            [""; 0]
        );
        let paced = format!("// Paced: a slow client.\n{call}{call}");
        assert_eq!(
            places(sleeping_tests, &[("a/src/tests.rs", &paced)]),
            ["a/src/tests.rs:3"]
        );
    }
}
