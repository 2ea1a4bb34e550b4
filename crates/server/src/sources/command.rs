//! What a message says: a batch of wallets, its rows in the message or in a file beside it.

use coffer_domain::address::AddressKinds;
use coffer_domain::batch::OnError;
use coffer_platform::batches::parse::Format;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::page;
use crate::problem::{Code, Problem};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    idempotency_key: String,
    vault: Option<String>,
    chains: Option<Vec<String>>,
    on_error: Option<String>,
    #[serde(borrow)]
    rows: Option<&'a RawValue>,
    file: Option<FileBody>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileBody {
    name: String,
    sha256: String,
    format: Option<String>,
}

/// A checked request for a batch.
#[derive(Debug)]
pub(crate) struct Command<'a> {
    pub(crate) idempotency_key: String,
    pub(crate) vault: Option<String>,
    pub(crate) kinds: AddressKinds,
    pub(crate) on_error: OnError,
    pub(crate) content: Content<'a>,
}

#[derive(Debug)]
pub(crate) enum Content<'a> {
    /// A JSON array, as it was sent.
    Rows(&'a str),
    File(FileReference),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileReference {
    /// One plain name: no separator, no leading dot.
    pub(crate) name: String,
    /// Of the content, unpacked.
    pub(crate) sha256: [u8; 32],
    pub(crate) format: Format,
    pub(crate) gzip: bool,
}

impl<'a> Command<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Problem> {
        let malformed = |error: serde_json::Error| {
            let text = format!("the message is no request for a batch: {error}");
            Problem::new(Code::BadRequest, text)
        };
        let body: Body<'a> = serde_json::from_slice(body).map_err(malformed)?;
        let key = &body.idempotency_key;
        if !(1..=255).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let text = "give 1 to 255 visible ASCII characters";
            return Err(page::invalid("idempotency_key", text));
        }
        let content = match (body.rows, body.file) {
            (Some(rows), None) => Content::Rows(rows.get()),
            (None, Some(file)) => Content::File(file.checked()?),
            _ => return Err(page::invalid("rows", "give either rows or file")),
        };
        Ok(Self {
            kinds: match &body.chains {
                Some(names) => page::parsed("chains", &names.join(","))?,
                None => AddressKinds::ALL,
            },
            on_error: match &body.on_error {
                Some(text) => page::parsed("on_error", text)?,
                None => OnError::Skip,
            },
            idempotency_key: body.idempotency_key,
            vault: body.vault,
            content,
        })
    }
}

impl FileBody {
    fn checked(self) -> Result<FileReference, Problem> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let name = &self.name;
        if name.is_empty() || name.len() > 255 || name.starts_with('.') || !name.chars().all(plain)
        {
            let text = "a file's name is letters, digits, dots, _ and -, without a folder";
            return Err(page::invalid("file.name", text));
        }
        let known = Format::from_file_name(name);
        let named = match &self.format {
            Some(text) => Some(
                Format::from_name(text)
                    .ok_or_else(|| page::invalid("file.format", "use csv, ndjson or json"))?,
            ),
            None => known.map(|(format, _)| format),
        };
        let format = named.ok_or_else(|| {
            page::invalid(
                "file.format",
                "the name does not tell it; use csv, ndjson or json",
            )
        })?;
        let digest = hex::decode(&self.sha256).ok();
        let sha256 = digest
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| page::invalid("file.sha256", "give 64 hexadecimal digits"))?;
        let gzip = self.name.to_ascii_lowercase().ends_with(".gz");
        Ok(FileReference {
            name: self.name,
            sha256,
            format,
            gzip,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, refused: Option<&str>) {
        let result = Command::parse(text.as_bytes());
        match (result, refused) {
            (Ok(_), None) => {}
            (Ok(command), Some(named)) => panic!("{named} was taken: {command:?}"),
            (Err(problem), named) => {
                let said = problem.to_json().to_string();
                assert!(
                    named.is_some_and(|named| said.contains(named)),
                    "{text}: {said}"
                );
            }
        }
    }

    #[test]
    fn a_message_is_rows_or_a_file_under_a_key() {
        check(
            r#"{"idempotency_key":"k","rows":[{"external_id":"a"}]}"#,
            None,
        );
        check(
            r#"{"idempotency_key":"k","chains":["evm","tron"],"on_error":"abort","rows":[]}"#,
            None,
        );
        check(r#"{"rows":[]}"#, Some("idempotency_key"));
        check(
            r#"{"idempotency_key":"","rows":[]}"#,
            Some("idempotency_key"),
        );
        check(r#"{"idempotency_key":"k"}"#, Some("either rows or file"));
        check(
            r#"{"idempotency_key":"k","rows":[],"more":1}"#,
            Some("more"),
        );
        check(
            r#"{"idempotency_key":"k","rows":[],"rows":[]}"#,
            Some("duplicate"),
        );
        check(
            r#"{"idempotency_key":"k","chains":["doge"],"rows":[]}"#,
            Some("chains"),
        );
        check("[]", Some("bad_request"));
    }

    #[test]
    fn numbers_in_rows_stay_as_they_were_sent() {
        let text = r#"{"idempotency_key":"k","rows":[ {"metadata":{"n":1.10}} ]}"#;
        let command = Command::parse(text.as_bytes()).expect("valid");
        assert!(
            matches!(command.content, Content::Rows(rows) if rows == r#"[ {"metadata":{"n":1.10}} ]"#)
        );
    }

    #[test]
    fn a_file_is_named_and_not_a_path() {
        let file = |name: &str, more: &str| {
            let sha256 = "00".repeat(32);
            format!(
                r#"{{"idempotency_key":"k","file":{{"name":"{name}","sha256":"{sha256}"{more}}}}}"#
            )
        };
        check(&file("customers.csv", ""), None);
        check(&file("customers.ndjson.gz", ""), None);
        check(&file("customers", r#","format":"json""#), None);
        check(&file("customers", ""), Some("file.format"));
        for name in [
            "../customers.csv",
            "/etc/passwd.csv",
            "a/b.csv",
            "..",
            ".csv",
            "a\\u0000.csv",
            "a\\\\b.csv",
        ] {
            check(&file(name, r#","format":"csv""#), Some("file.name"));
        }
        check(
            r#"{"idempotency_key":"k","file":{"name":"a.csv","sha256":"00"}}"#,
            Some("file.sha256"),
        );
    }
}
