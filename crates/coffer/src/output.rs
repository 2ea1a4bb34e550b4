//! What people and scripts read: one JSON document, or short aligned tables and plain words.
//!
//! Text that came from a customer's file is shown with its control and direction-changing characters
//! escaped, so that no label can move the cursor, hide a line or reverse an address on a terminal.

use std::io::{self, Write};

use serde_json::Value;

/// The form of the answer, chosen once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// The whole answer: `value` for scripts, `text` for people.
    pub(crate) fn answer(self, value: &Value, text: impl FnOnce() -> String) -> io::Result<()> {
        if self.json {
            self.line(&value.to_string())
        } else {
            self.line(text().trim_end_matches('\n'))
        }
    }

    pub(crate) fn line(self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}")?;
        stdout.flush()
    }

    /// A remark beside the answer; scripts do not get any.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            error(text);
        }
    }
}

/// To standard error. Nothing better can be done when even that is gone.
pub(crate) fn error(text: &str) {
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// Rows under headings, each column as wide as its widest cell.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![
                headings
                    .iter()
                    .map(|heading| (*heading).to_owned())
                    .collect(),
            ],
        }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows
            .push(cells.iter().map(|cell| printable(cell)).collect());
    }

    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| width(cell)).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, wanted) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(wanted - width(cell) + 2));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Name and value, one pair a line; pairs without a value are left out.
pub(crate) fn fields(pairs: &[(&str, String)]) -> String {
    let pairs: Vec<_> = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let widest = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    pairs
        .iter()
        .map(|(name, value)| format!("{name:widest$}  {}\n", printable(value)))
        .collect()
}

/// A member of an answer as text: strings bare, nothing for null and absent.
pub(crate) fn member(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.as_u64().map_or(number.to_string(), thousands),
        Some(Value::Array(items)) => {
            let names: Vec<_> = items
                .iter()
                .map(|item| item.as_str().unwrap_or("…"))
                .collect();
            names.join(",")
        }
        Some(other) => other.to_string(),
    }
}

/// The objects of an answer's `data` or `items`, or of an answer that is itself a list.
pub(crate) fn items(value: &Value) -> &[Value] {
    let member = |name| value.get(name).and_then(Value::as_array);
    let list = value.as_array().or(member("data")).or(member("items"));
    list.map_or(&[], Vec::as_slice)
}

/// `1234567` as `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds as `2 h 05 min`, `3 min 20 s` or `12 s`.
pub(crate) fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

/// Control characters and those that change the direction of text (UAX #9) become escapes.
pub(crate) fn printable(text: &str) -> String {
    let dangerous = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if dangerous(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Cells on a terminal, near enough for alignment: East Asian wide characters take two (UAX #11),
/// combining marks none.
fn width(text: &str) -> usize {
    text.chars()
        .map(|c| match u32::from(c) {
            0x0300..=0x036F | 0x200B..=0x200D | 0xFE00..=0xFE0F => 0,
            0x1100..=0x115F
            | 0x2E80..=0xA4CF
            | 0xAC00..=0xD7A3
            | 0xF900..=0xFAFF
            | 0xFE30..=0xFE6F
            | 0xFF00..=0xFF60
            | 0xFFE0..=0xFFE6
            | 0x1F300..=0x1FAFF
            | 0x20000..=0x3FFFD => 2,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_line_up_in_every_script() {
        let mut table = Table::new(&["ID", "NAME", "STATE"]);
        table.row(["1".into(), "李小龍".into(), "active".into()]);
        table.row(["22".into(), "Zoe\u{0301}".into(), "pending".into()]);
        assert_eq!(
            table.render(),
            "ID  NAME    STATE\n1   李小龍  active\n22  Zoe\u{0301}     pending\n"
        );
    }

    #[test]
    fn no_cell_can_steer_the_terminal() {
        let shown = printable("a\u{1b}[2J\u{202e}b\nc");
        assert_eq!(shown, "a\\u{1b}[2J\\u{202e}b\\u{a}c");
    }

    #[test]
    fn pairs_without_value_are_left_out() {
        let text = fields(&[
            ("id", "x".into()),
            ("reason", String::new()),
            ("longer", "y".into()),
        ]);
        assert_eq!(text, "id      x\nlonger  y\n");
    }

    #[test]
    fn members_read_as_people_write_them() {
        let value = json!({"a": null, "b": "t", "c": 1_234_567, "d": ["evm", "tron"], "e": true});
        assert_eq!(member(&value, "a"), "");
        assert_eq!(member(&value, "b"), "t");
        assert_eq!(member(&value, "c"), "1,234,567");
        assert_eq!(member(&value, "d"), "evm,tron");
        assert_eq!(member(&value, "e"), "true");
        assert_eq!(member(&value, "none"), "");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1000), "1,000");
    }

    #[test]
    fn durations() {
        assert_eq!(duration(9), "9 s");
        assert_eq!(duration(200), "3 min 20 s");
        assert_eq!(duration(7500), "2 h 05 min");
    }
}
