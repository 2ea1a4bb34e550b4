use reqwest::Method;
use serde_json::{Value, json};

use super::Session;
use super::pages::{self, PageQuery};
use crate::args::SourceCommand;
use crate::client::Resource;
use crate::error::Failure;
use crate::output::{Table, member};

pub(crate) async fn run(session: &Session, command: SourceCommand) -> Result<(), Failure> {
    match command {
        SourceCommand::Parked { source, page } => {
            let query = PageQuery::new(&["parked-messages"], page).filtered([("source", &source)]);
            pages::print(session, query, table).await?.into_result()
        }
        SourceCommand::Discard { id } => {
            let path = ["parked-messages", id.as_str()];
            session
                .client
                .send(Method::DELETE, Resource::at(&path), None)
                .await?;
            session
                .out
                .answer(&json!({ "id": id, "discarded": true }), || {
                    format!("{id} is discarded")
                })?;
            Ok(())
        }
    }
}

fn table(parked: &[Value]) -> String {
    let mut table = Table::new(&["ID", "SOURCE", "CODE", "TIMES", "LAST", "REASON"]);
    for message in parked {
        table.row([
            member(message, "id"),
            member(message, "source"),
            member(message, "code"),
            member(message, "times"),
            member(message, "last_at"),
            member(message, "reason"),
        ]);
    }
    table.render()
}
