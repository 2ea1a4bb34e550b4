//! CSV uploads (RFC 4180, with the line ends and delimiters that spreadsheet programs write).
//!
//! The tokenizer is ours rather than the `csv` crate's, for three promises which that one cannot
//! make from outside: line numbers when lines end in a bare CR, a quote that is never closed found
//! and placed, and a row's bytes bounded while it is read. The tests hold it against the `csv` crate.

use std::borrow::Cow;
use std::io::Read;
use std::mem;

use super::error::{Flaw, KNOWN_COLUMNS, UploadError, shown};
use super::row::{Fields, Rows};
use super::source::Source;
use super::value::{self, Value};

pub(super) fn read<R: Read>(
    source: &mut Source<R>,
    rows: &mut Rows<'_>,
) -> Result<(), UploadError> {
    let limits = rows.limits();
    let delimiter = sniff(source, limits.max_row_bytes)?;
    let mut records = Records::new(delimiter, limits.max_row_bytes, limits.max_columns);
    if !records.next(source)? {
        return Err(UploadError::Empty);
    }
    let columns = header(&records, limits.max_columns)?;
    while records.next(source)? {
        rows.hand_on(records.line, fields(&records, &columns))?;
    }
    Ok(())
}

/// The sign that occurs most often in the header line, outside quotes; a comma when none does. Rows
/// are not asked: their texts may be full of semicolons.
fn sniff<R: Read>(source: &mut Source<R>, limit: usize) -> Result<u8, UploadError> {
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0)];
    let (mut at, mut in_quotes, mut blank) = (0, false, true);
    loop {
        if at == source.unread().len() && (at > limit || !source.extend()?) {
            break;
        }
        let byte = source.unread()[at];
        at += 1;
        match byte {
            b'\r' | b'\n' if blank => continue,
            b'\r' | b'\n' if !in_quotes => break,
            b'"' => in_quotes = !in_quotes,
            _ if in_quotes => {}
            _ => {
                for (sign, count) in &mut counts {
                    *count += usize::from(*sign == byte);
                }
            }
        }
        blank = false;
    }
    // The first of equals wins, hence the comma.
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Ok(counts[0].0)
}

fn header(records: &Records, max_columns: usize) -> Result<Vec<&'static str>, UploadError> {
    let line = records.line;
    if records.count > max_columns {
        return Err(UploadError::TooManyColumns {
            found: records.count,
            limit: max_columns,
        });
    }
    let mut columns = Vec::with_capacity(records.count);
    for position in 0..records.count {
        let field = records.field(position);
        let name = String::from_utf8_lossy(field);
        let lower = name.trim().to_ascii_lowercase();
        let Some(known) = KNOWN_COLUMNS.into_iter().find(|known| *known == lower) else {
            return Err(UploadError::UnknownColumn {
                line,
                name: shown(name.trim()),
            });
        };
        if columns.contains(&known) {
            return Err(UploadError::DuplicateColumn {
                line,
                name: known.to_owned(),
            });
        }
        columns.push(known);
    }
    if columns.contains(&"external_id") {
        Ok(columns)
    } else {
        Err(UploadError::MissingColumn {
            line,
            name: "external_id",
        })
    }
}

