//! `cargo xtask tidy`: the rules of the house style that a machine can check.
//!
//! A rule is a pure function from the repository's files (or from what cargo says of its crates)
//! to findings; each has tests that show it go red. A finding names file and line, and says what to do.
//!
//! The files are those that git tracks or would track, read once (about a megabyte). What is not
//! UTF-8 is not looked at. It does not judge taste: reading order, names and comments are for people.

mod alerts;
mod dependencies;
mod docs;
mod failpoints;
mod files;
mod machine;
mod migrations;
mod rooms;
mod source;

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// One file of the repository, its path from the root with `/`.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        self.name() == "tests.rs"
            || self.name().ends_with("_tests.rs")
            || self
                .path
                .split('/')
                .any(|part| part == "tests" || part == "benches")
    }

    /// Lines before the test module at the file's end; all lines when there is none.
    pub(crate) fn lines_before_tests(&self) -> usize {
        let lines: Vec<_> = self.text.lines().collect();
        let opens = |pair: &[&str]| {
            pair[0].trim() == "#[cfg(test)]"
                && pair[1].starts_with("mod ")
                && pair[1].ends_with('{')
        };
        lines.windows(2).position(opens).unwrap_or(lines.len())
    }

    /// Numbered lines of production code; none for a test file.
    pub(crate) fn production_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let until = if self.is_test() {
            0
        } else {
            self.lines_before_tests()
        };
        self.text
            .lines()
            .take(until)
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }

    /// Numbered lines of test code.
    pub(crate) fn test_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let from = if self.is_test() {
            0
        } else {
            self.lines_before_tests()
        };
        self.text
            .lines()
            .enumerate()
            .skip(from)
            .map(|(index, line)| (index + 1, line))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// From 1; 0 means the file as a whole.
    pub(crate) line: usize,
    pub(crate) message: String,
    /// Printed, but no failure.
    pub(crate) warning: bool,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
            warning: false,
        }
    }

    pub(crate) fn warning(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            warning: true,
            ..Self::new(path, line, message)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.warning { "warning: " } else { "" };
        match self.line {
            0 => write!(f, "{}: {kind}{}", self.path, self.message),
            line => write!(f, "{}:{line}: {kind}{}", self.path, self.message),
        }
    }
}

type Rule = fn(&[File]) -> Vec<Finding>;

/// The rules that need nothing but the files.
const RULES: &[(&str, Rule)] = &[
    ("file sizes", files::sizes),
    ("door docs", files::door_docs),
    ("forbidden names", files::forbidden_names),
    ("glob imports", source::glob_imports),
    ("ignored tests", source::ignored_tests),
    ("sleeping tests", source::sleeping_tests),
    ("unsafe code", source::lifted_unsafety),
    ("migrations", migrations::same_on_both_engines),
    ("failpoints", failpoints::named_and_used),
    ("dependencies", dependencies::documented),
    ("architecture", docs::architecture),
    ("links", docs::links),
    ("metrics", alerts::metrics),
    ("alert rules", alerts::rules),
    ("machine paths", machine::paths),
    ("registry hosts", machine::registry_hosts),
    ("lock files", machine::lock_files),
];

pub(crate) fn run(root: &Path) -> Result<()> {
    let files = tracked_files(root)?;
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|(_, rule)| rule(&files)).collect();
    findings.extend(rooms::check(root)?);
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    findings.iter().for_each(|finding| println!("{finding}"));
    let failures = findings.iter().filter(|finding| !finding.warning).count();
    println!(
        "tidy: {} files, {} rules, {failures} findings",
        files.len(),
        RULES.len() + 2
    );
    if failures > 0 {
        bail!("the house style is broken in {failures} places (docs: CONTRIBUTING.md)");
    }
    Ok(())
}

/// What git tracks, and what it would track if it were added now.
fn tracked_files(root: &Path) -> Result<Vec<File>> {
    let mut git = Command::new("git");
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ])
    .current_dir(root);
    let list = process::output(&mut git)?;
    let mut files = Vec::new();
    for path in list.split('\0').filter(|path| !path.is_empty()) {
        // Binary files, and files deleted but not yet committed, have no text.
        if let Ok(text) = fs::read_to_string(root.join(path)) {
            files.push(File {
                path: path.to_owned(),
                text,
            });
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn file(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// The findings of `rule`, as `path:line`.
    pub(crate) fn places(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(path, text)| file(path, text)).collect();
        let findings = rule(&files);
        findings
            .iter()
            .filter(|f| !f.warning)
            .map(|f| format!("{}:{}", f.path, f.line))
            .collect()
    }

    #[test]
    fn production_and_test_lines_are_told_apart() {
        let inline = file(
            "crates/a/src/lib.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests {\n}\n",
        );
        assert_eq!(inline.production_lines().count(), 1);
        assert_eq!(
            inline
                .test_lines()
                .map(|(number, _)| number)
                .collect::<Vec<_>>(),
            [2, 3, 4]
        );
        let sibling = file(
            "crates/a/src/lib.rs",
            "#[cfg(test)]\nmod tests;\nfn a() {}\n",
        );
        assert_eq!(sibling.production_lines().count(), 3);
        let test = file("crates/a/tests/it/main.rs", "fn a() {}\n");
        assert_eq!(test.production_lines().count(), 0);
    }
}
