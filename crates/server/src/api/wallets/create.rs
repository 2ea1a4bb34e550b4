use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use coffer_domain::address::AddressKinds;
use coffer_domain::id::VaultId;
use coffer_domain::vault::Vault;
use coffer_platform::batches::parse::{Format, Limits, RowRequest, parse};
use coffer_platform::{Assigned, NewWallet, Render, Scope};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::WalletView;
use crate::access::{Api, Caller, Routes};
use crate::api::once::{json_fingerprint, owned_once, rendered, reply};
use crate::api::{page, vaults};
use crate::http::{IdempotencyKey, JsonBody};
use crate::problem::{Code, Problem};

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWalletBody {
    #[schema(example = "customer-4711", max_length = 256)]
    pub(super) external_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(super) metadata: Option<Box<RawValue>>,
    /// Left out: the organization's first vault.
    #[serde(skip_serializing)]
    pub(super) vault_id: Option<String>,
    /// Left out: all five kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["evm", "tron"]))]
    pub(super) chains: Option<Vec<String>>,
}

/// Create a wallet for one customer
///
/// Its addresses come from the vault's pool, derived and checked ahead of need. A customer who has a wallet
/// already gets that one, with status 200 and `"existing": true`.
#[utoipa::path(post, path = "/v1/wallets", tag = "wallets", request_body = NewWalletBody,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = WalletView), (status = 200, description = "The customer had it", body = WalletView)))]
pub(crate) async fn create_wallet(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<NewWalletBody>,
) -> Result<Response, Problem> {
    let row = checked(&body)?;
    let (vault, vaults) = vaults_for(&api, &caller, body.vault_id.as_deref()).await?;
    let new = of_row(vault.id, row);
    let of_new = (
        new.external_id.as_str(),
        &new.label,
        &new.metadata,
        new.kinds.bits(),
    );
    let print = json_fingerprint(&new.vault.to_string(), &of_new);
    let render: Arc<Render<Assigned>> = Arc::new(move |assigned: &Assigned| {
        let status = if assigned.existing {
            StatusCode::OK
        } else {
            StatusCode::CREATED
        };
        rendered(status, &shown(assigned, &vaults, &vault))
    });
    let answer = api
        .platform()
        .assign_wallet(&caller, new, owned_once(key, print, &render))
        .await?;
    reply(answer, render.as_ref())
}

/// The vault meant, and all of the organization's: an existing wallet may lie in another one.
pub(super) async fn vaults_for(
    api: &Api,
    caller: &Caller,
    named: Option<&str>,
) -> Result<(Vault, Vec<Vault>), Problem> {
    let vaults = api.platform().vaults_at(caller.mark(), caller).await?;
    let own = match named {
        Some(text) => {
            let id = page::parsed("vault_id", text)?;
            vaults.iter().find(|vault| vault.id == id)
        }
        None => vaults.first(),
    };
    let vault = match own {
        Some(vault) => vault.clone(),
        // Not there: asked for by itself, it says why.
        None => vaults::named_or_default(api, caller, named).await?,
    };
    Ok((vault, vaults))
}

pub(super) fn of_row(vault: VaultId, row: RowRequest) -> NewWallet {
    NewWallet {
        vault,
        external_id: row.external_id,
        label: row.label,
        metadata: row.metadata,
        kinds: row.kinds.unwrap_or(AddressKinds::ALL),
    }
}

pub(super) fn shown(assigned: &Assigned, vaults: &[Vault], asked: &Vault) -> WalletView {
    let of = assigned.wallet.vault;
    let own = vaults.iter().find(|vault| vault.id == of).unwrap_or(asked);
    WalletView::of(&assigned.wallet, own).existing(assigned.existing)
}

/// The same rules as for a row of a batch, by the same code.
pub(super) fn checked(body: &NewWalletBody) -> Result<RowRequest, Problem> {
    let text = serde_json::to_vec(&[body]).map_err(Problem::internal)?;
    let mut found = None;
    let mut take = |_, row| {
        found = Some(row);
        ControlFlow::Continue(())
    };
    parse(
        &text[..],
        false,
        Format::Json,
        &Limits::default(),
        &mut take,
    )
    .map_err(coffer_platform::Error::from)?;
    match found {
        Some(Ok(row)) => Ok(row),
        Some(Err(fault)) => {
            let problem = Problem::new(Code::Validation, fault.message);
            Err(problem.with("field", fault.column.unwrap_or_default()))
        }
        None => Err(page::invalid("external_id", "is missing")),
    }
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WalletsWrite, routes!(create_wallet))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<RowRequest, Problem> {
        checked(&serde_json::from_str(text).expect("well formed"))
    }

    #[test]
    fn a_body_is_held_to_the_rules_of_a_batchs_row() {
        let row = check(
            r#"{"external_id":" a ","metadata":{"z":1,"a":2},"chains":["evm"],"vault_id":"x"}"#,
        )
        .expect("valid");
        assert_eq!(row.external_id.as_str(), "a");
        assert_eq!(row.metadata.as_deref(), Some(r#"{"a":2,"z":1}"#));
        assert_eq!(
            row.kinds.map(|kinds| kinds.to_string()).as_deref(),
            Some("evm")
        );
        for refused in [
            r#"{"external_id":""}"#,
            r#"{"external_id":"a\u0000b"}"#,
            r#"{"external_id":"a","metadata":[]}"#,
            r#"{"external_id":"a","metadata":{"k":1,"k":2}}"#,
            r#"{"external_id":"a","chains":["doge"]}"#,
        ] {
            let problem = check(refused).expect_err(refused);
            assert_eq!(problem.code(), Code::Validation);
        }
    }
}
