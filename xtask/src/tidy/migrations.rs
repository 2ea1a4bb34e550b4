//! Both engines have the same migrations: same numbers, same names, none left out.

use std::collections::BTreeSet;

use super::{File, Finding};

const FOLDER: &str = "crates/store/migrations";

pub(crate) fn same_on_both_engines(files: &[File]) -> Vec<Finding> {
    let of = |engine: &str| -> BTreeSet<&str> {
        let prefix = format!("{FOLDER}/{engine}/");
        files
            .iter()
            .filter_map(|file| file.path.strip_prefix(&prefix))
            .collect()
    };
    let (sqlite, postgres) = (of("sqlite"), of("postgres"));
    let mut findings = Vec::new();
    for (name, missing_in) in sqlite
        .difference(&postgres)
        .map(|n| (n, "postgres"))
        .chain(postgres.difference(&sqlite).map(|n| (n, "sqlite")))
    {
        findings.push(Finding::new(
            &format!("{FOLDER}/{missing_in}/{name}"),
            0,
            "missing; the other engine has this migration",
        ));
    }
    for (position, name) in sqlite.union(&postgres).enumerate() {
        let wanted = format!("{:04}_", position + 1);
        let tail = name
            .strip_prefix(&wanted)
            .and_then(|rest| rest.strip_suffix(".sql"));
        let snake = |tail: &str| {
            !tail.is_empty()
                && tail
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        if !tail.is_some_and(snake) {
            findings.push(Finding::new(
                &format!("{FOLDER}/{{sqlite,postgres}}/{name}"),
                0,
                format!("the next migration is {wanted}<what_it_does>.sql"),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tests::places;
    use super::*;

    #[test]
    fn engines_must_not_drift() {
        let first = [
            ("crates/store/migrations/sqlite/0001_begin.sql", ""),
            ("crates/store/migrations/postgres/0001_begin.sql", ""),
        ];
        assert_eq!(places(same_on_both_engines, &first), [""; 0]);
        let second = [
            first[0],
            first[1],
            ("crates/store/migrations/sqlite/0002_add.sql", ""),
        ];
        assert_eq!(
            places(same_on_both_engines, &second),
            ["crates/store/migrations/postgres/0002_add.sql:0"]
        );
    }

    #[test]
    fn numbers_have_no_holes_and_no_doubles() {
        let hole = [
            ("crates/store/migrations/sqlite/0002_begin.sql", ""),
            ("crates/store/migrations/postgres/0002_begin.sql", ""),
        ];
        assert_eq!(places(same_on_both_engines, &hole).len(), 1);
        let double = ["sqlite", "postgres"].map(|engine| {
            ["0001_a.sql", "0001_b.sql"].map(|name| format!("{FOLDER}/{engine}/{name}"))
        });
        let double: Vec<_> = double
            .iter()
            .flatten()
            .map(|path| (path.as_str(), ""))
            .collect();
        assert_eq!(places(same_on_both_engines, &double).len(), 1);
    }
}
