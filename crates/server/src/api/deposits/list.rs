use axum::Json;
use axum::extract::State;
use coffer_domain::id::DepositId;
use coffer_platform::{DepositFilter, Scope};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::DepositView;
use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::Query;
use crate::problem::{Code, Problem};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DepositQuery {
    network: Option<String>,
    asset: Option<String>,
    wallet: Option<String>,
    /// detected, confirmed, finalized, retracted, rejected or held.
    state: Option<String>,
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DepositPage {
    pub(super) items: Vec<DepositView>,
    pub(super) next_cursor: Option<String>,
    /// Deposits of this page whose stored rows were changed outside Coffer.
    pub(super) refused: Vec<RefusedDeposit>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RefusedDeposit {
    id: String,
    /// Always integrity_violation.
    code: &'static str,
}

impl RefusedDeposit {
    pub(super) fn of(id: &DepositId) -> Self {
        Self {
            id: id.to_string(),
            code: Code::IntegrityViolation.name(),
        }
    }
}

/// List deposits
///
/// The latest first.
#[utoipa::path(get, path = "/v1/deposits", tag = "deposits", params(DepositQuery),
    responses((status = 200, body = DepositPage)))]
pub(crate) async fn list_deposits(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<DepositQuery>,
) -> Result<Json<DepositPage>, Problem> {
    let filter = DepositFilter {
        network: page::filter("network", query.network.as_deref())?,
        asset: page::filter("asset", query.asset.as_deref())?,
        wallet: page::filter("wallet", query.wallet.as_deref())?,
        state: page::filter("state", query.state.as_deref())?,
    };
    let limit = page::limit(query.limit)?;
    let after = page::cursor(query.cursor.as_deref())?;
    let found = api
        .platform()
        .deposits(&caller, &filter, after, limit)
        .await?;
    Ok(Json(DepositPage {
        items: found.items.iter().map(DepositView::from).collect(),
        next_cursor: found.next.map(|cursor| cursor.to_string()),
        refused: found.refused.iter().map(RefusedDeposit::of).collect(),
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::DepositsRead, routes!(list_deposits))
}
