use reqwest::Method;
use serde_json::{Value, json};

use super::Session;
use crate::args::KeyCommand;
use crate::client::Resource;
use crate::error::Failure;
use crate::output::{Table, fields, items, member};

pub(crate) async fn run(session: &Session, command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Create {
            name,
            scopes,
            expires_in_days,
        } => create(session, &name, &scopes, expires_in_days).await,
        KeyCommand::List => list(session).await,
        KeyCommand::Revoke { id } => revoke(session, &id).await,
    }
}

async fn create(
    session: &Session,
    name: &str,
    scopes: &[String],
    expires_in_days: Option<u32>,
) -> Result<(), Failure> {
    let mut body = json!({"name": name, "scopes": scopes});
    if let Some(days) = expires_in_days {
        body["expires_in_days"] = days.into();
    }
    let key = session
        .client
        .send(Method::POST, Resource::at(&["keys"]), Some(&body))
        .await?;
    session.out.answer(&key, || {
        let text = fields(&[
            ("id", member(&key, "id")),
            ("name", member(&key, "name")),
            ("scopes", member(&key, "scopes")),
            ("expires", member(&key, "expires_at")),
            ("api key", member(&key, "api_key")),
        ]);
        format!("{text}\nThe API key is shown this once; keep it in a file that only you can read.")
    })?;
    Ok(())
}

async fn list(session: &Session) -> Result<(), Failure> {
    let keys = session.client.get(Resource::at(&["keys"])).await?;
    session.out.answer(&keys, || table(items(&keys)))?;
    Ok(())
}

fn table(keys: &[Value]) -> String {
    let mut table = Table::new(&["ID", "NAME", "SCOPES", "EXPIRES", "REVOKED"]);
    for key in keys {
        table.row(
            ["id", "name", "scopes", "expires_at", "revoked_at"].map(|name| member(key, name)),
        );
    }
    table.render()
}

async fn revoke(session: &Session, id: &str) -> Result<(), Failure> {
    session
        .client
        .send(Method::DELETE, Resource::at(&["keys", id]), None)
        .await?;
    let answer = json!({"id": id, "revoked": true});
    session
        .out
        .answer(&answer, || format!("{id} is revoked."))?;
    Ok(())
}
