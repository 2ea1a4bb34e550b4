//! Alerts name metrics that are really emitted, point to help that exists, and are tested both ways.

use std::collections::{BTreeMap, BTreeSet};

use super::{File, Finding};

const RULES: &str = "deploy/prometheus/coffer.rules.yml";
const TESTS: &str = "deploy/prometheus/coffer.rules.test.yml";
const LIST: &str = "docs/monitoring.md";
const RUNBOOK: &str = "docs/runbook.md";
/// Where an alert says what to do.
const HELP: &str = "runbook: docs/runbook.md#";

pub(crate) fn metrics(files: &[File]) -> Vec<Finding> {
    let emitted = emitted(files);
    let mut findings = Vec::new();
    if let Some(rules) = find(files, RULES) {
        for (line, name) in words(&rules.text) {
            if !series(&emitted).contains(name) {
                let text = format!("no code emits {name}; this alert would never fire");
                findings.push(Finding::new(RULES, line, text));
            }
        }
    }
    let Some(list) = find(files, LIST) else {
        return findings;
    };
    let mut listed = BTreeSet::new();
    for (index, line) in list.text.lines().enumerate() {
        let Some(name) = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split('`').next())
        else {
            continue;
        };
        let name = name.split('{').next().unwrap_or(name);
        if !is_metric(name) {
            continue;
        }
        if !emitted.contains_key(name) {
            let text = format!("no code emits {name}");
            findings.push(Finding::new(LIST, index + 1, text));
        }
        listed.insert(name);
    }
    for (name, path) in &emitted {
        if !listed.contains(name.as_str()) {
            let text = format!("{name}, emitted in {path}, is not listed");
            findings.push(Finding::new(LIST, 0, text));
        }
    }
    findings
}

pub(crate) fn rules(files: &[File]) -> Vec<Finding> {
    let Some(rules) = find(files, RULES) else {
        return Vec::new();
    };
    let headings: BTreeSet<String> = find(files, RUNBOOK)
        .into_iter()
        .flat_map(|runbook| runbook.text.lines())
        .filter_map(|line| line.strip_prefix("## ").map(anchor))
        .collect();
    let tested = find(files, TESTS).map_or_else(BTreeMap::new, |tests| tested(&tests.text));
    let mut findings = Vec::new();
    for (index, line) in rules.text.lines().enumerate() {
        let line = line.trim();
        if let Some(anchor) = line.strip_prefix(HELP)
            && !headings.contains(anchor)
        {
            let text = format!("{RUNBOOK} has no heading for #{anchor}");
            findings.push(Finding::new(RULES, index + 1, text));
        }
        if let Some(alert) = line.strip_prefix("- alert: ") {
            let wanted = [(true, "fire"), (false, "stay quiet")];
            for (fires, what) in wanted {
                if !tested.get(alert).is_some_and(|seen| seen.contains(&fires)) {
                    let text = format!("no test in {TESTS} shows {alert} {what}");
                    findings.push(Finding::new(RULES, index + 1, text));
                }
            }
        }
    }
    findings
}

fn find<'a>(files: &'a [File], path: &str) -> Option<&'a File> {
    files.iter().find(|file| file.path == path)
}

fn is_metric(word: &str) -> bool {
    word.starts_with("coffer_") || word.starts_with("process_")
}

/// Numbered words that look like a metric of ours.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().flat_map(|(index, line)| {
        let line = line.split('#').next().unwrap_or(line);
        line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .filter(|word| is_metric(word))
            .map(move |word| (index + 1, word))
    })
}

/// Names in production code that stand first in `counter!`, `gauge!` or `histogram!`, with a file that has them.
/// A histogram is marked by a space at the end of its file.
fn emitted(files: &[File]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for file in files {
        if !file.is_rust() || !file.path.starts_with("crates/") {
            continue;
        }
        let lines: Vec<_> = file.production_lines().map(|(_, line)| line).collect();
        let text = lines.join("\n");
        for macro_name in ["counter!(", "gauge!(", "histogram!("] {
            for rest in text.split(macro_name).skip(1) {
                let literal = rest.trim_start().strip_prefix('"');
                let name = literal.and_then(|rest| rest.split('"').next());
                if let Some(name) = name.filter(|name| is_metric(name)) {
                    let mark = if macro_name == "histogram!(" { " " } else { "" };
                    found.insert(name.to_owned(), format!("{}{mark}", file.path));
                }
            }
        }
    }
    found
}

/// What Prometheus reads of what is emitted: a histogram becomes three.
fn series(emitted: &BTreeMap<String, String>) -> BTreeSet<String> {
    let parts = |(name, path): (&String, &String)| {
        if path.ends_with(' ') {
            ["bucket", "count", "sum"]
                .map(|part| format!("{name}_{part}"))
                .to_vec()
        } else {
            vec![name.clone()]
        }
    };
    emitted.iter().flat_map(parts).collect()
}

/// A heading's anchor, as Markdown renderers make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Per alert, whether tests show it firing, and not firing.
fn tested(tests: &str) -> BTreeMap<&str, BTreeSet<bool>> {
    let mut tested: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
    let mut alert = None;
    for line in tests.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alertname: ") {
            alert = Some(name);
        }
        if let (Some(name), Some(expected)) = (alert, line.strip_prefix("exp_alerts:")) {
            tested
                .entry(name)
                .or_default()
                .insert(expected.trim() != "[]");
        }
    }
    tested
}

#[cfg(test)]
mod tests {
    use super::super::tests::places;
    use super::*;

    const CODE: (&str, &str) = (
        "crates/a/src/lib.rs",
        "metrics::counter!(\n    \"coffer_a_total\", \"x\" => y)\nmetrics::histogram!(\"coffer_b_seconds\")\n#[cfg(test)]\nmod tests {\n    metrics::gauge!(\"coffer_test\");\n}\n",
    );

    #[test]
    fn alerts_and_list_name_what_is_emitted() {
        let rules = "expr: rate(coffer_b_seconds_bucket[1m]) > coffer_a_total # coffer_x\nexpr: coffer_b_seconds\nexpr: coffer_test\n";
        let list = "| metric | text |\n| `coffer_a_total{x}` | |\n| `coffer_gone` | |\n";
        let files = [CODE, (RULES, rules), (LIST, list)];
        assert_eq!(
            places(metrics, &files),
            [
                "deploy/prometheus/coffer.rules.yml:2",
                "deploy/prometheus/coffer.rules.yml:3",
                "docs/monitoring.md:3",
                "docs/monitoring.md:0"
            ]
        );
    }

    #[test]
    fn alerts_lead_to_help_and_are_tested_both_ways() {
        let rules = "- alert: One\n  runbook: docs/runbook.md#a-row-is-refused\n- alert: Two\n  runbook: docs/runbook.md#none\n";
        let tests = "- alertname: One\n  exp_alerts:\n- alertname: One\n  exp_alerts: []\n- alertname: Two\n  exp_alerts: []\n";
        let runbook = "# Runbook\n\n## A row is refused\n";
        let files = [(RULES, rules), (TESTS, tests), (RUNBOOK, runbook)];
        let at = "deploy/prometheus/coffer.rules.yml";
        assert_eq!(
            places(super::rules, &files),
            [format!("{at}:3"), format!("{at}:4")]
        );
    }
}
