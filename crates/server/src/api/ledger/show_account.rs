use axum::Json;
use axum::extract::State;
use coffer_domain::id::LedgerAccountId;
use coffer_platform::Scope;
use utoipa_axum::routes;

use super::{AccountView, Scales};
use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;

/// Show an account of the ledger
#[utoipa::path(get, path = "/v1/ledger/accounts/{id}", tag = "ledger", params(("id" = String, Path)),
    responses((status = 200, body = AccountView)))]
pub(crate) async fn show_ledger_account(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<LedgerAccountId>,
) -> Result<Json<AccountView>, Problem> {
    let account = api.platform().ledger_account(&caller, id).await?;
    let scales = Scales::of(&api, &caller).await?;
    Ok(Json(scales.account(&account)))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::LedgerRead, routes!(show_ledger_account))
}
