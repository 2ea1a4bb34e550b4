//! What the documents name must exist.

use std::collections::BTreeSet;

use super::{File, Finding};

const MAP: &str = "ARCHITECTURE.md";
const MAP_LINES: usize = 300;

/// The map of the code: short, and every path on it real.
pub(crate) fn architecture(files: &[File]) -> Vec<Finding> {
    let Some(map) = files.iter().find(|file| file.path == MAP) else {
        return vec![Finding::new(MAP, 0, "missing; a newcomer starts there")];
    };
    let known = paths(files);
    let mut findings = Vec::new();
    let lines = map.text.lines().count();
    if lines > MAP_LINES {
        findings.push(Finding::new(
            MAP,
            MAP_LINES + 1,
            format!("{lines} lines, {MAP_LINES} at most; a map shows the large things"),
        ));
    }
    let mut in_block = false;
    for (index, line) in map.text.lines().enumerate() {
        in_block ^= line.trim_start().starts_with("```");
        let named = if in_block {
            Vec::new()
        } else {
            line.split('`')
                .skip(1)
                .step_by(2)
                .filter(|word| is_path(word))
                .collect()
        };
        for path in named {
            if !known.contains(path.trim_end_matches('/')) {
                findings.push(Finding::new(
                    MAP,
                    index + 1,
                    format!("`{path}` does not exist; name paths from the root"),
                ));
            }
        }
    }
    findings
}

/// A word in backticks that means a file or folder of ours, not a URL, an endpoint, a key path or a media type.
fn is_path(word: &str) -> bool {
    let foreign = ["application/", "text/", "data-dir/"]
        .iter()
        .any(|prefix| word.starts_with(prefix));
    let plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    plain && word.contains('/') && !word.starts_with('/') && !word.starts_with("m/") && !foreign
}

/// Relative links of Markdown files lead to files.
pub(crate) fn links(files: &[File]) -> Vec<Finding> {
    let known = paths(files);
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for (index, line) in file.text.lines().enumerate() {
            for target in line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split([')', ' ', '#']).next())
            {
                let outside =
                    target.is_empty() || target.contains("://") || target.starts_with("mailto:");
                if !outside
                    && resolve(&file.path, target).is_none_or(|path| !known.contains(path.as_str()))
                {
                    findings.push(Finding::new(
                        &file.path,
                        index + 1,
                        format!("the link to {target} leads nowhere"),
                    ));
                }
            }
        }
    }
    findings
}

/// `target`, written in `file`, from the root.
fn resolve(file: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Every file, and every folder that holds one.
fn paths(files: &[File]) -> BTreeSet<&str> {
    let folders = files
        .iter()
        .flat_map(|file| file.path.match_indices('/').map(|(at, _)| &file.path[..at]));
    files
        .iter()
        .map(|file| file.path.as_str())
        .chain(folders)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::places;
    use super::*;

    #[test]
    fn the_map_names_real_paths() {
        let map = "See `crates/a/src/lib.rs`, `crates/a` and `crates/a/`; `POST /v1/batches`, `m/44'/60'`, `text/csv`.\n`crates/b/src/lib.rs`\n";
        let files = [(MAP, map), ("crates/a/src/lib.rs", "")];
        assert_eq!(places(architecture, &files), ["ARCHITECTURE.md:2"]);
        assert_eq!(
            places(architecture, &[(MAP, &"line\n".repeat(301))]),
            ["ARCHITECTURE.md:301"]
        );
        assert_eq!(places(architecture, &[]), ["ARCHITECTURE.md:0"]);
    }

    #[test]
    fn links_lead_somewhere() {
        let text = "[a](../README.md#top) [b](https://example.org/x) [c](#here)\n[d](none.md)\n";
        assert_eq!(
            places(links, &[("docs/a.md", text), ("README.md", "")]),
            ["docs/a.md:2"]
        );
    }
}
