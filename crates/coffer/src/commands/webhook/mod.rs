//! Webhooks: events sent to URLs, the log of deliveries, and a receiver to try them with.

mod listen;
mod seen;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::Session;
use super::pages::{self, PageQuery};
use super::wallet::IDEMPOTENCY_KEY;
use crate::args::{
    WebhookCommand, WebhookCreateArgs, WebhookDeliveriesArgs, WebhookRedeliverArgs, WebhookSetArgs,
};
use crate::client::Resource;
use crate::error::Failure;
use crate::output::{Table, fields, items, member};

pub(crate) async fn run(session: &Session, command: WebhookCommand) -> Result<(), Failure> {
    match command {
        WebhookCommand::Create(args) => create(session, args).await,
        WebhookCommand::List => list(session).await,
        WebhookCommand::Show { id } => {
            let shown = session.client.get(Resource::at(&["webhooks", &id])).await?;
            print(session, &shown)
        }
        WebhookCommand::Set(args) => set(session, args).await,
        WebhookCommand::Deliveries(args) => deliveries(session, args).await,
        WebhookCommand::Redeliver(args) => redeliver(session, args).await,
        WebhookCommand::Rotate { id, overlap_hours } => rotate(session, &id, overlap_hours).await,
        WebhookCommand::Test { id } => test(session, &id).await,
        WebhookCommand::Enable { id } => switch(session, &id, "enable", None).await,
        WebhookCommand::Disable { id, reason } => {
            switch(session, &id, "disable", Some(json!({ "reason": reason }))).await
        }
        WebhookCommand::Delete { id } => delete(session, &id).await,
        WebhookCommand::Listen(args) => listen::run(session, args).await,
    }
}

/// The members that were given.
fn given<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let members = members.into_iter();
    let given: Map<String, Value> = members
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    Value::Object(given)
}

async fn create(session: &Session, args: WebhookCreateArgs) -> Result<(), Failure> {
    let body = given([
        ("url", Some(args.url.into())),
        ("types", Some(args.types.into())),
        ("description", args.description.map(Value::from)),
        ("rate_per_second", args.rate_per_second.map(Value::from)),
        ("concurrency", args.concurrency.map(Value::from)),
        ("after", args.after.map(Value::from)),
        ("check", args.no_check.then_some(Value::Bool(false))),
    ]);
    let client = &session.client;
    let mut request = client
        .request(Method::POST, Resource::at(&["webhooks"]))
        .json(&body);
    if let Some(key) = &args.idempotency_key {
        request = request.header(IDEMPOTENCY_KEY, key);
    }
    let created = client.call(request).await?;
    session.out.answer(&created, || {
        let text = text_of(&created);
        let secret = secret_line(&created);
        format!("{text}\n{secret}")
    })?;
    Ok(())
}

