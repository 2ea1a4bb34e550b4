//! What a command ends with when it does not succeed: one exit code, one sentence, one advice.

use std::fmt;
use std::io;

use serde_json::{Map, Value, json};

use crate::advice;
use crate::output::printable;

/// One per thing a script can do differently; each has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Unexpected,
    Usage,
    Unreachable,
    /// The server understood and will not (4xx).
    Refused,
    Integrity,
    BatchErrors,
    Unsafe,
    /// Ledger and chain differ.
    Drift,
    Interrupted,
    /// The reader of our output went away; there is nobody to tell.
    OutputClosed,
}

pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    something unexpected, a failure inside the server included
  2    the command line or an input file is wrong
  3    the server cannot be reached
  4    the server refused the request (4xx)
  5    integrity violation: a row's seal or the audit chain is broken
  6    the awaited batch ended with errors, failed or was cancelled
  7    doctor found unsafe settings
  8    ledger and chain differ
  130  interrupted; 141 the reader of the output went away

The API key comes from --api-key, else --api-key-file, else the environment variable COFFER_API_KEY.";

/// A failure as it is reported: `members` are what a script may want to read beside the sentence.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    code: String,
    what: String,
    advice: String,
    members: Map<String, Value>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            kind,
            code: kind.code().to_owned(),
            what: what.into(),
            advice: advice.into(),
            members: Map::new(),
        }
    }

    pub(crate) fn usage(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what, advice)
    }

    pub(crate) fn unexpected(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Kind::Unexpected, what, advice)
    }

    pub(crate) fn integrity(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Kind::Integrity, what, advice)
    }

    /// A file that could not be read or written.
    pub(crate) fn file(doing: &str, path: &std::path::Path, cause: &io::Error) -> Self {
        Self::usage(
            format!("cannot {doing} {}: {cause}", path.display()),
            "check the path and its permissions",
        )
    }

    /// A place that was looked at before and still could not be written: a full disk, for instance.
    pub(crate) fn writing(path: &std::path::Path, cause: &io::Error) -> Self {
        Self::unexpected(
            format!("cannot write {}: {cause}", path.display()),
            "look at the disk's free space and the folder's permissions, then try again",
        )
    }

    pub(crate) fn from_clap(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
        Self::usage(
            text,
            "`coffer --help`, or --help after any command, lists what there is",
        )
    }

    /// From an answer that is not 2xx. `problem` is its RFC 9457 body, or empty when it had none.
    pub(crate) fn answered(status: u16, mut problem: Map<String, Value>) -> Self {
        let text = |problem: &Map<String, Value>, name: &str| {
            let text = problem.get(name).and_then(Value::as_str);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let code = text(&problem, "code").unwrap_or_else(|| format!("http_{status}"));
        let what = text(&problem, "detail")
            .or_else(|| text(&problem, "title"))
            .unwrap_or_else(|| format!("the server answered with status {status}"));
        // It may quote a row of a customer's file.
        let what = printable(&what);
        let kind = match (code.as_str(), status) {
            ("integrity_violation" | "audit_broken", _) => Kind::Integrity,
            (_, 400..=499) => Kind::Refused,
            _ => Kind::Unexpected,
        };
        for name in ["code", "detail"] {
            problem.remove(name);
        }
        problem.insert("status".to_owned(), status.into());
        Self {
            kind,
            advice: advice::for_code(&code, status).to_owned(),
            code,
            what,
            members: problem,
        }
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// A stable code narrower than the kind's.
    #[must_use]
    pub(crate) fn with_code(mut self, code: &str) -> Self {
        code.clone_into(&mut self.code);
        self
    }

    #[must_use]
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    #[cfg(test)]
    pub(crate) fn member(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn status(&self) -> Option<u64> {
        self.members.get("status").and_then(Value::as_u64)
    }

    /// Seconds that the server asked to be left alone.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.members.get("retry_after").and_then(Value::as_u64)
    }

    /// Whether the same call may do better a little later. Safe for a mutation only with its key.
    pub(crate) fn is_passing(&self) -> bool {
        let passing_status = matches!(self.status(), Some(429 | 502 | 503 | 504));
        self.kind == Kind::Unreachable
            || self.kind != Kind::Integrity && passing_status
            || self.code == "idempotency_in_progress"
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Unexpected => 1,
            Kind::Usage => 2,
            Kind::Unreachable => 3,
            Kind::Refused => 4,
            Kind::Integrity => 5,
            Kind::BatchErrors => 6,
            Kind::Unsafe => 7,
            Kind::Drift => 8,
            Kind::Interrupted => 130,
            Kind::OutputClosed => 141,
        }
    }

    /// What standard error gets; `None` when there is nobody to tell.
    pub(crate) fn render(&self, json: bool) -> Option<String> {
        if self.kind == Kind::OutputClosed {
            return None;
        }
        let text = if json { self.as_json() } else { self.as_text() };
        Some(redact_keys(&text))
    }

    /// RFC 9457's members, then ours.
    fn as_json(&self) -> String {
        let mut problem = self.members.clone();
        let or = |problem: &mut Map<String, Value>, name: &str, value: Value| {
            problem.entry(name).or_insert(value);
        };
        or(
            &mut problem,
            "type",
            format!("https://coffer.invalid/problems/{}", self.code).into(),
        );
        or(&mut problem, "title", self.kind.title().into());
        problem.insert("code".to_owned(), self.code.clone().into());
        problem.insert("detail".to_owned(), self.what.clone().into());
        problem.insert("advice".to_owned(), self.advice.clone().into());
        problem.insert("exit_code".to_owned(), self.exit_code().into());
        json!(problem).to_string()
    }

    fn as_text(&self) -> String {
        let mut text = format!("error: {}", self.what);
        for name in ["line", "column", "field", "request_id"] {
            match self.members.get(name) {
                Some(Value::Null) | None => {}
                Some(value) => text.push_str(&format!("\n       {name}: {value}")),
            }
        }
        if !self.advice.is_empty() {
            text.push_str(&format!("\nnext:  {}", self.advice));
        }
        text
    }
}

