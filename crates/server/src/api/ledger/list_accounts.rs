use axum::Json;
use axum::extract::State;
use coffer_platform::Scope;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{AccountView, Scales};
use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::Query;
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AccountQuery {
    asset: Option<String>,
    /// custody, customer, suspense, reversal_due, holding or adjustment.
    kind: Option<String>,
    wallet: Option<String>,
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AccountPage {
    items: Vec<AccountView>,
    next_cursor: Option<String>,
}

/// List the ledger's accounts
///
/// In the order of their ids. An account that was changed outside Coffer refuses its whole page.
#[utoipa::path(get, path = "/v1/ledger/accounts", tag = "ledger", params(AccountQuery),
    responses((status = 200, body = AccountPage)))]
pub(crate) async fn list_ledger_accounts(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<AccountQuery>,
) -> Result<Json<AccountPage>, Problem> {
    let filter = super::filter(
        query.asset.as_deref(),
        query.kind.as_deref(),
        query.wallet.as_deref(),
    )?;
    let limit = page::limit(query.limit)?;
    let after = page::cursor(query.cursor.as_deref())?;
    let found = api
        .platform()
        .ledger_accounts(&caller, &filter, after, limit)
        .await?;
    let scales = Scales::of(&api, &caller).await?;
    Ok(Json(AccountPage {
        items: found
            .items
            .iter()
            .map(|account| scales.account(account))
            .collect(),
        next_cursor: found.next.map(|id| id.to_string()),
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::LedgerRead, routes!(list_ledger_accounts))
}
