use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::args::{AllowListChange, AllowListCommand};
use crate::client::Resource;
use crate::commands::Session;
use crate::commands::input;
use crate::commands::pages::{self, PageQuery};
use crate::error::Failure;

/// Ids in one call; a long file is sent piece by piece.
const IDS_PER_CALL: usize = 1000;
/// No external id is longer, in bytes; a longer line is not a list of ids.
const LINE_LIMIT_BYTES: u64 = 4096;

pub(crate) async fn run(session: &Session, command: AllowListCommand) -> Result<(), Failure> {
    match command {
        AllowListCommand::Show { id } => show(session, &id).await,
        AllowListCommand::Add(change) => apply(session, Method::PUT, change).await,
        AllowListCommand::Remove(change) => apply(session, Method::DELETE, change).await,
    }
}

async fn show(session: &Session, id: &str) -> Result<(), Failure> {
    let path = ["vaults", id, "allow-list"];
    let query = PageQuery::whole(&path);
    let lines = |rows: &[Value]| {
        let ids = rows.iter().map(|row| {
            let id = row.as_str().or_else(|| row["external_id"].as_str());
            crate::output::printable(id.unwrap_or_default())
        });
        ids.collect::<Vec<_>>().join("\n")
    };
    pages::print(session, query, lines).await?.into_result()
}

/// Counts what the calls say they did: `added`, `activated`, `removed`.
async fn apply(session: &Session, method: Method, change: AllowListChange) -> Result<(), Failure> {
    let mut totals = serde_json::Map::new();
    let mut sent = 0;
    for ids in change.external_ids.chunks(IDS_PER_CALL) {
        sent += send(session, &method, &change.id, ids, &mut totals).await?;
    }
    if let Some(file) = &change.file {
        let opened = input::open(file).map_err(|error| Failure::file("read", file, &error))?;
        let mut lines = BufReader::new(opened);
        loop {
            let ids = next_ids(&mut lines, file).await?;
            if ids.is_empty() {
                break;
            }
            sent += send(session, &method, &change.id, &ids, &mut totals).await?;
        }
    }
    totals.insert("sent".to_owned(), sent.into());
    let answer = Value::Object(totals);
    session.out.answer(&answer, || {
        let parts = answer.as_object().into_iter().flatten();
        let parts = parts.map(|(name, count)| format!("{count} {name}"));
        parts.collect::<Vec<_>>().join(", ")
    })?;
    Ok(())
}

async fn send(
    session: &Session,
    method: &Method,
    vault: &str,
    ids: &[String],
    totals: &mut serde_json::Map<String, Value>,
) -> Result<usize, Failure> {
    let path = ["vaults", vault, "allow-list"];
    let body = json!({"external_ids": ids});
    let done = session
        .client
        .send(method.clone(), Resource::at(&path), Some(&body))
        .await?;
    for (name, count) in done.as_object().into_iter().flatten() {
        if let Some(count) = count.as_u64() {
            let before = totals.get(name).and_then(Value::as_u64).unwrap_or(0);
            totals.insert(name.clone(), (before + count).into());
        }
    }
    Ok(ids.len())
}

async fn next_ids(
    lines: &mut (impl AsyncBufRead + Unpin),
    file: &Path,
) -> Result<Vec<String>, Failure> {
    let mut ids = Vec::new();
    while ids.len() < IDS_PER_CALL {
        let mut line = String::new();
        let read = (&mut *lines)
            .take(LINE_LIMIT_BYTES)
            .read_line(&mut line)
            .await;
        let length = read.map_err(|error| Failure::file("read", file, &error))?;
        if length == 0 {
            break;
        }
        if length as u64 == LINE_LIMIT_BYTES && !line.ends_with('\n') {
            return Err(Failure::usage(
                format!(
                    "{} has a line of more than {LINE_LIMIT_BYTES} bytes",
                    file.display()
                ),
                "write one external id a line",
            ));
        }
        let id = line.trim();
        if !id.is_empty() {
            ids.push(id.to_owned());
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_ids_is_read_line_by_line() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let read = |text: &'static str| {
            let mut bytes = text.as_bytes();
            runtime.block_on(next_ids(&mut bytes, Path::new("list")))
        };
        assert_eq!(
            read("a\r\n\n  李 \nlast").expect("ids"),
            ["a", "李", "last"]
        );
        assert!(read("").expect("ids").is_empty());
        let long: &'static str = Box::leak("x".repeat(5000).into_boxed_str());
        assert_eq!(read(long).expect_err("too long").exit_code(), 2);
    }
}
