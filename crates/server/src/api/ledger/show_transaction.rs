use axum::Json;
use axum::extract::State;
use coffer_domain::id::LedgerTransactionId;
use coffer_platform::Scope;
use utoipa_axum::routes;

use super::{Scales, TransactionView};
use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;

/// Show a transaction of the ledger with its entries
#[utoipa::path(get, path = "/v1/ledger/transactions/{id}", tag = "ledger", params(("id" = String, Path)),
    responses((status = 200, body = TransactionView)))]
pub(crate) async fn show_ledger_transaction(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<LedgerTransactionId>,
) -> Result<Json<TransactionView>, Problem> {
    let transaction = api.platform().ledger_transaction(&caller, id).await?;
    let scales = Scales::of(&api, &caller).await?;
    Ok(Json(scales.transaction(&transaction)))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::LedgerRead, routes!(show_ledger_transaction))
}
