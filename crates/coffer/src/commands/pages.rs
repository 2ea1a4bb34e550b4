//! Lists that come by pages: printed as they come, so that a million rows take no more memory than one page.

use serde_json::{Value, json};

use super::Session;
use crate::args::PageArgs;
use crate::client::Resource;
use crate::error::Failure;
use crate::output::items;

/// More pages than any list has; a server that never ends is left.
const PAGES_MAX: u64 = 1_000_000;

/// Lines of a page, unless the command says otherwise.
const LINES: u32 = 50;
/// As many as a page may have.
const LINES_MAX: u32 = 1000;

/// A list: where it is, and what of it is asked for.
pub(crate) struct PageQuery<'a> {
    path: &'a [&'a str],
    filters: Vec<(&'a str, &'a str)>,
    page: PageArgs,
}

impl<'a> PageQuery<'a> {
    pub(crate) fn new(path: &'a [&'a str], page: PageArgs) -> Self {
        Self {
            path,
            filters: Vec::new(),
            page,
        }
    }

    /// Every line, in as few calls as there can be.
    pub(crate) fn whole(path: &'a [&'a str]) -> Self {
        let page = PageArgs {
            limit: None,
            cursor: None,
            all: true,
        };
        Self::new(path, page)
    }

    pub(crate) fn filtered(
        mut self,
        filters: impl IntoIterator<Item = (&'a str, &'a Option<String>)>,
    ) -> Self {
        self.filters = given(filters);
        self
    }
}

/// The filters that have a value.
pub(crate) fn given<'a>(
    filters: impl IntoIterator<Item = (&'a str, &'a Option<String>)>,
) -> Vec<(&'a str, &'a str)> {
    let values = filters.into_iter();
    values
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
        .collect()
}

/// What the pages left unsaid: where to go on, and the rows that the server would not show.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rest {
    pub next_cursor: Option<String>,
    pub refused: Vec<Value>,
}

/// Prints `{"data":[…],"next_cursor":…,"refused":[…]}`, or `page_text` of each page.
pub(crate) async fn print(
    session: &Session,
    query: PageQuery<'_>,
    page_text: impl Fn(&[Value]) -> String,
) -> Result<Rest, Failure> {
    let out = session.out;
    let mut rest = Rest::default();
    let PageArgs {
        limit,
        mut cursor,
        all,
    } = query.page;
    let limit = limit
        .unwrap_or(if all { LINES_MAX } else { LINES })
        .to_string();
    let mut line = String::from("{\"data\":[");
    let mut first = true;
    for _ in 0..PAGES_MAX {
        let mut filters = query.filters.clone();
        filters.push(("limit", &limit));
        if let Some(cursor) = &cursor {
            filters.push(("cursor", cursor));
        }
        let page = session
            .client
            .get(Resource::with(query.path, &filters))
            .await?;
        rest.refused
            .extend(page["refused"].as_array().into_iter().flatten().cloned());
        let next = page["next_cursor"].as_str().map(str::to_owned);
        let rows = items(&page);
        if out.is_json() {
            for row in rows {
                line.push_str(if first { "" } else { "," });
                line.push_str(&row.to_string());
                first = false;
            }
            if !line.is_empty() {
                out.line(&line)?;
                line.clear();
            }
        } else if first || !rows.is_empty() {
            out.line(page_text(rows).trim_end())?;
            first = false;
        }
        rest.next_cursor = next;
        if !all || rest.next_cursor.is_none() || rest.next_cursor == cursor {
            break;
        }
        cursor.clone_from(&rest.next_cursor);
    }
    if out.is_json() {
        let end = json!({"next_cursor": rest.next_cursor, "refused": rest.refused}).to_string();
        out.line(&format!("],{}", end.trim_start_matches('{')))?;
    } else if let Some(cursor) = &rest.next_cursor {
        out.note(&format!(
            "next:  there is more; go on with --cursor {cursor}"
        ));
    }
    Ok(rest)
}

impl Rest {
    /// A list with refused rows was printed without them, and is no success.
    pub(crate) fn into_result(self) -> Result<(), Failure> {
        let ids = self.refused.iter().filter_map(|row| row["id"].as_str());
        let some = ids.take(5).collect::<Vec<_>>().join(", ");
        match self.refused.len() {
            0 => Ok(()),
            count => Err(Failure::integrity(
                format!("{count} row(s) were refused because their seal is broken: {some}"),
                "these rows were changed behind the server's back: keep the database as it is, and run `coffer audit verify`",
            )
            .with("refused", self.refused)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_rows_are_an_integrity_violation() {
        assert!(Rest::default().into_result().is_ok());
        let refused = vec![json!({"id": "wal_1", "code": "integrity_violation"})];
        let rest = Rest {
            next_cursor: None,
            refused,
        };
        let failure = rest.into_result().expect_err("not a success");
        assert_eq!(failure.exit_code(), 5);
        assert!(failure.to_string().contains("wal_1"));
    }
}
