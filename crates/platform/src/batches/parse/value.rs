//! A strict JSON reader (RFC 8259) for one row at a time.
//!
//! It differs from general-purpose readers on purpose: a key that occurs twice is a fault, a number keeps
//! its text, and a lone surrogate is a fault instead of a replacement. Such faults leave the syntax
//! readable, so reading goes on and the first one is handed back beside the value: the caller still
//! learns of a syntax error behind it.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::error::{Flaw, shown};

/// Of arrays and objects, counted from the row itself.
pub(super) const MAX_DEPTH: usize = 32;

#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    /// As written.
    Number(&'a str),
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    /// Sorted by key, in UTF-16 units (RFC 8785, section 3.2.3).
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl Value<'_> {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// `Err` is a syntax error (`invalid_json`, `invalid_utf8`, `too_deep`); the flaw beside a value is not.
pub(super) fn read(text: &[u8]) -> Result<(Value<'_>, Option<Flaw>), Flaw> {
    let text = std::str::from_utf8(text)
        .map_err(|error| Flaw::at(error.valid_up_to(), "invalid_utf8", "the text is not UTF-8"))?;
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
        flaw: None,
    };
    reader.skip_space();
    let value = reader.value()?;
    reader.skip_space();
    match reader.peek() {
        None => Ok((value, reader.flaw)),
        Some(_) => Err(reader.unexpected("the end of the row")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    flaw: Option<Flaw>,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn unexpected(&self, wanted: &str) -> Flaw {
        let found = match self.text[self.at..].chars().next() {
            Some(c) => format!("{c:?}"),
            None => "the end".to_owned(),
        };
        Flaw::at(
            self.at,
            "invalid_json",
            format!("expected {wanted}, found {found}"),
        )
    }

    /// Keeps the first flaw only: a row has one reason.
    fn note(&mut self, offset: usize, code: &'static str, message: impl Into<String>) {
        if self.flaw.is_none() {
            self.flaw = Some(Flaw::at(offset, code, message));
        }
    }

    fn value(&mut self) -> Result<Value<'a>, Flaw> {
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::list),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, Flaw> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.unexpected(word));
        }
        self.at += word.len();
        Ok(value)
    }

    fn nested(
        &mut self,
        inner: fn(&mut Self) -> Result<Value<'a>, Flaw>,
    ) -> Result<Value<'a>, Flaw> {
        if self.depth == MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(Flaw::at(self.at, "too_deep", message));
        }
        self.depth += 1;
        self.at += 1;
        let value = inner(self)?;
        self.depth -= 1;
        Ok(value)
    }

    /// Steps over `close` or a comma; `true` when the list or object is over.
    fn closed(&mut self, close: u8, wanted: &str) -> Result<bool, Flaw> {
        self.skip_space();
        match self.peek() {
            Some(found) if found == close => {
                self.at += 1;
                Ok(true)
            }
            Some(b',') => {
                self.at += 1;
                self.skip_space();
                Ok(false)
            }
            _ => Err(self.unexpected(wanted)),
        }
    }

    fn list(&mut self) -> Result<Value<'a>, Flaw> {
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value()?);
            if self.closed(b']', "a comma or ']'")? {
                return Ok(Value::List(items));
            }
        }
    }

    fn object(&mut self) -> Result<Value<'a>, Flaw> {
        let start = self.at;
        let mut members = Vec::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(members));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key in quotes"));
            }
            let key = self.string()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("':'"));
            }
            self.at += 1;
            self.skip_space();
            members.push((key, self.value()?));
            if self.closed(b'}', "a comma or '}'")? {
                break;
            }
        }
        members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        if let Some(pair) = members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let message = format!("key {:?} occurs twice", shown(&pair[0].0));
            self.note(start, "duplicate_key", message);
        }
        Ok(Value::Object(members))
    }

    fn number(&mut self) -> Result<Value<'a>, Flaw> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut whole = true;
        if self.peek() == Some(b'.') {
            whole = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            whole = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        let fits = if whole {
            text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok()
        } else {
            text.parse::<f64>().is_ok_and(f64::is_finite)
        };
        if !fits {
            let message = format!("number {} is out of range; send it as text", shown(text));
            self.note(start, "number_out_of_range", message);
        }
        Ok(Value::Number(text))
    }

    fn digits(&mut self) -> Result<(), Flaw> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.unexpected("a digit"));
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Flaw> {
        self.at += 1;
        let start = self.at;
        let plain = self.plain_run();
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_owned();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                Some(0..0x20) => return Err(self.unexpected("a character, or an escape for it")),
                Some(_) => text.push_str(self.plain_run()),
                None => {
                    return Err(Flaw::at(
                        start - 1,
                        "invalid_json",
                        "a quote is opened here and never closed",
                    ));
                }
            }
        }
    }

    /// Characters up to the next quote, backslash or control character.
    fn plain_run(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let length = rest
            .bytes()
            .position(|b| b == b'"' || b == b'\\' || b < 0x20)
            .unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn escape(&mut self) -> Result<char, Flaw> {
        let simple = match self.peek() {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.unexpected("one of \" \\ / b f n r t u after a backslash")),
        };
        self.at += 1;
        Ok(simple)
    }

    fn unicode_escape(&mut self) -> Result<char, Flaw> {
        let start = self.at - 1;
        let unit = self.four_digits()?;
        if let Some(c) = char::from_u32(unit) {
            return Ok(c);
        }
        let before_second = self.at;
        if unit < 0xDC00 && self.text[self.at..].starts_with("\\u") {
            self.at += 1;
            let low = self.four_digits()?;
            if (0xDC00..0xE000).contains(&low) {
                let code = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before_second;
        }
        let message = format!("\\u{unit:04X} is half of a surrogate pair without the other half");
        self.note(start, "lone_surrogate", message);
        Ok(char::REPLACEMENT_CHARACTER)
    }

    /// The `u` and four hexadecimal digits behind it.
    fn four_digits(&mut self) -> Result<u32, Flaw> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.unexpected("four hexadecimal digits"));
            };
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }
}

/// Appends the canonical text. Refuses what some reader further on would stumble over: NUL, which
/// PostgreSQL cannot hold in `jsonb`, and the key `__proto__`, with which scripts have been poisoned.
pub(super) fn write_canonical(value: &Value<'_>, out: &mut String) -> Result<(), Flaw> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(text) => out.push_str(text),
        Value::Text(text) => write_text(text, out)?,
        Value::List(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_canonical(item, out)?;
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (position, (key, item)) in members.iter().enumerate() {
                if key == "__proto__" {
                    return Err(Flaw::new("refused_key", "key \"__proto__\" is refused"));
                }
                if position > 0 {
                    out.push(',');
                }
                write_text(key, out)?;
                out.push(':');
                write_canonical(item, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn write_text(text: &str, out: &mut String) -> Result<(), Flaw> {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0' => return Err(Flaw::new("refused_character", "U+0000 is refused")),
            '\u{1}'..='\u{1f}' => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    Ok(())
}
