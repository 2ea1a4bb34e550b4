use axum::Json;
use axum::extract::State;
use coffer_domain::id::LedgerAccountId;
use coffer_platform::Scope;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{EntryView, Scales};
use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::Query;
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EntryQuery {
    /// Whose entries.
    account: String,
    /// The account's version behind which to begin.
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct EntryPage {
    items: Vec<EntryView>,
    next_cursor: Option<String>,
}

/// List an account's entries, oldest first
///
/// Each with the balance that the account had with it.
#[utoipa::path(get, path = "/v1/ledger/entries", tag = "ledger", params(EntryQuery),
    responses((status = 200, body = EntryPage)))]
pub(crate) async fn list_ledger_entries(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<EntryQuery>,
) -> Result<Json<EntryPage>, Problem> {
    let id: LedgerAccountId = page::parsed("account", &query.account)?;
    let limit = page::limit(query.limit)?;
    let after = page::cursor(query.cursor.as_deref())?.unwrap_or(0);
    let account = api.platform().ledger_account(&caller, id).await?;
    let found = api
        .platform()
        .ledger_entries(&caller, id, after, limit)
        .await?;
    let scales = Scales::of(&api, &caller).await?;
    let view = |entry| scales.entry(account.key.asset, entry);
    Ok(Json(EntryPage {
        items: found.items.iter().map(view).collect(),
        next_cursor: found.next.map(|version| version.to_string()),
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::LedgerRead, routes!(list_ledger_entries))
}