impl Kind {
    fn code(self) -> &'static str {
        match self {
            Self::Unexpected => "unexpected",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Integrity => "integrity_violation",
            Self::BatchErrors => "batch_ended_with_errors",
            Self::Unsafe => "unsafe_settings",
            Self::Drift => "ledger_differs",
            Self::Interrupted => "interrupted",
            Self::OutputClosed => "output_closed",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Unexpected => "Something unexpected happened",
            Self::Usage => "The command line or an input file is wrong",
            Self::Unreachable => "The server cannot be reached",
            Self::Refused => "The server refused",
            Self::Integrity => "Integrity violation",
            Self::BatchErrors => "The batch did not complete without errors",
            Self::Unsafe => "Unsafe settings",
            Self::Drift => "Ledger and chain differ",
            Self::Interrupted => "Interrupted",
            Self::OutputClosed => "The reader of the output went away",
        }
    }
}

/// No message of ours repeats an API key, even one that was typed in the wrong place.
fn redact_keys(text: &str) -> String {
    let mut parts = text.split("cfr_");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("cfr_");
        let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit() || c == '_');
        if rest.len() < part.len() {
            out.push('…');
        }
        out.push_str(rest);
    }
    out
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::unexpected(format!("{error:#}"), "")
    }
}

/// Of writing to standard output; files have [`Failure::file`].
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Kind::OutputClosed, "", "");
        }
        Self::unexpected(format!("cannot write the output: {error}"), "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, code: &str) -> Failure {
        let body = json!({"code": code, "title": "T", "detail": "d", "status": status, "line": 7});
        match body {
            Value::Object(map) => Failure::answered(status, map),
            _ => unreachable!("an object was written above"),
        }
    }

    #[test]
    fn an_answer_maps_to_its_exit_code() {
        let check = |status, code, expected| {
            assert_eq!(answered(status, code).exit_code(), expected, "{code}");
        };
        check(401, "unauthorized", 4);
        check(404, "not_found", 4);
        check(409, "state_conflict", 4);
        check(429, "rate_limited", 4);
        check(500, "integrity_violation", 5);
        check(503, "audit_broken", 5);
        check(503, "store_unavailable", 1);
        check(500, "internal", 1);
    }

    #[test]
    fn only_what_passes_by_itself_is_tried_again() {
        assert!(answered(503, "store_unavailable").is_passing());
        assert!(answered(429, "rate_limited").is_passing());
        assert!(answered(409, "idempotency_in_progress").is_passing());
        assert!(Failure::new(Kind::Unreachable, "", "").is_passing());
        assert!(!answered(503, "audit_broken").is_passing());
        assert!(!answered(422, "idempotency_conflict").is_passing());
        assert!(!answered(500, "internal").is_passing());
    }

    #[test]
    fn json_keeps_the_problem_and_adds_advice_and_exit_code() {
        let text = answered(422, "malformed_upload")
            .render(true)
            .expect("is told");
        let value: Value = serde_json::from_str(&text).expect("is JSON");
        assert_eq!(value["code"], "malformed_upload");
        assert_eq!(value["status"], 422);
        assert_eq!(value["line"], 7);
        assert_eq!(value["exit_code"], 4);
        assert_eq!(value["title"], "T");
        assert!(value["advice"].as_str().is_some_and(|a| a.contains("mend")));
        assert!(
            value["type"]
                .as_str()
                .is_some_and(|t| t.ends_with("malformed_upload"))
        );
    }

    #[test]
    fn a_quoted_row_cannot_steer_the_terminal() {
        let problem = json!({"detail": "bad id \u{1b}[2J\u{202e}x"});
        let map = problem.as_object().cloned().unwrap_or_default();
        let text = Failure::answered(422, map).render(false).expect("is told");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }

    #[test]
    fn keys_are_not_repeated() {
        let key = format!("cfr_{}_{}", "ab".repeat(16), "cd".repeat(32));
        let shown = redact_keys(&format!(
            "unexpected argument '{key}' found; see cfr_ and {key}"
        ));
        assert_eq!(
            shown,
            "unexpected argument 'cfr_…' found; see cfr_ and cfr_…"
        );
    }

    #[test]
    fn a_closed_pipe_is_not_told() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.render(false), None);
        assert_eq!(failure.exit_code(), 141);
    }
}
