//! What Rust source may not say.

use super::{File, Finding};

/// A glob import hides where a name comes from.
pub(crate) fn glob_imports(files: &[File]) -> Vec<Finding> {
    let is_glob = |line: &str| {
        let line = line
            .trim_start()
            .trim_start_matches("pub(crate) ")
            .trim_start_matches("pub ");
        line.starts_with("use ")
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

fn rust(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.is_rust())
}

#[cfg(test)]
mod tests {
    use super::super::tests::places;
    use super::*;

    #[test]
    fn globs_are_for_tests() {
        let text = "use a::*;\npub use b::{c::*, d};\nuse a::b;\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\n";
        assert_eq!(
            places(
                glob_imports,
                &[("a/lib.rs", text), ("a/tests.rs", "use super::*;\n")]
            ),
            ["a/lib.rs:1", "a/lib.rs:2"]
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
