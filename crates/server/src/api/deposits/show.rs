use axum::Json;
use axum::extract::State;
use coffer_domain::id::DepositId;
use coffer_platform::Scope;
use utoipa_axum::routes;

use super::DepositView;
use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;

/// Show a deposit
///
/// While no block has it, what the nodes' mempools say of it: `unconfirmed`, without a block.
#[utoipa::path(get, path = "/v1/deposits/{id}", tag = "deposits", params(("id" = String, Path)),
    responses((status = 200, body = DepositView)))]
pub(crate) async fn show_deposit(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<DepositId>,
) -> Result<Json<DepositView>, Problem> {
    let view = api.platform().followable(&caller, id).await?;
    Ok(Json(DepositView::from(&view)))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::DepositsRead, routes!(show_deposit))
}
