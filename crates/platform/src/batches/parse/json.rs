//! NDJSON and JSON uploads. Both cut the file into rows here and leave the inside of a row to `value`.

use std::io::Read;

use super::error::{Flaw, UploadError, shown};
use super::row::{Fields, Rows};
use super::source::Source;
use super::value::{self, Value};

/// One object a line; a line that is wrong is that row's fault.
pub(super) fn read_lines<R: Read>(
    source: &mut Source<R>,
    rows: &mut Rows<'_>,
) -> Result<(), UploadError> {
    let limit = rows.limits().max_row_bytes;
    let mut text = Vec::new();
    let mut line = 1;
    loop {
        let chunk = source.chunk()?;
        let at_end = chunk.is_empty();
        let found = chunk.iter().position(|b| *b == b'\n');
        let length = found.unwrap_or(chunk.len());
        if text.len() + length > limit {
            return Err(UploadError::RowTooLong { line, limit });
        }
        text.extend_from_slice(&chunk[..length]);
        source.consume(length + usize::from(found.is_some()));
        if found.is_none() && !at_end {
            continue;
        }
        if !text.iter().all(u8::is_ascii_whitespace) {
            rows.hand_on(line, line_fields(&text))?;
        }
        if at_end {
            return Ok(());
        }
        text.clear();
        line += 1;
    }
}

fn line_fields(text: &[u8]) -> Fields<'_> {
    match value::read(text) {
        Ok((value, flaw)) => fields(value, flaw),
        Err(flaw) => {
            let message = format!("column {}: {}", flaw.offset + 1, flaw.message);
            Fields::refused(None, Flaw::new(flaw.code, message))
        }
    }
}

fn fields(value: Value<'_>, flaw: Option<Flaw>) -> Fields<'_> {
    let members = match value {
        Value::Object(members) => members,
        other => {
            let message = format!("a row must be an object, not {}", other.kind());
            return Fields::refused(None, Flaw::new("not_an_object", message));
        }
    };
    let mut fields = Fields::none();
    if let Some(flaw) = flaw {
        fields.note(None, flaw);
    }
    for (key, value) in members {
        let place = match key.as_ref() {
            "external_id" => &mut fields.external_id,
            "label" => &mut fields.label,
            "metadata" => &mut fields.metadata,
            "chains" => &mut fields.chains,
            unknown => {
                let message = format!(
                    "unknown field {:?}; known are external_id, label, metadata, chains",
                    shown(unknown)
                );
                fields.note(None, Flaw::new("unknown_field", message));
                continue;
            }
        };
        *place = Some(value);
    }
    fields
}

/// An array of objects, or `{"rows": [...]}`.
pub(super) fn read_document<R: Read>(
    source: &mut Source<R>,
    rows: &mut Rows<'_>,
) -> Result<(), UploadError> {
    let mut document = Document {
        source,
        place: Place::start(),
        limit: rows.limits().max_row_bytes,
        element: Vec::new(),
    };
    let wrapped = match document.peek()? {
        None => return Err(UploadError::Empty),
        Some(b'{') => {
            document.step();
            document.rows_key()?;
            true
        }
        Some(_) => false,
    };
    document.expect(b'[', "a list of rows: [...] or {\"rows\": [...]}")?;
    document.elements(rows)?;
    if wrapped {
        document.expect(b'}', "'}': a file has no member beside \"rows\"")?;
    }
    match document.peek()? {
        None => Ok(()),
        Some(_) => Err(document.malformed("expected the end of the file")),
    }
}

/// The frame around the rows: finds where each one starts and ends without reading its inside.
struct Document<'s, R: Read> {
    source: &'s mut Source<R>,
    place: Place,
    limit: usize,
    element: Vec<u8>,
}

