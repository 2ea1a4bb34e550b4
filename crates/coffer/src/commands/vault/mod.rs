//! Vaults. A drill hands the server's challenge to `coffer-signer` and its proof back; the mnemonic
//! goes into that process only.

mod allow_list;
mod drill;

use reqwest::Method;
use serde_json::{Value, json};

use super::Session;
use crate::args::VaultCommand;
use crate::client::Resource;
use crate::error::Failure;
use crate::output::{Table, fields, items, member};

pub(crate) async fn run(session: &Session, command: VaultCommand) -> Result<(), Failure> {
    match command {
        VaultCommand::List => {
            let vaults = session.client.get(Resource::at(&["vaults"])).await?;
            session.out.answer(&vaults, || table(items(&vaults)))?;
            Ok(())
        }
        VaultCommand::Show { id } => {
            let vault = session.client.get(Resource::at(&["vaults", &id])).await?;
            session.out.answer(&vault, || describe(&vault))?;
            Ok(())
        }
        VaultCommand::Drill(args) => drill::run(session, &args).await,
        VaultCommand::Gate { id, mode, hook_url } => {
            gate(session, &id, &mode, hook_url.as_deref()).await
        }
        VaultCommand::AllowList(command) => allow_list::run(session, command).await,
    }
}

async fn gate(
    session: &Session,
    id: &str,
    mode: &str,
    hook_url: Option<&str>,
) -> Result<(), Failure> {
    let mut body = json!({"mode": mode});
    if let Some(hook_url) = hook_url {
        body["hook_url"] = hook_url.into();
    }
    let path = ["vaults", id, "gate"];
    let vault = session
        .client
        .send(Method::PUT, Resource::at(&path), Some(&body))
        .await?;
    session.out.answer(&vault, || {
        let mut text = describe(&vault);
        let secret = member(&vault, "hook_secret");
        if !secret.is_empty() {
            text.push_str(&format!(
                "hook secret  {secret}\n\nThe hook secret is shown this once: your service checks the signature of each call with it."
            ));
        }
        text
    })?;
    Ok(())
}

fn table(vaults: &[Value]) -> String {
    let mut table = Table::new(&[
        "ID",
        "NAME",
        "TIER",
        "STATE",
        "GATE",
        "NEXT INDEX",
        "DRILLED",
    ]);
    for vault in vaults {
        table.row([
            member(vault, "id"),
            member(vault, "name"),
            member(vault, "tier"),
            member(vault, "state"),
            member(&vault["gate"], "mode"),
            member(vault, "next_index"),
            member(vault, "drilled_at"),
        ]);
    }
    table.render()
}

fn describe(vault: &Value) -> String {
    fields(&[
        ("id", member(vault, "id")),
        ("name", member(vault, "name")),
        ("tier", member(vault, "tier")),
        ("state", member(vault, "state")),
        ("account", member(vault, "account")),
        ("bitcoin", member(vault, "bitcoin_network")),
        ("gate", member(&vault["gate"], "mode")),
        ("hook", member(&vault["gate"], "hook_url")),
        ("next index", member(vault, "next_index")),
        ("drilled", member(vault, "drilled_at")),
        ("created", member(vault, "created_at")),
    ])
}
