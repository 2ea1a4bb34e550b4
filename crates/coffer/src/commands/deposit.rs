use reqwest::Method;
use serde_json::{Value, json};

use super::Session;
use super::pages::{self, PageQuery};
use super::wallet::IDEMPOTENCY_KEY;
use crate::args::{DepositCommand, DepositDecisionArgs, DepositListArgs, UnconfirmedListArgs};
use crate::client::Resource;
use crate::error::Failure;
use crate::output::{Table, fields, member};

pub(crate) async fn run(session: &Session, command: DepositCommand) -> Result<(), Failure> {
    match command {
        DepositCommand::List(args) => list(session, args).await,
        DepositCommand::Unconfirmed(args) => list_unconfirmed(session, args).await,
        DepositCommand::Show { id } => {
            let deposit = session.client.get(Resource::at(&["deposits", &id])).await?;
            print(session, &deposit)
        }
        DepositCommand::Release(args) => decide(session, args, "release").await,
        DepositCommand::Reject(args) => decide(session, args, "reject").await,
    }
}

async fn list(session: &Session, args: DepositListArgs) -> Result<(), Failure> {
    let filters = [
        ("network", &args.network),
        ("asset", &args.asset),
        ("wallet", &args.wallet),
        ("state", &args.state),
    ];
    let query = PageQuery::new(&["deposits"], args.page).filtered(filters);
    pages::print(session, query, table).await?.into_result()
}

async fn list_unconfirmed(session: &Session, args: UnconfirmedListArgs) -> Result<(), Failure> {
    let filters = [
        ("network", &args.network),
        ("asset", &args.asset),
        ("wallet", &args.wallet),
        ("state", &args.state),
    ];
    let query = PageQuery::new(&["deposits", "unconfirmed"], args.page).filtered(filters);
    pages::print(session, query, unconfirmed_table)
        .await?
        .into_result()
}

fn unconfirmed_table(payments: &[Value]) -> String {
    let mut table = Table::new(&[
        "ID",
        "STATE",
        "AMOUNT",
        "ASSET",
        "CUSTOMER",
        "TRANSACTION",
        "REPLACED BY",
        "SEEN",
    ]);
    for payment in payments {
        table.row([
            member(payment, "id"),
            member(payment, "state"),
            member(payment, "amount"),
            member(payment, "symbol"),
            member(payment, "external_id"),
            member(payment, "transaction"),
            member(payment, "replaced_by"),
            member(payment, "detected_at"),
        ]);
    }
    table.render()
}

fn table(deposits: &[Value]) -> String {
    let mut table = Table::new(&[
        "ID",
        "STATE",
        "AMOUNT",
        "ASSET",
        "CUSTOMER",
        "BLOCK",
        "CONFIRMATIONS",
        "DETECTED",
    ]);
    for deposit in deposits {
        table.row([
            member(deposit, "id"),
            member(deposit, "state"),
            member(deposit, "amount"),
            member(deposit, "symbol"),
            member(deposit, "external_id"),
            member(&deposit["block"], "height"),
            member(deposit, "confirmations"),
            member(deposit, "detected_at"),
        ]);
    }
    table.render()
}

async fn decide(session: &Session, args: DepositDecisionArgs, verb: &str) -> Result<(), Failure> {
    let path = ["deposits", args.id.as_str(), verb];
    let mut request = session
        .client
        .request(Method::POST, Resource::at(&path))
        .json(&json!({ "reason": args.reason }));
    if let Some(key) = &args.idempotency_key {
        request = request.header(IDEMPOTENCY_KEY, key);
    }
    let deposit = session.client.call(request).await?;
    print(session, &deposit)
}

fn print(session: &Session, deposit: &Value) -> Result<(), Failure> {
    session.out.answer(deposit, || {
        fields(&[
            ("id", member(deposit, "id")),
            ("state", member(deposit, "state")),
            ("reason", member(deposit, "reason")),
            ("amount", member(deposit, "amount")),
            ("asset", member(deposit, "asset")),
            ("customer", member(deposit, "external_id")),
            ("wallet", member(deposit, "wallet_id")),
            ("address", member(deposit, "address")),
            ("from", member(deposit, "from")),
            ("transaction", member(deposit, "transaction")),
            ("part", member(deposit, "part")),
            ("block", block(&deposit["block"])),
            ("replaced by", member(deposit, "replaced_by")),
            ("replaced in", block(&deposit["replaced_in"])),
            ("confirmations", member(deposit, "confirmations")),
            ("inclusion", member(deposit, "inclusion")),
            ("detected", member(deposit, "detected_at")),
            ("changed", member(deposit, "changed_at")),
        ])
    })?;
    Ok(())
}

/// Height and hash; nothing where there is no block.
fn block(block: &Value) -> String {
    if block.is_null() {
        return String::new();
    }
    format!("{} {}", block["height"], member(block, "hash"))
}