fn secret_line(answer: &Value) -> String {
    match answer["secret"].as_str() {
        Some(secret) => format!(
            "secret  {secret}\n\nThe secret is shown this once; keep it in a file that only you can read."
        ),
        None => {
            "The secret was shown when this was done first; `coffer webhook rotate` gives another."
                .to_owned()
        }
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    let found = session.client.get(Resource::at(&["webhooks"])).await?;
    session.out.answer(&found, || {
        let mut table = Table::new(&["ID", "STATE", "LAG", "OPEN", "PARKED", "TYPES", "URL"]);
        for webhook in items(&found) {
            let progress = &webhook["progress"];
            table.row([
                member(webhook, "id"),
                member(webhook, "state"),
                member(progress, "lag"),
                member(progress, "open"),
                member(progress, "parked"),
                member(webhook, "types"),
                member(webhook, "url"),
            ]);
        }
        table.render()
    })?;
    Ok(())
}

async fn set(session: &Session, args: WebhookSetArgs) -> Result<(), Failure> {
    let types = (!args.types.is_empty()).then(|| args.types.into());
    let body = given([
        ("url", args.url.map(Value::from)),
        ("types", types),
        ("description", args.description.map(Value::from)),
        ("rate_per_second", args.rate_per_second.map(Value::from)),
        ("concurrency", args.concurrency.map(Value::from)),
    ]);
    let path = ["webhooks", args.id.as_str()];
    let client = &session.client;
    let set = client.send(Method::PUT, Resource::at(&path), Some(&body));
    print(session, &set.await?)
}

async fn deliveries(session: &Session, args: WebhookDeliveriesArgs) -> Result<(), Failure> {
    let path = ["webhooks", args.id.as_str(), "deliveries"];
    let filters = [
        ("result", &args.result),
        ("event", &args.event),
        ("subject", &args.subject),
    ];
    let query = PageQuery::new(&path, args.page).filtered(filters);
    pages::print(session, query, |page| {
        let mut table = Table::new(&[
            "ID", "RESULT", "STATUS", "ERROR", "TRY", "MS", "TYPE", "SUBJECT", "AT",
        ]);
        for delivery in page {
            let row = [
                "id",
                "result",
                "status",
                "error",
                "attempt",
                "latency_ms",
                "event_type",
                "subject",
                "at",
            ];
            table.row(row.map(|name| member(delivery, name)));
        }
        table.render()
    })
    .await?
    .into_result()
}

async fn redeliver(session: &Session, args: WebhookRedeliverArgs) -> Result<(), Failure> {
    let body = given([
        ("event", args.event.map(Value::from)),
        ("delivery", args.delivery.map(Value::from)),
        ("subject", args.subject.map(Value::from)),
        ("first", args.first.map(Value::from)),
        ("last", args.last.map(Value::from)),
        ("from", args.from.map(Value::from)),
        ("until", args.until.map(Value::from)),
    ]);
    let path = ["webhooks", args.id.as_str(), "redeliver"];
    let client = &session.client;
    let mut request = client
        .request(Method::POST, Resource::at(&path))
        .json(&body);
    if let Some(key) = &args.idempotency_key {
        request = request.header(IDEMPOTENCY_KEY, key);
    }
    let asked = client.call(request).await?;
    session.out.answer(&asked, || {
        format!(
            "{}: events {} to {} are looked through and sent again.",
            member(&asked, "id"),
            member(&asked, "first"),
            member(&asked, "last")
        )
    })?;
    Ok(())
}

async fn rotate(session: &Session, id: &str, overlap_hours: u32) -> Result<(), Failure> {
    let path = ["webhooks", id, "rotate"];
    let body = json!({ "overlap_hours": overlap_hours });
    let client = &session.client;
    let rotated = client.send(Method::POST, Resource::at(&path), Some(&body));
    let rotated = rotated.await?;
    session.out.answer(&rotated, || {
        let until = member(&rotated, "previous_secret_until");
        format!(
            "{}\nThe old one signs until {until}.",
            secret_line(&rotated)
        )
    })?;
    Ok(())
}

async fn test(session: &Session, id: &str) -> Result<(), Failure> {
    let path = ["webhooks", id, "test"];
    let client = &session.client;
    let check = client.send(Method::POST, Resource::at(&path), None).await?;
    session.out.answer(&check, || {
        let success = check["success"] == true;
        fields(&[
            (
                "result",
                if success { "success" } else { "no success" }.to_owned(),
            ),
            ("status", member(&check, "status")),
            ("error", member(&check, "error")),
            ("answer", member(&check, "excerpt")),
            ("took (ms)", member(&check, "latency_ms")),
        ])
    })?;
    Ok(())
}

async fn switch(
    session: &Session,
    id: &str,
    verb: &str,
    body: Option<Value>,
) -> Result<(), Failure> {
    let path = ["webhooks", id, verb];
    let client = &session.client;
    let switched = client.send(Method::POST, Resource::at(&path), body.as_ref());
    print(session, &switched.await?)
}

async fn delete(session: &Session, id: &str) -> Result<(), Failure> {
    let path = ["webhooks", id];
    let client = &session.client;
    client
        .send(Method::DELETE, Resource::at(&path), None)
        .await?;
    let answer = json!({ "id": id, "deleted": true });
    session
        .out
        .answer(&answer, || format!("{id} is deleted."))?;
    Ok(())
}

fn text_of(webhook: &Value) -> String {
    let progress = &webhook["progress"];
    fields(&[
        ("id", member(webhook, "id")),
        ("url", member(webhook, "url")),
        ("description", member(webhook, "description")),
        ("types", member(webhook, "types")),
        ("state", member(webhook, "state")),
        ("reason", member(webhook, "reason")),
        ("rate (1/s)", member(webhook, "rate_per_second")),
        ("concurrency", member(webhook, "concurrency")),
        ("told to", member(progress, "told_to")),
        ("lag", member(progress, "lag")),
        ("open", member(progress, "open")),
        ("parked", member(progress, "parked")),
        ("failing since", member(progress, "failing_since")),
        ("paused until", member(progress, "paused_until")),
        ("last success", member(progress, "last_success_at")),
        ("last error", member(progress, "last_error")),
        ("old secret until", member(webhook, "previous_secret_until")),
        ("created", member(webhook, "created_at")),
    ])
}

fn print(session: &Session, webhook: &Value) -> Result<(), Failure> {
    session.out.answer(webhook, || text_of(webhook))?;
    Ok(())
}
