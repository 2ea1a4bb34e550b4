use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use coffer_platform::batches::parse::RowRequest;
use coffer_platform::{Assigned, MAX_AT_ONCE, Render, Scope};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::WalletView;
use super::create::{NewWalletBody, checked, of_row, shown, vaults_for};
use crate::access::{Api, Caller, Routes};
use crate::api::once::{json_fingerprint, owned_once, rendered, reply};
use crate::api::page;
use crate::http::{IdempotencyKey, JsonBody};
use crate::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWalletsBody {
    /// Left out: the organization's first vault.
    vault_id: Option<String>,
    /// For customers that name none; left out: all five kinds.
    #[schema(example = json!(["evm", "tron"]))]
    chains: Option<Vec<String>>,
    #[schema(min_items = 1, max_items = 1000)]
    wallets: Vec<NewCustomer>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCustomer {
    #[schema(example = "customer-4711", max_length = 256)]
    external_id: String,
    label: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Box<RawValue>>,
    chains: Option<Vec<String>>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct NewWallets {
    created: usize,
    /// Customers who had a wallet, or were named before in this call.
    existing: usize,
    /// One for each customer, in the order of the request.
    data: Vec<WalletView>,
}

/// Create wallets for up to 1,000 customers
///
/// All in one transaction: if one customer cannot be served, the call names it and creates nothing. Addresses come from
/// the vault's pool; a pool that is too small is filled first. A customer who has a wallet already gets that one,
/// with `"existing": true`. For more, or from a file: `POST /v1/batches`.
#[utoipa::path(post, path = "/v1/wallets/bulk", tag = "wallets", request_body = NewWalletsBody,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = NewWallets)))]
pub(crate) async fn create_wallets(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<NewWalletsBody>,
) -> Result<Response, Problem> {
    let rows = rows(body.wallets, body.chains.as_deref())?;
    let (vault, vaults) = vaults_for(&api, &caller, body.vault_id.as_deref()).await?;
    let new: Vec<_> = rows.into_iter().map(|row| of_row(vault.id, row)).collect();
    let of_new: Vec<_> = new
        .iter()
        .map(|new| {
            let bits = new.kinds.bits();
            (new.external_id.as_str(), &new.label, &new.metadata, bits)
        })
        .collect();
    let print = json_fingerprint(&vault.id.to_string(), &of_new);
    let render: Arc<Render<Vec<Assigned>>> = Arc::new(move |all: &Vec<Assigned>| {
        let existing = all.iter().filter(|assigned| assigned.existing).count();
        let view = NewWallets {
            created: all.len() - existing,
            existing,
            data: all.iter().map(|one| shown(one, &vaults, &vault)).collect(),
        };
        rendered(StatusCode::OK, &view)
    });
    let once = owned_once(key, print, &render);
    let answer = api.platform().assign_wallets(&caller, new, once).await?;
    reply(answer, render.as_ref())
}

/// Held to the rules of a batch's rows, one by one; the first that breaks one is named by its place.
fn rows(
    customers: Vec<NewCustomer>,
    chains: Option<&[String]>,
) -> Result<Vec<RowRequest>, Problem> {
    if customers.is_empty() || customers.len() > MAX_AT_ONCE {
        let text = format_args!("give 1 to {MAX_AT_ONCE}; a batch takes more");
        return Err(page::invalid("wallets", text));
    }
    let row = |(place, customer): (usize, NewCustomer)| {
        let body = NewWalletBody {
            external_id: customer.external_id,
            label: customer.label,
            metadata: customer.metadata,
            vault_id: None,
            chains: customer.chains.or_else(|| chains.map(<[_]>::to_vec)),
        };
        checked(&body).map_err(|problem| problem.with("item", place + 1))
    };
    customers.into_iter().enumerate().map(row).collect()
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WalletsWrite, routes!(create_wallets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    fn check(text: &str) -> Result<Vec<RowRequest>, Problem> {
        let body: NewWalletsBody = serde_json::from_str(text).expect("well formed");
        rows(body.wallets, body.chains.as_deref())
    }

    #[test]
    fn chains_of_the_call_hold_for_customers_without_their_own() {
        let rows = check(
            r#"{"chains":["evm"],"wallets":[{"external_id":"a"},{"external_id":"b","chains":["tron"]}]}"#,
        );
        let kinds: Vec<_> = rows
            .expect("valid")
            .iter()
            .map(|row| row.kinds.expect("named").to_string())
            .collect();
        assert_eq!(kinds, ["evm", "tron"]);
    }

    #[test]
    fn a_customer_that_breaks_a_rule_is_named_and_so_is_the_limit() {
        let many = vec![r#"{"external_id":"a"}"#; MAX_AT_ONCE + 1].join(",");
        for refused in [
            r#"{"wallets":[]}"#.to_owned(),
            r#"{"wallets":[{"external_id":"a"},{"external_id":""}]}"#.to_owned(),
            format!(r#"{{"wallets":[{many}]}}"#),
        ] {
            let problem = check(&refused).expect_err("refused");
            assert_eq!(problem.code(), Code::Validation);
        }
    }
}