impl<R: Read> Document<'_, R> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Result<Option<u8>, UploadError> {
        loop {
            let chunk = self.source.chunk()?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let is_space = |b: &u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r');
            let spaces = chunk.iter().take_while(|b| is_space(b)).count();
            self.place.advance(&chunk[..spaces]);
            let next = chunk.get(spaces).copied();
            self.source.consume(spaces);
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    /// Goes past the byte that `peek` showed.
    fn step(&mut self) {
        self.place.column += 1;
        self.source.consume(1);
    }

    fn expect(&mut self, byte: u8, wanted: &str) -> Result<(), UploadError> {
        if self.peek()? != Some(byte) {
            return Err(self.malformed(format!("expected {wanted}")));
        }
        self.step();
        Ok(())
    }

    fn malformed(&self, message: impl Into<String>) -> UploadError {
        UploadError::Malformed {
            line: self.place.line,
            column: self.place.column,
            message: message.into(),
        }
    }

    fn rows_key(&mut self) -> Result<(), UploadError> {
        const WANTED: &str = "expected a list of rows: [...] or {\"rows\": [...]} \
                              (one object a line is NDJSON, and has to be sent as such)";
        if self.peek()? != Some(b'"') {
            return Err(self.malformed(WANTED));
        }
        let start = self.place;
        self.collect()?;
        if !matches!(value::read(&self.element), Ok((Value::Text(key), _)) if key == "rows") {
            self.place = start;
            return Err(self.malformed(WANTED));
        }
        self.expect(b':', "':'")
    }

    /// From behind the `[` to behind the `]`.
    fn elements(&mut self, rows: &mut Rows<'_>) -> Result<(), UploadError> {
        if self.peek()? == Some(b']') {
            self.step();
            return Ok(());
        }
        loop {
            match self.peek()? {
                Some(b',' | b':' | b']' | b'}') | None => {
                    return Err(self.malformed("expected a row"));
                }
                Some(_) => {}
            }
            let mut start = self.place;
            self.collect()?;
            let (value, flaw) = value::read(&self.element).map_err(|flaw| {
                start.advance(&self.element[..flaw.offset]);
                UploadError::Malformed {
                    line: start.line,
                    column: start.column,
                    message: flaw.message,
                }
            })?;
            rows.hand_on(start.line, fields(value, flaw))?;
            match self.peek()? {
                Some(b',') => self.step(),
                Some(b']') => {
                    self.step();
                    return Ok(());
                }
                _ => return Err(self.malformed("expected a comma or ']' after a row")),
            }
        }
    }

    /// Takes one whole value into `element`.
    fn collect(&mut self) -> Result<(), UploadError> {
        self.element.clear();
        let line = self.place.line;
        let mut extent = Extent::default();
        loop {
            let chunk = self.source.chunk()?;
            if chunk.is_empty() {
                // A bare word may end with the file; `value` judges it.
                return if extent.is_bare() {
                    Ok(())
                } else {
                    Err(self.malformed("the file ends inside a row"))
                };
            }
            let found = extent.end(chunk);
            let length = found.unwrap_or(chunk.len());
            if self.element.len() + length > self.limit {
                return Err(UploadError::RowTooLong {
                    line,
                    limit: self.limit,
                });
            }
            self.element.extend_from_slice(&chunk[..length]);
            self.place.advance(&chunk[..length]);
            self.source.consume(length);
            if found.is_some() {
                return Ok(());
            }
        }
    }
}

/// Finds the end of a value by quotes and brackets alone. Wrong nesting only moves the end, and is
/// found when the inside is read.
#[derive(Default)]
struct Extent {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Extent {
    fn is_bare(&self) -> bool {
        self.depth == 0 && !self.in_text
    }

    /// How many bytes of the chunk belong to the value, when it ends in this chunk.
    fn end(&mut self, chunk: &[u8]) -> Option<usize> {
        for (at, byte) in chunk.iter().enumerate() {
            if self.in_text {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => {
                        self.in_text = false;
                        if self.depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth == 1 => return Some(at + 1),
                b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r' if self.depth == 0 => {
                    return Some(at);
                }
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
        }
        None
    }
}

/// Line and byte column of the next byte.
#[derive(Clone, Copy)]
struct Place {
    line: u64,
    column: u64,
}

impl Place {
    fn start() -> Self {
        Self { line: 1, column: 1 }
    }

    fn advance(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
    }
}
