//! `coffer network apply`: a file that says what there should be, and the calls that bring it about.
//!
//! Running it twice changes nothing the second time. It deletes nothing: a network or an asset that the file does
//! not name stays as it is.

use std::path::Path;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::Session;
use crate::client::Resource;
use crate::error::Failure;
use crate::output::{Table, items, member};

const POLL_INTERVAL_MS: u32 = 2000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    network: Vec<Network>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    chain: String,
    name: String,
    nodes: Vec<Node>,
    quorum: u32,
    confirmations: u32,
    finality: Finality,
    start_height: u64,
    genesis: Option<String>,
    #[serde(default = "poll_interval_ms")]
    poll_interval_ms: u32,
    #[serde(default)]
    asset: Vec<Asset>,
}

fn poll_interval_ms() -> u32 {
    POLL_INTERVAL_MS
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Node {
    rpc: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    websocket: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Finality {
    rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asset {
    name: String,
    symbol: String,
    decimals: u8,
    deposit_minimum: Option<String>,
}

/// One line of what was done.
struct Done {
    object: String,
    id: String,
    action: &'static str,
    details: Vec<String>,
}

pub(crate) async fn run(session: &Session, path: &Path) -> Result<(), Failure> {
    let text =
        std::fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
    let file = parse(&text).map_err(|error| {
        Failure::usage(
            format!("{}: {error}", path.display()),
            "examples/networks.toml has every key there is",
        )
    })?;
    let mut done = Vec::new();
    for network in &file.network {
        let (id, line) = apply_network(session, network).await?;
        done.push(line);
        for asset in &network.asset {
            done.push(apply_asset(session, &id, asset).await?);
        }
    }
    report(session, &done)
}

/// The error tells line and column.
fn parse(text: &str) -> Result<File, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

async fn apply_network(session: &Session, wanted: &Network) -> Result<(String, Done), Failure> {
    let listed = session.client.get(Resource::at(&["networks"])).await?;
    let found = items(&listed)
        .iter()
        .find(|network| network["chain"] == wanted.chain.as_str());
    let (network, action, details) = match found {
        None => {
            let mut body = settings(wanted);
            body["chain"] = wanted.chain.clone().into();
            let path = Resource::at(&["networks"]);
            let added = session.client.send(Method::POST, path, Some(&body)).await?;
            (added, "added", Vec::new())
        }
        Some(found) => {
            let differing = differences(found, &settings(wanted));
            if differing.is_empty() {
                (found.clone(), "unchanged", differing)
            } else {
                let id = member(found, "id");
                let path = ["networks", id.as_str()];
                let body = settings(wanted);
                let client = &session.client;
                let set = client.send(Method::PUT, Resource::at(&path), Some(&body));
                (set.await?, "updated", differing)
            }
        }
    };
    let id = member(&network, "id");
    let line = Done {
        object: wanted.chain.clone(),
        id: id.clone(),
        action,
        details,
    };
    Ok((id, line))
}

fn settings(network: &Network) -> Value {
    let mut body = json!({
        "name": network.name,
        "nodes": network.nodes,
        "quorum": network.quorum,
        "confirmations": network.confirmations,
        "finality": network.finality,
        "start_height": network.start_height,
        "poll_interval_ms": network.poll_interval_ms,
    });
    if let Some(genesis) = &network.genesis {
        body["genesis"] = genesis.to_ascii_lowercase().into();
    }
    body
}

/// Names of the settings that the server has otherwise.
fn differences(found: &Value, wanted: &Value) -> Vec<String> {
    let wanted = wanted.as_object().into_iter().flatten();
    let differs = |(name, value): &(&String, &Value)| match name.as_str() {
        "name" => found["name"] != **value,
        name => found["settings"][name] != **value,
    };
    wanted
        .filter(differs)
        .map(|(name, _)| name.clone())
        .collect()
}

async fn apply_asset(session: &Session, network: &str, wanted: &Asset) -> Result<Done, Failure> {
    let query = [("network", network)];
    let listed = session
        .client
        .get(Resource::with(&["assets"], &query))
        .await?;
    let found = items(&listed)
        .iter()
        .find(|asset| member(asset, "name").eq_ignore_ascii_case(&wanted.name));
    let Some(found) = found else {
        return add_asset(session, network, wanted).await;
    };
    if found["decimals"] != wanted.decimals {
        return Err(Failure::usage(
            format!(
                "{} has {} decimals, and the file says {}",
                wanted.name, found["decimals"], wanted.decimals
            ),
            "an asset keeps its decimals; correct the file",
        ));
    }
    let mut change = json!({});
    let mut details = Vec::new();
    if found["symbol"] != wanted.symbol.as_str() {
        change["symbol"] = wanted.symbol.clone().into();
        details.push("symbol".to_owned());
    }
    let minimum = wanted.deposit_minimum.as_deref().unwrap_or("0");
    if found["deposit_minimum"]["amount"] != plain(minimum) {
        change["deposit_minimum"] = minimum.into();
        details.push("deposit_minimum".to_owned());
    }
    let id = member(found, "id");
    let action = if details.is_empty() {
        "unchanged"
    } else {
        let path = ["assets", id.as_str()];
        let client = &session.client;
        let set = client.send(Method::PUT, Resource::at(&path), Some(&change));
        set.await?;
        "updated"
    };
    Ok(Done {
        object: wanted.name.clone(),
        id,
        action,
        details,
    })
}

async fn add_asset(session: &Session, network: &str, wanted: &Asset) -> Result<Done, Failure> {
    let mut body = json!({
        "name": wanted.name, "symbol": wanted.symbol, "decimals": wanted.decimals,
    });
    if let Some(minimum) = &wanted.deposit_minimum {
        body["deposit_minimum"] = minimum.clone().into();
    }
    let path = ["networks", network, "assets"];
    let client = &session.client;
    let added = client.send(Method::POST, Resource::at(&path), Some(&body));
    let added = added.await?;
    let warnings = added["warnings"].as_array().into_iter().flatten();
    Ok(Done {
        object: wanted.name.clone(),
        id: member(&added, "id"),
        action: "added",
        details: warnings
            .filter_map(|warning| warning.as_str().map(str::to_owned))
            .collect(),
    })
}

/// As the server writes an amount: without zeros at the end of the fraction.
fn plain(amount: &str) -> &str {
    if amount.contains('.') {
        amount.trim_end_matches('0').trim_end_matches('.')
    } else {
        amount
    }
}

fn report(session: &Session, done: &[Done]) -> Result<(), Failure> {
    let data: Vec<Value> = done
        .iter()
        .map(|line| {
            json!({
                "object": line.object, "id": line.id, "action": line.action, "details": line.details,
            })
        })
        .collect();
    session.out.answer(&json!({ "data": data }), || {
        let mut table = Table::new(&["OBJECT", "ACTION", "ID", "DETAILS"]);
        for line in done {
            table.row([
                line.object.clone(),
                line.action.to_owned(),
                line.id.clone(),
                line.details.join("; "),
            ]);
        }
        table.render()
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../../../examples/networks.toml");

    #[test]
    fn the_example_is_read() {
        let file = parse(EXAMPLE).expect("reads");
        assert!(!file.network.is_empty());
        assert!(file.network.iter().all(|network| !network.asset.is_empty()));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let text = EXAMPLE.replacen("quorum =", "qourum =", 1);
        let line = text
            .lines()
            .position(|line| line.starts_with("qourum"))
            .expect("is there");
        let error = parse(&text).expect_err("is refused");
        assert!(error.contains("qourum"), "{error}");
        assert!(error.contains(&format!("line {}", line + 1)), "{error}");
    }

    #[test]
    fn only_what_differs_is_named() {
        let file = parse(EXAMPLE).expect("reads");
        let mut wanted = settings(&file.network[0]);
        wanted.as_object_mut().expect("an object").remove("genesis");
        let mut found = json!({ "name": wanted["name"], "settings": wanted });
        found["settings"]["genesis"] = "0x00".into();
        assert_eq!(differences(&found, &wanted), Vec::<String>::new());
        found["settings"]["quorum"] = 9.into();
        found["name"] = "other".into();
        assert_eq!(differences(&found, &wanted), ["name", "quorum"]);
    }

    #[test]
    fn amounts_are_compared_as_the_server_writes_them() {
        let check = |text, expected| assert_eq!(plain(text), expected);
        check("0.50", "0.5");
        check("10", "10");
        check("10.00", "10");
        check("0", "0");
    }
}
