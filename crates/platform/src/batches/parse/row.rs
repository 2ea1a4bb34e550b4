//! From fields to a row: the rules that hold in every format.

use std::ops::ControlFlow;

use coffer_domain::address::{AddressKind, AddressKinds};
use coffer_domain::external_id::{ExternalId, ExternalIdError};

use super::error::{Flaw, RowFault, UploadError, clipped, shown};
use super::seen::Seen;
use super::value::{self, Value};
use super::{Limits, OnRow, RowRequest};

/// How much of a bad id goes into the report: any id that could be good fits.
const REPORTED_ID_BYTES: usize = ExternalId::MAX_BYTES;

/// Numbers the rows, finds repeated ids and hands the rows on.
pub(super) struct Rows<'a> {
    limits: &'a Limits,
    on_row: OnRow<'a>,
    seen: Seen,
    count: u32,
    faults: u32,
}

impl<'a> Rows<'a> {
    pub(super) fn new(limits: &'a Limits, on_row: OnRow<'a>) -> Self {
        Self {
            limits,
            on_row,
            seen: Seen::new(),
            count: 0,
            faults: 0,
        }
    }

    pub(super) fn limits(&self) -> &'a Limits {
        self.limits
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn faults(&self) -> u32 {
        self.faults
    }

    /// Repeats are looked for among good rows only: an id whose first row failed is not taken.
    pub(super) fn hand_on(&mut self, line: u64, fields: Fields<'_>) -> Result<(), UploadError> {
        if self.count == self.limits.max_rows {
            return Err(UploadError::TooManyRows {
                limit: self.limits.max_rows,
            });
        }
        self.count += 1;
        let row = fields
            .check(self.limits)
            .and_then(
                |request| match self.seen.first_row(&request.external_id, self.count) {
                    None => Ok(request),
                    Some(first) => {
                        let message = format!("external_id is the same as in row {first}");
                        let flaw = Flaw::new("duplicate_external_id", message);
                        Err(Misfit(Some("external_id"), flaw))
                    }
                },
            )
            .map_err(|Misfit(column, flaw)| RowFault {
                line,
                column: column.map(str::to_owned),
                code: flaw.code,
                message: flaw.message,
                external_id: fields.sent_id(),
            });
        self.faults += u32::from(row.is_err());
        match (self.on_row)(self.count, row) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(UploadError::Stopped),
        }
    }
}

/// A flaw and the column it stands in.
pub(super) struct Misfit(pub(super) Option<&'static str>, pub(super) Flaw);

/// A row as its format read it. A flaw that the format found goes before those of the fields.
pub(super) struct Fields<'a> {
    pub(super) flaw: Option<Misfit>,
    pub(super) external_id: Option<Value<'a>>,
    pub(super) label: Option<Value<'a>>,
    pub(super) metadata: Option<Value<'a>>,
    pub(super) chains: Option<Value<'a>>,
}

impl<'a> Fields<'a> {
    pub(super) fn none() -> Self {
        Self {
            flaw: None,
            external_id: None,
            label: None,
            metadata: None,
            chains: None,
        }
    }

    pub(super) fn refused(column: Option<&'static str>, flaw: Flaw) -> Self {
        Self {
            flaw: Some(Misfit(column, flaw)),
            ..Self::none()
        }
    }

    /// Notes a flaw unless there is one.
    pub(super) fn note(&mut self, column: Option<&'static str>, flaw: Flaw) {
        if self.flaw.is_none() {
            self.flaw = Some(Misfit(column, flaw));
        }
    }

    fn sent_id(&self) -> Option<String> {
        match &self.external_id {
            Some(Value::Text(text)) => Some(clipped(text, REPORTED_ID_BYTES)),
            Some(Value::Number(text)) => Some(clipped(text, REPORTED_ID_BYTES)),
            _ => None,
        }
    }

    fn check(&self, limits: &Limits) -> Result<RowRequest, Misfit> {
        if let Some(Misfit(column, flaw)) = &self.flaw {
            return Err(Misfit(*column, flaw.clone()));
        }
        let within = |column| move |flaw| Misfit(Some(column), flaw);
        Ok(RowRequest {
            external_id: external_id(self.external_id.as_ref()).map_err(within("external_id"))?,
            label: label(self.label.as_ref(), limits).map_err(within("label"))?,
            metadata: metadata(self.metadata.as_ref(), limits).map_err(within("metadata"))?,
            kinds: kinds(self.chains.as_ref()).map_err(within("chains"))?,
        })
    }
}

