//! Networks: what is watched, and by which nodes. Also what a file says of them.

mod apply;

use reqwest::Method;
use serde_json::{Value, json};

use super::Session;
use crate::args::{NetworkAddArgs, NetworkCommand};
use crate::client::Resource;
use crate::error::Failure;
use crate::output::{Table, fields, items, member};

pub(crate) async fn run(session: &Session, command: NetworkCommand) -> Result<(), Failure> {
    match command {
        NetworkCommand::List => {
            let networks = session.client.get(Resource::at(&["networks"])).await?;
            session.out.answer(&networks, || table(items(&networks)))?;
            Ok(())
        }
        NetworkCommand::Show { id } => {
            let network = session.client.get(Resource::at(&["networks", &id])).await?;
            print(session, &network)
        }
        NetworkCommand::Add(args) => add(session, args).await,
        NetworkCommand::Apply { file } => apply::run(session, &file).await,
        NetworkCommand::Pause { id, reason } => {
            let body = json!({ "reason": reason });
            control(session, &id, "pause", Some(&body)).await
        }
        NetworkCommand::Resume { id } => control(session, &id, "resume", None).await,
    }
}

async fn add(session: &Session, args: NetworkAddArgs) -> Result<(), Failure> {
    let nodes: Vec<Value> = args.nodes.iter().map(|url| json!({ "rpc": url })).collect();
    let majority = u32::try_from(nodes.len() / 2 + 1).unwrap_or(u32::MAX);
    let finality = match args.finality_depth {
        Some(blocks) => json!({ "rule": "depth", "blocks": blocks }),
        None => json!({ "rule": "tag" }),
    };
    let mut body = json!({
        "chain": args.chain,
        "name": args.name,
        "nodes": nodes,
        "quorum": args.quorum.unwrap_or(majority),
        "confirmations": args.confirmations,
        "finality": finality,
        "start_height": args.start_height,
    });
    if let Some(genesis) = args.genesis {
        body["genesis"] = genesis.into();
    }
    if let Some(interval) = args.poll_interval_ms {
        body["poll_interval_ms"] = interval.into();
    }
    let path = Resource::at(&["networks"]);
    let network = session.client.send(Method::POST, path, Some(&body)).await?;
    print(session, &network)
}

async fn control(
    session: &Session,
    id: &str,
    verb: &str,
    body: Option<&Value>,
) -> Result<(), Failure> {
    let path = ["networks", id, verb];
    let network = session
        .client
        .send(Method::POST, Resource::at(&path), body)
        .await?;
    print(session, &network)?;
    if network["state"] == "frozen" {
        session
            .out
            .note("It runs again once somebody with another API key resumes it as well.");
    }
    Ok(())
}

fn table(networks: &[Value]) -> String {
    let mut table = Table::new(&["ID", "CHAIN", "NAME", "STATE", "NODES", "QUORUM", "REASON"]);
    for network in networks {
        let settings = &network["settings"];
        let nodes = settings["nodes"].as_array().map_or(0, Vec::len);
        table.row([
            member(network, "id"),
            member(network, "chain"),
            member(network, "name"),
            member(network, "state"),
            nodes.to_string(),
            member(settings, "quorum"),
            member(network, "reason"),
        ]);
    }
    table.render()
}

fn print(session: &Session, network: &Value) -> Result<(), Failure> {
    session.out.answer(network, || describe(network))?;
    Ok(())
}

fn describe(network: &Value) -> String {
    let settings = &network["settings"];
    let finality = match settings["finality"]["blocks"].as_u64() {
        Some(blocks) => format!("{blocks} blocks"),
        None => "the nodes' tag".to_owned(),
    };
    let (progress, head) = (&network["progress"], &network["head"]);
    let mut text = fields(&[
        ("id", member(network, "id")),
        ("chain", member(network, "chain")),
        ("name", member(network, "name")),
        ("state", member(network, "state")),
        ("reason", member(network, "reason")),
        ("resume asked by", member(network, "resume_by")),
        ("quorum", member(settings, "quorum")),
        ("confirmations", member(settings, "confirmations")),
        ("finality", finality),
        ("start height", member(settings, "start_height")),
        ("genesis", member(settings, "genesis")),
        ("height", member(progress, "height")),
        ("block", member(progress, "hash")),
        ("final height", member(progress, "finalized_height")),
        ("agreed head", member(head, "agreed")),
        ("lag", member(head, "lag")),
        ("coverage", coverage(&network["coverage"])),
    ]);
    let seen = network["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    if !seen.is_empty() {
        let mut table = Table::new(&["NODE", "HOST", "HEAD", "HEALTH", "MS", "LAST ERROR"]);
        for node in seen {
            table.row([
                member(node, "number"),
                member(node, "host"),
                member(node, "head"),
                decimals(&node["health"], 2),
                decimals(&node["latency_ms"], 0),
                member(node, "last_error"),
            ]);
        }
        text.push('\n');
        text.push_str(&table.render());
    }
    text
}

fn decimals(value: &Value, places: usize) -> String {
    value
        .as_f64()
        .map_or_else(String::new, |number| format!("{number:.places$}"))
}

fn coverage(coverage: &Value) -> String {
    if coverage.is_null() {
        return String::new();
    }
    let whole = if coverage["unbroken"] == true {
        "unbroken"
    } else {
        "BROKEN: rescan it"
    };
    let (first, last) = (member(coverage, "first"), member(coverage, "last"));
    format!("{first} to {last}, {whole}")
}
