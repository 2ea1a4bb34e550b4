use reqwest::Method;
use serde_json::{Value, json};

use super::Session;
use crate::args::{AssetAddArgs, AssetCommand};
use crate::client::Resource;
use crate::error::Failure;
use crate::output::{Table, fields, items, member};

pub(crate) async fn run(session: &Session, command: AssetCommand) -> Result<(), Failure> {
    match command {
        AssetCommand::List { network } => list(session, network.as_deref()).await,
        AssetCommand::Show { id } => {
            let asset = session.client.get(Resource::at(&["assets", &id])).await?;
            print(session, &asset)
        }
        AssetCommand::Add(args) => add(session, args).await,
        AssetCommand::Enable { id } => set(session, &id, json!({ "enabled": true })).await,
        AssetCommand::Disable { id, reason } => {
            set(session, &id, json!({ "enabled": false, "reason": reason })).await
        }
        AssetCommand::CloseBreaker { id, reason } => {
            let path = ["assets", id.as_str(), "close-breaker"];
            let body = json!({ "reason": reason });
            let client = &session.client;
            let closed = client.send(Method::POST, Resource::at(&path), Some(&body));
            print(session, &closed.await?)
        }
    }
}

async fn list(session: &Session, network: Option<&str>) -> Result<(), Failure> {
    let query: Vec<_> = network.map(|id| ("network", id)).into_iter().collect();
    let assets = session
        .client
        .get(Resource::with(&["assets"], &query))
        .await?;
    session.out.answer(&assets, || table(items(&assets)))?;
    Ok(())
}

fn table(assets: &[Value]) -> String {
    let mut table = Table::new(&["ID", "SYMBOL", "STATE", "DECIMALS", "MINIMUM", "NAME"]);
    for asset in assets {
        table.row([
            member(asset, "id"),
            member(asset, "symbol"),
            member(asset, "state"),
            member(asset, "decimals"),
            member(&asset["deposit_minimum"], "amount"),
            member(asset, "name"),
        ]);
    }
    table.render()
}

async fn add(session: &Session, args: AssetAddArgs) -> Result<(), Failure> {
    let mut body = json!({
        "name": args.name, "symbol": args.symbol, "decimals": args.decimals,
    });
    if let Some(minimum) = args.deposit_minimum {
        body["deposit_minimum"] = minimum.into();
    }
    let path = ["networks", args.network.as_str(), "assets"];
    let client = &session.client;
    let added = client.send(Method::POST, Resource::at(&path), Some(&body));
    let asset = added.await?;
    print(session, &asset)?;
    for warning in asset["warnings"].as_array().into_iter().flatten() {
        let text = warning.as_str().unwrap_or_default();
        session.out.note(&format!("warning: {text}"));
    }
    Ok(())
}

async fn set(session: &Session, id: &str, change: Value) -> Result<(), Failure> {
    let path = ["assets", id];
    let client = &session.client;
    let set = client.send(Method::PUT, Resource::at(&path), Some(&change));
    print(session, &set.await?)
}

fn print(session: &Session, asset: &Value) -> Result<(), Failure> {
    session.out.answer(asset, || {
        fields(&[
            ("id", member(asset, "id")),
            ("name", member(asset, "name")),
            ("symbol", member(asset, "symbol")),
            ("decimals", member(asset, "decimals")),
            ("state", member(asset, "state")),
            ("reason", member(asset, "reason")),
            ("minimum", member(&asset["deposit_minimum"], "amount")),
            ("network", member(asset, "network_id")),
            ("created", member(asset, "created_at")),
        ])
    })?;
    Ok(())
}