fn external_id(value: Option<&Value<'_>>) -> Result<ExternalId, Flaw> {
    let text = match value {
        None | Some(Value::Null) => {
            return Err(Flaw::new("external_id_missing", "external_id is missing"));
        }
        Some(Value::Text(text)) => text,
        Some(Value::Number(number)) => {
            let number = shown(number);
            let message = format!(
                "external_id must be text: write \"{number}\" in quotes, so that no digit is lost"
            );
            return Err(Flaw::new("external_id_not_text", message));
        }
        Some(other) => {
            let message = format!("external_id must be text, not {}", other.kind());
            return Err(Flaw::new("external_id_not_text", message));
        }
    };
    ExternalId::try_new(text).map_err(|error| {
        let code = match error {
            ExternalIdError::Empty => "external_id_missing",
            ExternalIdError::TooLong(_) => "external_id_too_long",
            ExternalIdError::RefusedCharacter { .. } => "external_id_refused_character",
        };
        Flaw::new(code, error.to_string())
    })
}

/// Kept as sent; a blank one counts as none. Formulas stay too: exports neutralise them.
fn label(value: Option<&Value<'_>>, limits: &Limits) -> Result<Option<String>, Flaw> {
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Text(text)) => text,
        Some(other) => {
            let message = format!("label must be text, not {}", other.kind());
            return Err(Flaw::new("label_not_text", message));
        }
    };
    if text.len() > limits.max_label_bytes {
        let message = format!(
            "label is {} bytes long; at most {} are allowed",
            text.len(),
            limits.max_label_bytes
        );
        return Err(Flaw::new("label_too_long", message));
    }
    match text.chars().enumerate().find(|(_, c)| spoils_a_label(*c)) {
        Some((position, c)) => {
            let message = format!(
                "label contains U+{:04X} at character {}, which is a control character",
                u32::from(c),
                position + 1
            );
            Err(Flaw::new("refused_character", message))
        }
        None => Ok((!text.trim().is_empty()).then(|| text.to_string())),
    }
}

/// Line breaks and tabs are text; other controls, and those that turn the direction of what is
/// shown around the label, are not. Joiners stay: Persian, Hindi and emoji are written with them.
fn spoils_a_label(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn metadata(value: Option<&Value<'_>>, limits: &Limits) -> Result<Option<String>, Flaw> {
    let value = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(value @ Value::Object(_)) => value,
        Some(other) => {
            let message = format!("metadata must be a JSON object, not {}", other.kind());
            return Err(Flaw::new("metadata_not_object", message));
        }
    };
    let mut text = String::new();
    value::write_canonical(value, &mut text)?;
    if text.len() > limits.max_metadata_bytes {
        let message = format!(
            "metadata is {} bytes long; at most {} are allowed",
            text.len(),
            limits.max_metadata_bytes
        );
        return Err(Flaw::new("metadata_too_long", message));
    }
    Ok(Some(text))
}

fn kinds(value: Option<&Value<'_>>) -> Result<Option<AddressKinds>, Flaw> {
    let unknown =
        |error: coffer_domain::address::UnknownKind| Flaw::new("unknown_chain", error.to_string());
    let kinds = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Text(text)) => text.parse::<AddressKinds>().map_err(unknown)?,
        Some(Value::List(items)) => items
            .iter()
            .map(|item| match item {
                Value::Text(name) => name.parse::<AddressKind>().map_err(unknown),
                other => {
                    let message = format!("a chain's name must be text, not {}", other.kind());
                    Err(Flaw::new("chains_not_list", message))
                }
            })
            .collect::<Result<AddressKinds, Flaw>>()?,
        Some(other) => {
            let message = format!("chains must be a list of names, not {}", other.kind());
            return Err(Flaw::new("chains_not_list", message));
        }
    };
    if kinds.is_empty() {
        let message = "chains names none; leave it out to take the batch's own";
        return Err(Flaw::new("chains_empty", message));
    }
    Ok(Some(kinds))
}
