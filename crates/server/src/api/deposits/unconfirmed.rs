use axum::Json;
use axum::extract::State;
use coffer_platform::{Scope, UnconfirmedFilter};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::DepositView;
use super::list::{DepositPage, RefusedDeposit};
use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::Query;
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UnconfirmedQuery {
    network: Option<String>,
    asset: Option<String>,
    wallet: Option<String>,
    /// detected, included, replaced, double_spent or evicted.
    state: Option<String>,
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// List unconfirmed deposits
///
/// Payments in the nodes' mempools, and what became of those of the last 14 days. Nothing of them is credited; what
/// a block includes goes on as the deposit of the same id. The latest first.
#[utoipa::path(get, path = "/v1/deposits/unconfirmed", tag = "deposits", params(UnconfirmedQuery),
    responses((status = 200, body = DepositPage)))]
pub(crate) async fn list_unconfirmed_deposits(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<UnconfirmedQuery>,
) -> Result<Json<DepositPage>, Problem> {
    let filter = UnconfirmedFilter {
        network: page::filter("network", query.network.as_deref())?,
        asset: page::filter("asset", query.asset.as_deref())?,
        wallet: page::filter("wallet", query.wallet.as_deref())?,
        state: page::filter("state", query.state.as_deref())?,
    };
    let limit = page::limit(query.limit)?;
    let after = page::cursor(query.cursor.as_deref())?;
    let found = api
        .platform()
        .unconfirmed_deposits(&caller, &filter, after, limit)
        .await?;
    Ok(Json(DepositPage {
        items: found.items.iter().map(DepositView::from).collect(),
        next_cursor: found.next.map(|cursor| cursor.to_string()),
        refused: found.refused.iter().map(RefusedDeposit::of).collect(),
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::DepositsRead, routes!(list_unconfirmed_deposits))
}
