use axum::Json;
use axum::extract::State;
use coffer_platform::Scope;
use coffer_platform::ledger::{AssetTotals, KindTotals, Totals};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::moment;
use crate::access::{Api, Caller, Routes};
use crate::http::Query;
use crate::problem::Problem;
use coffer_domain::time::rfc3339;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BalanceQuery {
    /// A moment, RFC 3339; left out: now.
    #[param(example = "2026-11-22T17:00:00Z")]
    at: Option<String>,
    asset: Option<String>,
    /// custody, customer, suspense, reversal_due, holding or adjustment.
    kind: Option<String>,
    wallet: Option<String>,
}

/// Sums of base units, exact, as text.
#[derive(Serialize, ToSchema)]
pub(crate) struct LedgerSums {
    accounts: u64,
    posted_debits: String,
    posted_credits: String,
    pending_debits: String,
    pending_credits: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct KindSums {
    /// custody, customer, suspense, reversal_due, holding or adjustment.
    kind: &'static str,
    #[serde(flatten)]
    sums: LedgerSums,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AssetSumsView {
    asset_id: String,
    kinds: Vec<KindSums>,
    total: LedgerSums,
    /// Whether debits equal credits, posted and pending; null when the filter leaves accounts out.
    balanced: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct LedgerBalances {
    /// The moment that was asked for; null for now.
    at: Option<String>,
    items: Vec<AssetSumsView>,
}

/// The trial balance, now or at any moment before
///
/// Per asset the sums over all accounts that the filter leaves, by kind.
#[utoipa::path(get, path = "/v1/ledger/balances", tag = "ledger", params(BalanceQuery),
    responses((status = 200, body = LedgerBalances)))]
pub(crate) async fn ledger_balances(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<BalanceQuery>,
) -> Result<Json<LedgerBalances>, Problem> {
    let filter = super::filter(
        query.asset.as_deref(),
        query.kind.as_deref(),
        query.wallet.as_deref(),
    )?;
    let at_ms = query
        .at
        .as_deref()
        .map(|text| moment::parsed("at", text))
        .transpose()?;
    let whole = filter.kind.is_none() && filter.wallet.is_none();
    let found = api
        .platform()
        .ledger_balances(&caller, &filter, at_ms)
        .await?;
    Ok(Json(LedgerBalances {
        at: at_ms.map(rfc3339),
        items: found.iter().map(|of| view(of, whole)).collect(),
    }))
}

fn view(of: &AssetTotals, whole: bool) -> AssetSumsView {
    let kind = |of: &KindTotals| KindSums {
        kind: of.kind.name(),
        sums: sums(&of.totals),
    };
    AssetSumsView {
        asset_id: of.asset.to_string(),
        kinds: of.kinds.iter().map(kind).collect(),
        total: sums(&of.totals),
        balanced: whole.then(|| of.totals.is_balanced()),
    }
}

pub(super) fn sums(totals: &Totals) -> LedgerSums {
    LedgerSums {
        accounts: totals.accounts,
        posted_debits: totals.posted_debits.to_string(),
        posted_credits: totals.posted_credits.to_string(),
        pending_debits: totals.pending_debits.to_string(),
        pending_credits: totals.pending_credits.to_string(),
    }
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::LedgerRead, routes!(ledger_balances))
}
