use std::io::Read;
use std::path::Path;

use reqwest::Method;
use reqwest::header::HeaderName;
use serde_json::{Value, json};

use super::Session;
use super::pages::{self, PageQuery};
use crate::args::{AssignArgs, ListArgs, WalletCommand, WalletShowArgs};
use crate::client::Resource;
use crate::error::{Failure, Kind};
use crate::output::{Table, fields, items, member};

/// The header of every call that may be repeated.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

pub(crate) async fn run(session: &Session, command: WalletCommand) -> Result<(), Failure> {
    match command {
        WalletCommand::Show(args) => show(session, &args).await,
        WalletCommand::List(args) => list(session, args).await,
        WalletCommand::Balances { id } => balances(session, &id).await,
        WalletCommand::Assign(args) => assign(session, args).await,
        WalletCommand::Activate { id, reason } => {
            let body = reason.map_or_else(|| json!({}), |reason| json!({"reason": reason}));
            decide(session, &id, "activate", &body).await
        }
        WalletCommand::Reject { id, reason } => {
            decide(session, &id, "reject", &json!({"reason": reason})).await
        }
    }
}

async fn show(session: &Session, args: &WalletShowArgs) -> Result<(), Failure> {
    let wallet = match (&args.id, &args.external_id) {
        (Some(id), _) => session.client.get(Resource::at(&["wallets", id])).await?,
        (None, external_id) => {
            by_external_id(session, external_id.as_deref().unwrap_or_default()).await?
        }
    };
    print(session, &wallet)
}

async fn by_external_id(session: &Session, external_id: &str) -> Result<Value, Failure> {
    let query = [("external_id", external_id)];
    let page = session
        .client
        .get(Resource::with(&["wallets"], &query))
        .await?;
    let refused = page["refused"].as_array().cloned().unwrap_or_default();
    pages::Rest {
        next_cursor: None,
        refused,
    }
    .into_result()?;
    items(&page).first().cloned().ok_or_else(|| {
        Failure::new(
            Kind::Refused,
            format!("no wallet has the external id {external_id:?}"),
            "`coffer wallet assign` makes one; `coffer wallet list` shows what there is",
        )
    })
}

async fn list(session: &Session, args: ListArgs) -> Result<(), Failure> {
    let filters = [
        ("external_id", &args.external_id),
        ("state", &args.state),
        ("vault", &args.vault),
    ];
    let query = PageQuery::new(&["wallets"], args.page).filtered(filters);
    pages::print(session, query, table).await?.into_result()
}

fn table(wallets: &[Value]) -> String {
    let mut table = Table::new(&["ID", "EXTERNAL ID", "STATE", "INDEX", "ADDRESSES", "LABEL"]);
    for wallet in wallets {
        let addresses = wallet["addresses"].as_array().map_or(0, Vec::len);
        table.row([
            member(wallet, "id"),
            member(wallet, "external_id"),
            member(wallet, "state"),
            wallet["index"].to_string(),
            addresses.to_string(),
            member(wallet, "label"),
        ]);
    }
    table.render()
}

async fn balances(session: &Session, id: &str) -> Result<(), Failure> {
    let path = ["wallets", id, "balances"];
    let answer = session.client.get(Resource::at(&path)).await?;
    session.out.answer(&answer, || {
        let mut table = Table::new(&[
            "ASSET",
            "AVAILABLE",
            "PENDING",
            "HELD",
            "REVERSAL DUE",
            "ON CHAIN",
            "AT BLOCK",
            "SECONDS AGO",
        ]);
        for line in items(&answer) {
            let on_chain = &line["on_chain"];
            let age = on_chain["age_ms"].as_u64();
            table.row([
                member(line, "symbol"),
                member(&line["available"], "amount"),
                member(&line["pending"], "amount"),
                member(&line["held"], "amount"),
                member(&line["reversal_due"], "amount"),
                member(on_chain, "amount"),
                member(&on_chain["block"], "height"),
                age.map_or(String::new(), |ms| (ms / 1000).to_string()),
            ]);
        }
        table.render()
    })?;
    Ok(())
}

/// More go by a batch.
const MAX_CUSTOMERS: usize = 1000;

async fn assign(session: &Session, args: AssignArgs) -> Result<(), Failure> {
    let external_ids = match &args.file {
        Some(file) => ids_of(file)?,
        None => args.external_ids.clone(),
    };
    if let [one] = external_ids.as_slice()
        && args.file.is_none()
    {
        return assign_one(session, &args, one).await;
    }
    if args.label.is_some() || args.metadata.is_some() {
        return Err(Failure::usage(
            "--label and --metadata are for one customer",
            "leave them out, or make a batch of a file that has such columns: `coffer batch create`",
        ));
    }
    assign_many(session, &args, &external_ids).await
}

