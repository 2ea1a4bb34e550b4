use std::io::{self, Write};

use reqwest::Method;
use serde_json::Value;

use super::Session;
use super::pages::{self, PageQuery};
use crate::args::{LedgerBalancesArgs, LedgerCommand, LedgerFilterArgs};
use crate::client::Resource;
use crate::error::Failure;
use crate::output::{Table, fields, items, member, thousands};

pub(crate) async fn run(session: &Session, command: LedgerCommand) -> Result<(), Failure> {
    match command {
        LedgerCommand::Accounts(args) => {
            let query = PageQuery::new(&["ledger", "accounts"], args.page);
            list(session, query.filtered(filters(&args.filter)), accounts).await
        }
        LedgerCommand::Transactions(page) => {
            let query = PageQuery::new(&["ledger", "transactions"], page);
            list(session, query, transactions).await
        }
        LedgerCommand::Entries { account, page } => {
            let account = Some(account);
            let query = PageQuery::new(&["ledger", "entries"], page);
            list(session, query.filtered([("account", &account)]), entries).await
        }
        LedgerCommand::Balances(args) => balances(session, &args).await,
        LedgerCommand::Statement { account, from, to } => {
            statement(session, &account, (from.as_deref(), to.as_deref())).await
        }
        LedgerCommand::Verify => verify(session).await,
    }
}

fn filters(args: &LedgerFilterArgs) -> [(&'static str, &Option<String>); 3] {
    [
        ("asset", &args.asset),
        ("kind", &args.kind),
        ("wallet", &args.wallet),
    ]
}

async fn list(
    session: &Session,
    query: PageQuery<'_>,
    table: fn(&[Value]) -> String,
) -> Result<(), Failure> {
    pages::print(session, query, table).await?.into_result()
}

/// The amount in the asset's decimals, else in base units.
fn amount(of: &Value) -> String {
    match member(of, "amount") {
        amount if amount.is_empty() => format!("{} units", member(of, "units")),
        amount => amount,
    }
}

fn net(balance: &Value) -> String {
    format!("{} {}", member(balance, "side"), amount(&balance["net"]))
}

fn accounts(rows: &[Value]) -> String {
    let mut table = Table::new(&["ID", "KIND", "WALLET", "ASSET", "ENTRIES", "POSTED"]);
    for row in rows {
        table.row([
            member(row, "id"),
            member(row, "kind"),
            member(row, "wallet_id"),
            member(row, "asset_id"),
            member(row, "version"),
            net(&row["balance"]),
        ]);
    }
    table.render()
}

fn transactions(rows: &[Value]) -> String {
    let mut table = Table::new(&["SEQ", "AT", "ID", "SOURCE", "PHASE", "ENTRIES"]);
    for row in rows {
        let count = row["entries"].as_array().map_or(0, Vec::len);
        table.row([
            member(row, "seq"),
            member(row, "at"),
            member(row, "id"),
            format!(
                "{} {}",
                member(row, "source_kind"),
                member(row, "source_id")
            ),
            member(row, "phase"),
            count.to_string(),
        ]);
    }
    table.render()
}

fn entries(rows: &[Value]) -> String {
    let mut table = Table::new(&["ENTRY", "AT", "SOURCE", "PHASE", "SIDE", "AMOUNT", "POSTED"]);
    for row in rows {
        table.row([
            member(row, "version"),
            member(row, "at"),
            format!(
                "{} {}",
                member(row, "source_kind"),
                member(row, "source_id")
            ),
            member(row, "phase"),
            member(row, "side"),
            amount(row),
            net(&row["balance"]),
        ]);
    }
    table.render()
}

async fn balances(session: &Session, args: &LedgerBalancesArgs) -> Result<(), Failure> {
    let query = filters(&args.filter).into_iter().chain([("at", &args.at)]);
    let query = pages::given(query);
    let path = ["ledger", "balances"];
    let answer = session.client.get(Resource::with(&path, &query)).await?;
    session.out.answer(&answer, || {
        let mut table = Table::new(&[
            "ASSET",
            "KIND",
            "ACCOUNTS",
            "POSTED DEBITS",
            "POSTED CREDITS",
            "PENDING DEBITS",
            "PENDING CREDITS",
        ]);
        for asset in items(&answer) {
            for kind in asset["kinds"].as_array().into_iter().flatten() {
                table.row(sums(member(asset, "asset_id"), member(kind, "kind"), kind));
            }
            let balanced = match asset["balanced"].as_bool() {
                Some(true) => "balanced",
                Some(false) => "NOT BALANCED",
                None => "together",
            };
            table.row(sums(
                member(asset, "asset_id"),
                balanced.to_owned(),
                &asset["total"],
            ));
        }
        table.render()
    })?;
    Ok(())
}

fn sums(asset: String, kind: String, of: &Value) -> [String; 7] {
    [
        asset,
        kind,
        member(of, "accounts"),
        member(of, "posted_debits"),
        member(of, "posted_credits"),
        member(of, "pending_debits"),
        member(of, "pending_credits"),
    ]
}

async fn statement(
    session: &Session,
    account: &str,
    (from, to): (Option<&str>, Option<&str>),
) -> Result<(), Failure> {
    let format = if session.out.is_json() { "json" } else { "csv" };
    let mut query = vec![("format", format)];
    query.extend(from.map(|from| ("from", from)));
    query.extend(to.map(|to| ("to", to)));
    let path = ["ledger", "accounts", account, "statement"];
    let resource = Resource::with(&path, &query);
    if session.out.is_json() {
        let answer = session.client.get(resource).await?;
        session.out.answer(&answer, String::new)?;
        return Ok(());
    }
    let request = session.client.request(Method::GET, resource);
    let mut response = session.client.open(request).await?;
    let mut stdout = io::stdout().lock();
    while let Some(piece) = session.client.next_piece(&mut response).await? {
        stdout.write_all(piece.as_ref())?;
    }
    stdout.flush()?;
    Ok(())
}

async fn verify(session: &Session) -> Result<(), Failure> {
    let report = session
        .client
        .get(Resource::at(&["ledger", "verify"]))
        .await?;
    if report["ok"] == true {
        session.out.answer(&report, || {
            let sound = "every hash, seal and balance follows";
            fields(&[
                ("ledger", format!("sound: {sound}")),
                ("transactions", member(&report, "transactions")),
                ("entries", member(&report, "entries")),
                ("accounts", member(&report, "accounts")),
                ("audit marks", member(&report, "audit_marks")),
                ("end", member(&report, "hash")),
            ])
        })?;
        return Ok(());
    }
    let sound = report["seq"].as_u64().map_or(String::new(), thousands);
    Err(Failure::integrity(
        format!(
            "the ledger is not sound: {} (verified up to transaction {sound})",
            member(&report, "broken")
        ),
        "keep the database and its backups as they are, and find out who could write to it",
    )
    .with("ok", false)
    .with("seq", report["seq"].clone())
    .with("reason", report["broken"].clone()))
}
