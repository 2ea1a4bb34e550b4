use reqwest::Method;
use serde_json::Value;

use super::Session;
use super::pages::{self, PageQuery};
use crate::args::{ReconcileCommand, ReconcileListArgs};
use crate::client::Resource;
use crate::error::{Failure, Kind};
use crate::output::{Table, fields, items, member};

pub(crate) async fn run(session: &Session, command: ReconcileCommand) -> Result<(), Failure> {
    match command {
        ReconcileCommand::Run { network } => run_now(session, &network).await,
        ReconcileCommand::List(args) => list(session, args).await,
        ReconcileCommand::Show { id } => show(session, &id).await,
    }
}

/// Prints the lines; a difference is a failure, so that scripts notice.
async fn run_now(session: &Session, network: &str) -> Result<(), Failure> {
    let path = ["networks", network, "reconcile"];
    let answer = session
        .client
        .send(Method::POST, Resource::at(&path), None)
        .await?;
    let lines = items(&answer);
    session.out.answer(&answer, || table(lines))?;
    let drifting: Vec<_> = lines
        .iter()
        .filter(|line| line["state"] == "drift")
        .map(|line| member(line, "id"))
        .collect();
    if drifting.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Drift,
        format!("ledger and chain differ: {}", drifting.join(", ")),
        "`coffer reconcile show ID` names the addresses; docs/runbook.md says what to do",
    ))
}

async fn list(session: &Session, args: ReconcileListArgs) -> Result<(), Failure> {
    let filters = [
        ("network", &args.network),
        ("asset", &args.asset),
        ("state", &args.state),
    ];
    let query = PageQuery::new(&["reconciliations"], args.page).filtered(filters);
    pages::print(session, query, table).await?.into_result()
}

fn table(lines: &[Value]) -> String {
    let mut table = Table::new(&[
        "ID",
        "ASSET",
        "BLOCK",
        "STATE",
        "LEDGER",
        "CHAIN",
        "ADDRESSES",
        "DIFFERING",
    ]);
    for line in lines {
        let addresses = format!(
            "{} of {}",
            member(line, "addresses"),
            member(line, "addresses_watched")
        );
        table.row([
            member(line, "id"),
            member(line, "symbol"),
            member(&line["block"], "height"),
            member(line, "state"),
            member(&line["ledger"], "amount"),
            member(&line["chain"], "amount"),
            addresses,
            member(line, "differing"),
        ]);
    }
    table.render()
}

async fn show(session: &Session, id: &str) -> Result<(), Failure> {
    let line = session
        .client
        .get(Resource::at(&["reconciliations", id]))
        .await?;
    session.out.answer(&line, || {
        let block = &line["block"];
        let mut text = fields(&[
            ("reconciliation", member(&line, "id")),
            ("network", member(&line, "network_id")),
            ("asset", member(&line, "asset")),
            (
                "block",
                format!("{} {}", block["height"], member(block, "hash")),
            ),
            ("state", member(&line, "state")),
            ("ledger", member(&line["ledger"], "amount")),
            ("chain", member(&line["chain"], "amount")),
            ("addresses", member(&line, "addresses")),
            ("watched", member(&line, "addresses_watched")),
            ("finished", member(&line, "finished_at")),
        ]);
        let differences = line["differences"].as_array();
        if let Some(differences) = differences.filter(|found| !found.is_empty()) {
            let mut table = Table::new(&["WALLET", "ADDRESS", "LEDGER UNITS", "CHAIN UNITS"]);
            for one in differences {
                table.row([
                    member(one, "wallet_id"),
                    member(one, "address"),
                    member(&one["ledger"], "units"),
                    member(&one["chain"], "units"),
                ]);
            }
            text.push('\n');
            text.push_str(&table.render());
        }
        text
    })?;
    Ok(())
}