fn ids_of(file: &Path) -> Result<Vec<String>, Failure> {
    let unreadable = |error| Failure::file("read", file, &error);
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut opened| opened.read_to_string(&mut text))
    }
    .map_err(unreadable)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

async fn assign_many(
    session: &Session,
    args: &AssignArgs,
    external_ids: &[String],
) -> Result<(), Failure> {
    if external_ids.is_empty() || external_ids.len() > MAX_CUSTOMERS {
        return Err(Failure::usage(
            format!(
                "{} customers are named, 1 to {MAX_CUSTOMERS} can be served in one call",
                external_ids.len()
            ),
            "for more, make a batch: `coffer batch create`",
        ));
    }
    let customers: Vec<Value> = external_ids
        .iter()
        .map(|id| json!({ "external_id": id }))
        .collect();
    let body = common(args, json!({ "wallets": customers }));
    let answer = send_assign(session, args, &["wallets", "bulk"], &body).await?;
    session.out.answer(&answer, || table(items(&answer)))?;
    if answer["existing"].as_u64() > Some(0) {
        session.out.note(&format!(
            "{} of these wallets existed already.",
            answer["existing"]
        ));
    }
    Ok(())
}

/// Vault and chains of an assignment.
fn common(args: &AssignArgs, mut body: Value) -> Value {
    if let Some(vault) = &args.vault {
        body["vault_id"] = vault.as_str().into();
    }
    if !args.chains.is_empty() {
        body["chains"] = args.chains.clone().into();
    }
    body
}

async fn send_assign(
    session: &Session,
    args: &AssignArgs,
    path: &[&str],
    body: &Value,
) -> Result<Value, Failure> {
    let mut request = session
        .client
        .request(Method::POST, Resource::at(path))
        .json(body);
    if let Some(key) = &args.idempotency_key {
        request = request.header(IDEMPOTENCY_KEY, key);
    }
    session.client.call(request).await.map_err(|failure| {
        if failure.kind() == Kind::Unreachable {
            return failure
                .advise("when `coffer serve` runs again, repeat this: it gives the same wallet");
        }
        failure
    })
}

async fn assign_one(
    session: &Session,
    args: &AssignArgs,
    external_id: &str,
) -> Result<(), Failure> {
    let mut body = common(args, json!({ "external_id": external_id }));
    if let Some(label) = &args.label {
        body["label"] = label.as_str().into();
    }
    if let Some(metadata) = &args.metadata {
        body["metadata"] = metadata.clone();
    }
    let wallet = send_assign(session, args, &["wallets"], &body).await?;
    print(session, &wallet)?;
    if wallet["existing"] == true {
        session.out.note("This wallet existed already.");
    }
    Ok(())
}

async fn decide(session: &Session, id: &str, verb: &str, body: &Value) -> Result<(), Failure> {
    let path = ["wallets", id, verb];
    let wallet = session
        .client
        .send(Method::POST, Resource::at(&path), Some(body))
        .await?;
    print(session, &wallet)
}

fn print(session: &Session, wallet: &Value) -> Result<(), Failure> {
    session.out.answer(wallet, || describe(wallet))?;
    Ok(())
}

pub(crate) fn describe(wallet: &Value) -> String {
    let mut text = fields(&[
        ("id", member(wallet, "id")),
        ("external id", member(wallet, "external_id")),
        ("label", member(wallet, "label")),
        ("state", member(wallet, "state")),
        ("reason", member(wallet, "reason")),
        ("vault", member(wallet, "vault_id")),
        ("index", wallet["index"].to_string()),
        ("batch", member(wallet, "batch_id")),
        ("metadata", member(wallet, "metadata")),
        ("created", member(wallet, "created_at")),
    ]);
    let addresses = wallet["addresses"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    if addresses.is_empty() {
        text.push_str("\nIts addresses are shown once it is active.\n");
        return text;
    }
    let mut table = Table::new(&["CHAIN", "ADDRESS", "PATH"]);
    for address in addresses {
        table.row(["chain", "address", "path"].map(|name| member(address, name)));
    }
    text.push('\n');
    text.push_str(&table.render());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_that_is_not_active_says_why_there_is_no_address() {
        let wallet = json!({"id": "wal_0", "state": "pending", "addresses": [], "index": 3});
        let text = describe(&wallet);
        assert!(text.contains("index  3"), "{text}");
        assert!(text.contains("once it is active"), "{text}");
    }

    #[test]
    fn a_label_cannot_leave_its_cell() {
        let wallet = json!({"id": "wal_0", "label": "x\n\u{1b}[31mwal_1", "index": 0});
        let text = table(&[wallet]);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
