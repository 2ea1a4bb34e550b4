use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use coffer_domain::external_id::ExternalId;
use coffer_domain::id::VaultId;
use coffer_domain::vault::Vault;
use coffer_platform::{Scope, WalletFilter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{WalletView, view};
use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::Query;
use crate::problem::{Code, Problem};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WalletQuery {
    /// The one wallet of this customer; the other filters still hold.
    external_id: Option<String>,
    /// pending, active or rejected.
    state: Option<String>,
    vault: Option<String>,
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct WalletPage {
    data: Vec<WalletView>,
    next_cursor: Option<String>,
    /// Wallets of this page whose stored rows were changed outside Coffer.
    refused: Vec<RefusedWallet>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RefusedWallet {
    id: String,
    /// Always integrity_violation.
    code: &'static str,
}

/// List wallets, or find one by its external id
///
/// In the order of vault and index.
#[utoipa::path(get, path = "/v1/wallets", tag = "wallets", params(WalletQuery),
    responses((status = 200, body = WalletPage)))]
pub(crate) async fn list_wallets(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<WalletQuery>,
) -> Result<Json<WalletPage>, Problem> {
    let filter = WalletFilter {
        vault: page::filter("vault", query.vault.as_deref())?,
        state: page::filter("state", query.state.as_deref())?,
    };
    let limit = page::limit(query.limit)?;
    let after = page::cursor(query.cursor.as_deref())?;
    if let Some(text) = &query.external_id {
        let external_id =
            ExternalId::try_new(text).map_err(|error| page::invalid("external_id", error))?;
        return of_customer(&api, &caller, &external_id, &filter)
            .await
            .map(Json);
    }
    let found = api
        .platform()
        .wallets(&caller, &filter, after, limit)
        .await?;
    let vaults: HashMap<VaultId, Vault> = api
        .platform()
        .vaults_at(caller.mark(), &caller)
        .await?
        .into_iter()
        .map(|vault| (vault.id, vault))
        .collect();
    let view = |wallet| {
        let of = |vault| WalletView::of(wallet, vault);
        vaults.get(&wallet.vault).map(of)
    };
    let data: Option<Vec<_>> = found.items.iter().map(view).collect();
    let refused = found.refused.iter().map(|refused| RefusedWallet {
        id: refused.id.to_string(),
        code: Code::IntegrityViolation.name(),
    });
    Ok(Json(WalletPage {
        data: data.ok_or_else(|| Problem::internal("a wallet without its vault"))?,
        next_cursor: found.next.map(|id| id.to_string()),
        refused: refused.collect(),
    }))
}

async fn of_customer(
    api: &Api,
    caller: &coffer_platform::Caller,
    external_id: &ExternalId,
    filter: &WalletFilter,
) -> Result<WalletPage, Problem> {
    let found = api
        .platform()
        .wallet_by_external_id(caller, external_id)
        .await?;
    let found = found.filter(|wallet| {
        filter.vault.is_none_or(|vault| wallet.vault == vault)
            && filter.state.is_none_or(|state| wallet.state == state)
    });
    let data = match found {
        Some(wallet) => vec![view(api, caller, &wallet).await?],
        None => Vec::new(),
    };
    Ok(WalletPage {
        data,
        next_cursor: None,
        refused: Vec::new(),
    })
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WalletsRead, routes!(list_wallets))
}
