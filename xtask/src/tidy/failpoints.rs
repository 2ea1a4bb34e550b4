//! Every failpoint in the list stands somewhere, and every one that stands somewhere is in the list.

use std::collections::BTreeMap;

use super::{File, Finding};

const LIST: &str = "crates/failpoint/src/lib.rs";

pub(crate) fn named_and_used(files: &[File]) -> Vec<Finding> {
    let Some(list) = files.iter().find(|file| file.path == LIST) else {
        return vec![Finding::new(
            LIST,
            0,
            "missing; it holds the list of failpoints",
        )];
    };
    let names = names(&list.text);
    let mut used: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    let mut findings = Vec::new();
    let production = files.iter().filter(|file| {
        file.is_rust() && file.path.starts_with("crates/") && file.path != LIST && !file.is_test()
    });
    for file in production.filter(|file| !file.path.starts_with("crates/testkit/")) {
        for (line, name) in hits(file) {
            used.insert(name, (&file.path, line));
        }
    }
    for (line, name) in &names {
        if !used.contains_key(name) {
            findings.push(Finding::new(
                LIST,
                *line,
                format!("failpoint `{name}` stands nowhere; put it in its place or remove it"),
            ));
        }
    }
    for (name, (path, line)) in used {
        if !names.iter().any(|(_, known)| *known == name) {
            findings.push(Finding::new(path, line, format!("failpoint `{name}` is not in NAMES of {LIST}; the crash runner would not know it")));
        }
    }
    findings
}

/// The literals of `NAMES`, with their lines.
fn names(text: &str) -> Vec<(usize, &str)> {
    let lines = text
        .lines()
        .enumerate()
        .skip_while(|(_, line)| !line.contains("const NAMES"));
    let lines = lines.take_while(|(_, line)| !line.trim_start().starts_with("];"));
    lines
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .flat_map(|(index, line)| {
            line.split('"')
                .skip(1)
                .step_by(2)
                .map(move |name| (index + 1, name))
        })
        .collect()
}

/// The names given to `hit(`, or to the platform's `passed(`, in production code, wherever rustfmt broke the line.
fn hits(file: &File) -> Vec<(usize, &str)> {
    let end: usize = file
        .text
        .split_inclusive('\n')
        .take(file.lines_before_tests())
        .map(str::len)
        .sum();
    let text = &file.text[..end];
    let calls = text
        .match_indices("hit(")
        .chain(text.match_indices("passed("))
        .filter(|(at, _)| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
    calls
        .filter_map(|(at, call)| {
            let name = text[at + call.len()..]
                .trim_start()
                .strip_prefix('"')?
                .split('"')
                .next()?;
            Some((text[..at].lines().count().max(1), name))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::places;
    use super::*;

    #[test]
    fn list_and_places_agree() {
        let list = (
            LIST,
            "pub const NAMES: &[&str] = &[\n    // a \"comment\"\n    \"a.b\",\n    \"c.d\",\n];\n",
        );
        let both = "let _ = failpoint::hit(\"a.b\", id);\nlet _ = hit(\n    \"c.d\",\n    id);\n";
        assert_eq!(
            places(named_and_used, &[list, ("crates/p/src/a.rs", both)]),
            [""; 0]
        );
        let other =
            "fn a() {\n    let _ = hit(\"a.b\", \"\");\n    let _ = hit(\"x.y\", \"\");\n}\n";
        assert_eq!(
            places(named_and_used, &[list, ("crates/p/src/a.rs", other)]),
            [format!("{LIST}:4"), "crates/p/src/a.rs:3".into()]
        );
        let in_tests =
            "#[cfg(test)]\nmod tests {\n    hit(\"a.b\", \"\");\n    hit(\"c.d\", \"\");\n}\n";
        assert_eq!(
            places(named_and_used, &[list, ("crates/p/src/a.rs", in_tests)]).len(),
            2
        );
    }
}
