use axum::Json;
use axum::extract::State;
use coffer_platform::Scope;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{Scales, TransactionView};
use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::Query;
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TransactionQuery {
    /// The place in the chain behind which to begin.
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TransactionPage {
    items: Vec<TransactionView>,
    next_cursor: Option<String>,
}

/// List the ledger's transactions, oldest first
///
/// Each with its entries, verified against its hash, its seal and the hash before it.
#[utoipa::path(get, path = "/v1/ledger/transactions", tag = "ledger", params(TransactionQuery),
    responses((status = 200, body = TransactionPage)))]
pub(crate) async fn list_ledger_transactions(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<TransactionQuery>,
) -> Result<Json<TransactionPage>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = page::cursor(query.cursor.as_deref())?.unwrap_or(0);
    let found = api
        .platform()
        .ledger_transactions(&caller, after, limit)
        .await?;
    let scales = Scales::of(&api, &caller).await?;
    Ok(Json(TransactionPage {
        items: found.items.iter().map(|t| scales.transaction(t)).collect(),
        next_cursor: found.next.map(|seq| seq.to_string()),
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::LedgerRead, routes!(list_ledger_transactions))
}
