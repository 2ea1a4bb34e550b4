//! Every dependency has a line in the docs that says why it is there.

use std::collections::BTreeMap;

use super::{File, Finding};

const MANIFEST: &str = "Cargo.toml";
const DOC: &str = "docs/dependencies.md";

/// Names and version requirements in the root manifest and in the table of the docs are the same.
pub(crate) fn documented(files: &[File]) -> Vec<Finding> {
    let text = |path: &str| {
        files
            .iter()
            .find(|file| file.path == path)
            .map_or("", |file| file.text.as_str())
    };
    let (used, told) = (used(text(MANIFEST)), told(text(DOC)));
    let mut findings = Vec::new();
    for (name, (line, version)) in &used {
        match told.get(name) {
            None => findings.push(Finding::new(
                MANIFEST,
                *line,
                format!("`{name}` is not in {DOC}; add: | `{name}` | {version} | licence | why |"),
            )),
            Some((line, told)) if told != version => {
                findings.push(Finding::new(
                    DOC,
                    *line,
                    format!("`{name}` is at {version} in {MANIFEST}, not {told}"),
                ));
            }
            Some(_) => {}
        }
    }
    for (name, (line, _)) in &told {
        if !used.contains_key(name) {
            findings.push(Finding::new(
                DOC,
                *line,
                format!("`{name}` is no dependency any more; remove its line"),
            ));
        }
    }
    findings
}

/// Name → (line, version) in `[workspace.dependencies]`, our own crates left out.
fn used(manifest: &str) -> BTreeMap<&str, (usize, &str)> {
    let lines = manifest
        .lines()
        .enumerate()
        .skip_while(|(_, line)| line.trim() != "[workspace.dependencies]")
        .skip(1);
    let lines = lines.take_while(|(_, line)| !line.starts_with('['));
    lines
        .filter_map(|(index, line)| {
            let (name, value) = line.split_once('=')?;
            let version = value
                .split_once("version")
                .map_or(value, |(_, rest)| rest)
                .split('"')
                .nth(1)?;
            (!value.contains("path =") && !name.starts_with('#'))
                .then_some((name.trim(), (index + 1, version)))
        })
        .collect()
}

/// Name → (line, version) in the rows ``| `name` | version | …`` of the docs.
fn told(doc: &str) -> BTreeMap<&str, (usize, &str)> {
    let rows = doc
        .lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, line.strip_prefix("| `")?)));
    rows.filter_map(|(line, row)| {
        let (name, rest) = row.split_once('`')?;
        Some((name, (line, rest.split('|').nth(1)?.trim())))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::places;
    use super::*;

    #[test]
    fn manifest_and_docs_agree() {
        let manifest = "[workspace.dependencies]\ncoffer-domain = { path = \"crates/domain\" }\nanyhow = \"1\"\ncsv = { version = \"1.4\", features = [] }\n\n[profile.dev]\ndebug = \"x\"\n";
        let check = |doc: &str, expected: &[&str]| {
            assert_eq!(
                places(documented, &[(MANIFEST, manifest), (DOC, doc)]),
                expected
            )
        };
        check(
            "| `anyhow` | 1 | MIT | errors |\n| `csv` | 1.4 | MIT | files |\n",
            &[],
        );
        check("| `anyhow` | 1 | MIT | errors |\n", &["Cargo.toml:4"]);
        check(
            "| `anyhow` | 2 | MIT | errors |\n| `csv` | 1.4 | MIT | files |\n",
            &["docs/dependencies.md:1"],
        );
        check(
            "| `anyhow` | 1 | MIT | errors |\n| `csv` | 1.4 | MIT | files |\n| `old` | 1 | MIT | gone |\n",
            &["docs/dependencies.md:3"],
        );
    }
}