fn fields<'a>(records: &'a Records, columns: &[&'static str]) -> Fields<'a> {
    let mut fields = Fields::none();
    if records.count != columns.len() {
        let message = format!(
            "the row has {} fields, the header {}",
            records.count,
            columns.len()
        );
        fields.note(None, Flaw::new("wrong_field_count", message));
    }
    if let Some(position) = records.stray_text {
        let message = "there is text behind a closing quote; write a quote inside quotes twice";
        let column = columns.get(position).copied();
        fields.note(column, Flaw::new("stray_quote", message));
    }
    for (position, column) in columns.iter().enumerate().take(records.count) {
        let text = match std::str::from_utf8(records.field(position)) {
            Ok(text) => Cow::Borrowed(text),
            Err(error) => {
                let message = format!("byte {} of {column} is not UTF-8", error.valid_up_to() + 1);
                fields.note(Some(column), Flaw::new("invalid_utf8", message));
                String::from_utf8_lossy(records.field(position))
            }
        };
        match *column {
            "external_id" => fields.external_id = Some(Value::Text(text)),
            _ if text.trim().is_empty() => {}
            "label" => fields.label = Some(Value::Text(text)),
            "metadata" => fields.metadata = json_cell(text, column, &mut fields),
            _ if text.trim_start().starts_with('[') => {
                fields.chains = json_cell(text, column, &mut fields);
            }
            _ => fields.chains = Some(Value::Text(text)),
        }
    }
    fields
}

/// A cell that holds JSON. Only a cell that is no UTF-8 is not borrowed, and that row is refused anyway.
fn json_cell<'a>(
    text: Cow<'a, str>,
    column: &'static str,
    fields: &mut Fields<'a>,
) -> Option<Value<'a>> {
    let Cow::Borrowed(text) = text else {
        return None;
    };
    let (value, flaw) = match value::read(text.as_bytes()) {
        Ok((value, flaw)) => (Some(value), flaw),
        Err(flaw) => (None, Some(flaw)),
    };
    if let Some(flaw) = flaw {
        let message = format!(
            "character {} of the JSON: {}",
            flaw.offset + 1,
            flaw.message
        );
        fields.note(Some(column), Flaw::new(flaw.code, message));
    }
    value
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote inside quotes: the field's end, or the first half of `""`.
    QuoteSeen,
}

/// The current record, and what it takes to find the next.
pub(super) struct Records {
    delimiter: u8,
    max_bytes: usize,
    max_fields: usize,
    state: State,
    /// Bytes of the file before the current chunk.
    offset: u64,
    lines: Lines,
    /// The last record ended in CR: an LF right behind it is the same line end.
    after_cr: bool,
    quote: (u64, u64),
    /// Unescaped fields, one behind the other.
    bytes: Vec<u8>,
    /// Where each field ends; only as many as a header may have.
    ends: Vec<usize>,
    pub(super) count: usize,
    was_quoted: bool,
    stray_text: Option<usize>,
    line: u64,
}

impl Records {
    pub(super) fn new(delimiter: u8, max_bytes: usize, max_fields: usize) -> Self {
        Self {
            delimiter,
            max_bytes,
            max_fields,
            state: State::FieldStart,
            offset: 0,
            lines: Lines::default(),
            after_cr: false,
            quote: (0, 0),
            bytes: Vec::new(),
            ends: Vec::new(),
            count: 0,
            was_quoted: false,
            stray_text: None,
            line: 0,
        }
    }

