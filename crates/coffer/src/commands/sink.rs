use reqwest::Method;
use serde_json::{Value, json};

use super::Session;
use super::wallet::IDEMPOTENCY_KEY;
use crate::args::SinkCommand;
use crate::client::Resource;
use crate::error::Failure;
use crate::output::{Table, fields, items, member};

pub(crate) async fn run(session: &Session, command: SinkCommand) -> Result<(), Failure> {
    match command {
        SinkCommand::List => {
            let sinks = session.client.get(Resource::at(&["sinks"])).await?;
            session.out.answer(&sinks, || table(items(&sinks)))?;
        }
        SinkCommand::Rewind {
            name,
            to,
            idempotency_key,
        } => {
            let path = ["sinks", name.as_str(), "rewind"];
            let mut request = session
                .client
                .request(Method::POST, Resource::at(&path))
                .json(&json!({ "to": to }));
            if let Some(key) = &idempotency_key {
                request = request.header(IDEMPOTENCY_KEY, key);
            }
            let sink = session.client.call(request).await?;
            session.out.answer(&sink, || {
                fields(&[
                    ("sink", member(&sink, "name")),
                    ("published", member(&sink, "published")),
                    ("newest", member(&sink, "newest")),
                    ("replays", member(&sink, "replays")),
                ])
            })?;
        }
    }
    Ok(())
}

fn table(sinks: &[Value]) -> String {
    let mut table = Table::new(&[
        "SINK",
        "PUBLISHED",
        "NEWEST",
        "REPLAYS",
        "RELAYING",
        "MOVED",
    ]);
    for sink in sinks {
        table.row([
            member(sink, "name"),
            member(sink, "published"),
            member(sink, "newest"),
            member(sink, "replays"),
            member(sink, "relaying"),
            member(sink, "updated_at"),
        ]);
    }
    table.render()
}
