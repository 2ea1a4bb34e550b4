//! Sizes, names and doors of files.

use super::{File, Finding};

const LINES_WARNED: usize = 400;
const LINES_ALLOWED: usize = 800;
const DOOR_LINES_WANTED: usize = 5;
const DOOR_LINES_ALLOWED: usize = 40;

/// Code of ours, tests apart: 400 lines are a smell, more than 800 fail.
pub(crate) fn sizes(files: &[File]) -> Vec<Finding> {
    let code = [".rs", ".mjs", ".js", ".ts", ".tsx", ".py", ".sh"];
    let ours = files
        .iter()
        .filter(|file| code.iter().any(|end| file.path.ends_with(end)) && !file.is_test());
    ours.filter_map(|file| {
        let lines = file.lines_before_tests();
        let message = format!("{lines} lines, tests apart; split it by what changes together");
        match lines {
            ..=LINES_WARNED => None,
            _ if lines <= LINES_ALLOWED => Some(Finding::warning(&file.path, 0, message)),
            _ => Some(Finding::new(
                &file.path,
                0,
                format!("{message} ({LINES_ALLOWED} at most)"),
            )),
        }
    })
    .collect()
}

/// `lib.rs` and `mod.rs` open with `//!`: what the room is, guarantees, does not do, and costs.
pub(crate) fn door_docs(files: &[File]) -> Vec<Finding> {
    let doors = files
        .iter()
        .filter(|file| ["lib.rs", "mod.rs"].contains(&file.name()) && !file.is_test());
    doors
        .filter_map(|file| {
            let opening = file.text.lines().take_while(|line| line.starts_with("//!"));
            let opening: Vec<_> = opening
                .map(|line| line.trim_start_matches("//!").trim())
                .collect();
            let lines = if opening.iter().all(|line| line.is_empty()) {
                0
            } else {
                opening.len()
            };
            let wanted = "say in 5 to 40 lines what this is, guarantees, does not do, and costs";
            let message = match lines {
                0 => format!("opens without `//!`; {wanted}"),
                _ => format!("opens with {lines} lines of `//!`; {wanted}"),
            };
            if lines == 0 || lines > DOOR_LINES_ALLOWED {
                return Some(Finding::new(&file.path, 1, message));
            }
            (lines < DOOR_LINES_WANTED).then(|| Finding::warning(&file.path, 1, message))
        })
        .collect()
}

/// Names that say nothing of what is inside.
pub(crate) fn forbidden_names(files: &[File]) -> Vec<Finding> {
    let empty = [
        "util", "utils", "helper", "helpers", "common", "manager", "managers", "misc", "stuff",
    ];
    let bad = |name: &str| empty.contains(&name) || name.starts_with("new_");
    let named = files.iter().filter(|file| file.is_rust());
    named
        .filter_map(|file| {
            let part = file
                .path
                .split('/')
                .map(|part| part.trim_end_matches(".rs"))
                .find(|part| bad(part))?;
            Some(Finding::new(
                &file.path,
                0,
                format!("`{part}` says nothing; name it after what it holds"),
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::places;
    use super::*;

    #[test]
    fn long_files_fail_and_their_tests_are_not_counted() {
        let long = "// a line\n".repeat(801);
        let tested = format!(
            "{}#[cfg(test)]\nmod tests {{\n{long}}}\n",
            "// a line\n".repeat(300)
        );
        let files = [
            ("crates/a/src/a.rs", long.as_str()),
            ("crates/a/src/b.rs", &tested),
            ("crates/a/src/a/tests.rs", &long),
        ];
        assert_eq!(places(sizes, &files), ["crates/a/src/a.rs:0"]);
        let smell = [File {
            path: "a.rs".into(),
            text: "\n".repeat(401),
        }];
        assert!(sizes(&smell).iter().all(|finding| finding.warning) && sizes(&smell).len() == 1);
    }

    #[test]
    fn a_door_needs_its_docs() {
        let good = "//! one\n//! two\n//!\n//! three\n//! four\n//! five\n";
        let files = [
            ("a/lib.rs", good),
            ("b/mod.rs", "use x;\n"),
            ("c/lib.rs", "//! short\n"),
            ("d/tests/it/mod.rs", ""),
        ];
        assert_eq!(places(door_docs, &files), ["b/mod.rs:1"]);
        assert_eq!(
            places(door_docs, &[("a/mod.rs", &"//! x\n".repeat(41))]),
            ["a/mod.rs:1"]
        );
    }

    #[test]
    fn empty_names_are_refused() {
        let files = [
            ("a/utils.rs", ""),
            ("a/helpers/mod.rs", ""),
            ("a/new_api.rs", ""),
            ("a/newtype.rs", ""),
            ("a/common.md", ""),
        ];
        assert_eq!(
            places(forbidden_names, &files),
            ["a/utils.rs:0", "a/helpers/mod.rs:0", "a/new_api.rs:0"]
        );
    }
}
