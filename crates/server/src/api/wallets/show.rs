use axum::Json;
use axum::extract::State;
use coffer_domain::id::WalletId;
use coffer_platform::Scope;
use utoipa_axum::routes;

use super::{WalletView, view};
use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;

/// Show a wallet
#[utoipa::path(get, path = "/v1/wallets/{id}", tag = "wallets", params(("id" = String, Path)),
    responses((status = 200, body = WalletView)))]
pub(crate) async fn show_wallet(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<WalletId>,
) -> Result<Json<WalletView>, Problem> {
    let wallet = api.platform().wallet(&caller, id).await?;
    Ok(Json(view(&api, &caller, &wallet).await?))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WalletsRead, routes!(show_wallet))
}