    pub(super) fn field(&self, position: usize) -> &[u8] {
        let start = position
            .checked_sub(1)
            .map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[position]]
    }

    /// Reads the next record that is no blank line; `false` at the end of the file.
    pub(super) fn next<R: Read>(&mut self, source: &mut Source<R>) -> Result<bool, UploadError> {
        loop {
            if !self.read_record(source)? {
                return Ok(false);
            }
            if self.count > 1 || self.was_quoted || !self.bytes.is_empty() {
                return Ok(true);
            }
        }
    }

    fn read_record<R: Read>(&mut self, source: &mut Source<R>) -> Result<bool, UploadError> {
        self.bytes.clear();
        self.ends.clear();
        self.count = 0;
        self.was_quoted = false;
        self.stray_text = None;
        self.state = State::FieldStart;
        self.line = self.lines.line();
        let mut taken = 0;
        loop {
            let chunk = source.chunk()?;
            if chunk.is_empty() {
                return self.end_of_file();
            }
            let (used, complete) = self.scan(chunk);
            source.consume(used);
            self.offset += used as u64;
            taken += used;
            if taken > self.max_bytes {
                return Err(UploadError::RowTooLong {
                    line: self.line,
                    limit: self.max_bytes,
                });
            }
            if complete {
                return Ok(true);
            }
        }
    }

    fn end_of_file(&mut self) -> Result<bool, UploadError> {
        match self.state {
            State::Quoted => Err(UploadError::Malformed {
                line: self.quote.0,
                column: self.quote.1,
                message: "a quote is opened here and never closed".to_owned(),
            }),
            State::FieldStart if self.count == 0 => Ok(false),
            _ => {
                self.end_field();
                Ok(true)
            }
        }
    }

    /// Goes on reading the record. Answers how many bytes it took, and whether the record is over.
    fn scan(&mut self, chunk: &[u8]) -> (usize, bool) {
        let mut at = usize::from(mem::take(&mut self.after_cr) && chunk[0] == b'\n');
        if at == 1 {
            self.lines.start = self.offset + 1;
        }
        while let Some(&byte) = chunk.get(at) {
            match self.state {
                State::FieldStart if byte == b'"' => {
                    self.quote = self.lines.place(self.offset + at as u64);
                    self.was_quoted = true;
                    self.state = State::Quoted;
                    at += 1;
                }
                State::FieldStart => self.state = State::Plain,
                State::Plain => {
                    let delimiter = self.delimiter;
                    let stop = |b: &u8| *b == delimiter || *b == b'\n' || *b == b'\r';
                    let length = chunk[at..].iter().position(stop);
                    let end = length.map_or(chunk.len(), |length| at + length);
                    self.bytes.extend_from_slice(&chunk[at..end]);
                    let Some(&sign) = chunk.get(end) else {
                        return (end, false);
                    };
                    at = end + 1;
                    self.end_field();
                    self.state = State::FieldStart;
                    if sign != delimiter {
                        self.after_cr = sign == b'\r';
                        self.lines.end(self.offset + at as u64);
                        return (at, true);
                    }
                }
                State::Quoted => at = self.quoted(chunk, at),
                State::QuoteSeen if byte == b'"' => {
                    self.bytes.push(b'"');
                    self.state = State::Quoted;
                    at += 1;
                }
                State::QuoteSeen => {
                    if byte != self.delimiter && byte != b'\n' && byte != b'\r' {
                        self.stray_text.get_or_insert(self.count);
                    }
                    self.state = State::Plain;
                }
            }
        }
        (at, false)
    }

    /// Takes the text up to the next quote, and the quote.
    fn quoted(&mut self, chunk: &[u8], at: usize) -> usize {
        let length = chunk[at..].iter().position(|b| *b == b'"');
        let end = length.map_or(chunk.len(), |length| at + length);
        let text = &chunk[at..end];
        self.bytes.extend_from_slice(text);
        self.lines.pass(text, self.offset + at as u64);
        if length.is_none() {
            return end;
        }
        self.lines.after_cr = false;
        self.state = State::QuoteSeen;
        end + 1
    }

    fn end_field(&mut self) {
        if self.count < self.max_fields {
            self.ends.push(self.bytes.len());
        }
        self.count += 1;
    }
}

/// Counts line ends, also those inside quotes: LF, CR, or CR and LF together.
#[derive(Default)]
struct Lines {
    ended: u64,
    /// Offset of the current line's first byte.
    start: u64,
    after_cr: bool,
}

impl Lines {
    fn line(&self) -> u64 {
        self.ended + 1
    }

    fn place(&self, offset: u64) -> (u64, u64) {
        (self.line(), offset - self.start + 1)
    }

    fn end(&mut self, next_start: u64) {
        self.ended += 1;
        self.start = next_start;
    }

    fn pass(&mut self, text: &[u8], offset: u64) {
        for (at, byte) in text.iter().enumerate() {
            let behind = offset + at as u64 + 1;
            match byte {
                b'\n' if self.after_cr => self.start = behind,
                b'\n' | b'\r' => self.end(behind),
                _ => {}
            }
            self.after_cr = *byte == b'\r';
        }
    }
}
