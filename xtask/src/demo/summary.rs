//! What the demo says at its end.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Demo, SAMPLE};

pub(crate) struct Facts<'a> {
    pub(crate) demo: &'a Demo<'a>,
    pub(crate) url: &'a str,
    pub(crate) took: Duration,
    pub(crate) kept: bool,
}

pub(crate) fn text(facts: &Facts<'_>) -> Result<String> {
    let demo = facts.demo;
    let results = fs::read_to_string(demo.results()).context("the results file cannot be read")?;
    let records = records(&results);
    let (header, rows) = records.split_first().context("the results file is empty")?;
    let mut text = format!("\n{}\n", "─".repeat(72));
    writeln!(
        text,
        "Done. {} in {:.1} s, upload and results included:",
        statuses(header, rows),
        facts.took.as_secs_f64()
    )?;
    writeln!(
        text,
        "one address per row for EVM, TRON, Bitcoin (SegWit and Taproot) and Solana;"
    )?;
    writeln!(
        text,
        "{} rows came out the same in a second implementation.\n",
        SAMPLE.min(demo.rows)
    )?;
    text.push_str(&table(header, &rows[..rows.len().min(3)]));
    let (folder, data, mnemonic) = (demo.folder.display(), demo.data.display(), demo.mnemonic()?);
    let files = [
        (
            format!("{folder}/results.csv"),
            "the addresses, in the file's order",
        ),
        (
            format!("{data}/coffer.db"),
            "the database: public data, sealed; extended keys encrypted",
        ),
        (
            format!("{data}/keys/vault.key"),
            "the seed, encrypted under the passphrase",
        ),
        (
            mnemonic.display().to_string(),
            "the mnemonic. In production: write it down, move it away, delete it here",
        ),
        (format!("{folder}/passphrase"), "made up for this demo"),
        (format!("{folder}/api-key"), "the administrator's API key"),
        (format!("{folder}/serve.log"), "what the server said"),
    ];
    writeln!(text, "Files")?;
    for (path, what) in files {
        writeln!(text, "  {path}\n      {what}")?;
    }
    text.push('\n');
    text.push_str(&next_steps(facts, header, rows));
    Ok(text)
}

/// Commands to copy and paste.
fn next_steps(facts: &Facts<'_>, header: &[String], rows: &[Vec<String>]) -> String {
    let demo = facts.demo;
    let (folder, data) = (demo.folder.display(), demo.data.display());
    let first = |column: &str| {
        let position = header.iter().position(|name| name == column);
        position
            .and_then(|position| rows.first()?.get(position).cloned())
            .unwrap_or_default()
    };
    let mnemonic = demo.mnemonic().unwrap_or_default();
    let vault = mnemonic.file_stem().unwrap_or_default().display();
    let mnemonic = mnemonic.display();
    let programs = demo.coffer.parent().unwrap_or(&demo.folder).display();
    let mut lines = vec![format!(
        "export PATH=\"{programs}:$PATH\" COFFER_API_KEY=\"$(cat '{folder}/api-key')\""
    )];
    if !facts.kept {
        let listen = facts.url.trim_start_matches("http://");
        lines.push(format!("coffer serve --data-dir '{data}' --passphrase-file '{folder}/passphrase' --listen {listen} >>'{folder}/serve.log' 2>&1 &"));
    }
    let call = format!("coffer --server {}", facts.url);
    lines.push(format!("{call} wallet show {}", first("wallet_id")));
    lines.push(format!("{call} address lookup {}", first("evm")));
    lines.push(format!(
        "{call} batch create '{}/examples/customers-bad.csv' --chains evm --wait --results bad.csv",
        demo.root.display()
    ));
    lines.push(format!("{call} vault show {vault}"));
    lines.push(format!(
        "{call} vault drill {vault} --mnemonic-file '{mnemonic}'"
    ));
    lines.push(format!(
        "{}/docs    # the API's documentation, in a browser",
        facts.url
    ));
    let mut text = String::from("Try next\n");
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// `9,998 created, 2 failed`: the rows by status, in the order of their first appearance.
fn statuses(header: &[String], rows: &[Vec<String>]) -> String {
    let Some(column) = header.iter().position(|name| name == "status") else {
        return format!("{} rows", rows.len());
    };
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for row in rows {
        let status = row.get(column).map_or("", String::as_str);
        match counts.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += 1,
            None => counts.push((status, 1)),
        }
    }
    let parts: Vec<_> = counts
        .iter()
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    parts.join(", ")
}

/// The rows turned on their side: one line per column, since addresses are long.
fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for row in rows {
        for (name, value) in header
            .iter()
            .zip(row)
            .filter(|(_, value)| !value.is_empty())
        {
            let _ = writeln!(text, "  {name:<16} {value}");
        }
        text.push('\n');
    }
    text
}

/// The records of a CSV file (RFC 4180).
pub(super) fn records(text: &str) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let (mut record, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field).trim_end_matches('\r').to_owned());
                records.push(std::mem::take(&mut record));
            }
            other => field.push(other),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_follow_rfc_4180() {
        let text = "row,external_id,status\r\n1,\"a,\"\"b\"\"\",created\r\n2,\"c\nd\",failed\r\n3,e,created";
        let records = records(text);
        assert_eq!(records[1], ["1", "a,\"b\"", "created"]);
        assert_eq!(records[2], ["2", "c\nd", "failed"]);
        assert_eq!(statuses(&records[0], &records[1..]), "2 created, 1 failed");
    }

    #[test]
    fn empty_cells_take_no_line() {
        let header = ["row", "evm", "error"].map(String::from);
        let row = ["1", "0xab", ""].map(String::from).to_vec();
        assert_eq!(
            table(&header, &[row]),
            "  row              1\n  evm              0xab\n\n"
        );
    }
}
