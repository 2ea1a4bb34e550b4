use axum::extract::State;
use axum::response::Response;
use coffer_domain::id::WalletId;
use coffer_platform::Scope;
use utoipa_axum::routes;

use super::{WalletView, view};
use crate::access::{Api, Caller, Routes};
use crate::http::{IfNoneMatch, PathId, answer};
use crate::problem::Problem;

/// Show a wallet
///
/// Answers carry an `ETag`; with `If-None-Match` an unchanged wallet is answered 304.
#[utoipa::path(get, path = "/v1/wallets/{id}", tag = "wallets", params(("id" = String, Path), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, body = WalletView), (status = 304)))]
pub(crate) async fn show_wallet(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<WalletId>,
    client: IfNoneMatch,
) -> Result<Response, Problem> {
    let read = async {
        let wallet = api.platform().wallet(&caller, id).await?;
        view(&api, &caller, &wallet).await
    };
    answer(&api, &caller, (id.to_string(), client), read).await
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WalletsRead, routes!(show_wallet))
}
