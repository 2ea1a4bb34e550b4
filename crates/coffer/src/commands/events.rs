//! Events, one a line: for people sequence, time, type and object; with `--json` the CloudEvents envelope.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::Session;
use crate::args::{EventFilterArgs, EventsCommand, ReplayArgs, TailArgs};
use crate::client::Resource;
use crate::error::Failure;
use crate::output::{member, printable};

/// Before a server that is gone is asked again.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);
const PATH: [&str; 1] = ["events"];
const STREAM: [&str; 2] = ["events", "stream"];
const PAGE: &str = "1000";

pub(crate) async fn run(session: &Session, command: EventsCommand) -> Result<(), Failure> {
    match command {
        EventsCommand::Tail(args) => tail(session, args).await,
        EventsCommand::Replay(args) => replay(session, args).await,
    }
}

fn query<'a>(filter: &'a EventFilterArgs, cursor: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let pairs = [
        ("types", filter.types.as_deref()),
        ("subject", filter.subject.as_deref()),
        ("cursor", cursor),
        ("limit", Some(PAGE)),
    ];
    let given = pairs.into_iter();
    given
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

async fn replay(session: &Session, args: ReplayArgs) -> Result<(), Failure> {
    let last = args.to.unwrap_or(u64::MAX);
    let mut cursor = args.after.to_string();
    loop {
        let query = query(&args.filter, Some(&cursor));
        let page = session.client.get(Resource::with(&PATH, &query)).await?;
        for event in page["items"].as_array().into_iter().flatten() {
            if sequence(event) > last {
                return Ok(());
            }
            print(session, event)?;
        }
        let next = member_text(&page, "next_cursor");
        let reached = next.parse().is_ok_and(|next: u64| next >= last);
        if page["more"] != true || reached {
            return Ok(());
        }
        cursor = next;
    }
}

async fn tail(session: &Session, args: TailArgs) -> Result<(), Failure> {
    let mut last = args.after.map(|after| after.to_string());
    let mut is_away = false;
    loop {
        match follow(session, &args.filter, &mut last, &mut is_away).await {
            Ok(()) => {}
            Err(failure) if failure.is_passing() => {
                if !std::mem::replace(&mut is_away, true) {
                    session
                        .out
                        .note(&format!("{failure}; waiting for it to come back"));
                }
            }
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}

/// One connection, to its end; `last` is the event that the next one goes on behind.
async fn follow(
    session: &Session,
    filter: &EventFilterArgs,
    last: &mut Option<String>,
    is_away: &mut bool,
) -> Result<(), Failure> {
    let query = query(filter, last.as_deref());
    let request = session
        .client
        .request(Method::GET, Resource::with(&STREAM, &query));
    let mut response = session.client.open(request).await?;
    *is_away = false;
    let mut lines = Lines::default();
    while let Some(piece) = session.client.next_piece(&mut response).await? {
        for line in lines.take(piece.as_ref()) {
            if let Some(id) = line.strip_prefix("id:") {
                *last = Some(id.trim().to_owned());
            } else if let Some(data) = line.strip_prefix("data:") {
                let event = serde_json::from_str(data.trim()).map_err(|error| {
                    Failure::unexpected(
                        format!("an event cannot be read: {error}"),
                        "is --server the address of a Coffer server of this version?",
                    )
                })?;
                print(session, &event)?;
            }
        }
    }
    Ok(())
}

/// Cuts pieces of a stream into whole lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn take(&mut self, piece: &[u8]) -> Vec<String> {
        self.0.extend_from_slice(piece);
        let Some(end) = self.0.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let whole: Vec<u8> = self.0.drain(..=end).collect();
        let text = String::from_utf8_lossy(&whole);
        text.lines().map(str::to_owned).collect()
    }
}

fn member_text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn sequence(event: &Value) -> u64 {
    event["sequence"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn print(session: &Session, event: &Value) -> Result<(), Failure> {
    if session.out.is_json() {
        return Ok(session.out.line(&event.to_string())?);
    }
    let kind = member(event, "type");
    let data = &event["data"];
    // What tells an object's events apart, where it has one of these.
    let remarks = [
        "state",
        "external_id",
        "units",
        "symbol",
        "reason",
        "object",
    ];
    let remarks: Vec<String> = remarks
        .iter()
        .map(|name| member_text(data, name))
        .filter(|text| !text.is_empty())
        .collect();
    let line = format!(
        "{:>8}  {}  {:<28}  {}  {}",
        sequence(event),
        member(event, "time"),
        kind.strip_prefix("coffer.").unwrap_or(&kind),
        member(event, "subject"),
        remarks.join(" "),
    );
    Ok(session.out.line(printable(&line).trim_end())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_the_stream_is_cut() {
        let text = "id: 7\nevent: é\ndata: {\"a\":1}\n\n";
        for cut in 0..text.len() {
            let mut lines = Lines::default();
            let (a, b) = text.as_bytes().split_at(cut);
            let mut found = lines.take(a);
            found.extend(lines.take(b));
            assert_eq!(found, ["id: 7", "event: é", "data: {\"a\":1}", ""], "{cut}");
        }
    }

    #[test]
    fn only_what_was_given_is_asked_for() {
        let filter = EventFilterArgs {
            types: None,
            subject: Some("wal_1".to_owned()),
        };
        assert_eq!(
            query(&filter, Some("5")),
            [("subject", "wal_1"), ("cursor", "5"), ("limit", "1000")]
        );
    }
}
