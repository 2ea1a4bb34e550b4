use axum::Json;
use axum::extract::State;
use coffer_domain::wallet::WalletState;
use coffer_platform::Scope;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::api::wallets::WalletView;
use crate::http::PathId;
use crate::problem::{Code, Problem};

#[derive(Serialize, ToSchema)]
pub(crate) struct AddressOwner {
    /// In the one form that Coffer writes, whatever letter case was asked for.
    address: String,
    chain: &'static str,
    wallet: WalletView,
}

/// Find the wallet of an address
///
/// An address of a wallet that is not active is not found: it was never shown.
#[utoipa::path(get, path = "/v1/addresses/{address}", tag = "wallets", params(("address" = String, Path)),
    responses((status = 200, body = AddressOwner)))]
pub(crate) async fn show_address(
    State(api): State<Api>,
    caller: Caller,
    PathId(text): PathId<String>,
) -> Result<Json<AddressOwner>, Problem> {
    let address = coffer_chains::parse(&text).map_err(|error| page::invalid("address", error))?;
    let wallet = api.platform().wallet_by_address(&caller, &address).await?;
    if wallet.state != WalletState::Active {
        return Err(Problem::new(
            Code::NotFound,
            "there is no such address in your organization",
        ));
    }
    let vault = api.platform().vault(&caller, wallet.vault).await?;
    Ok(Json(AddressOwner {
        address: coffer_chains::encode(&address.payload, vault.bitcoin_network),
        chain: address.payload.kind().name(),
        wallet: WalletView::of(&wallet, &vault),
    }))
}

pub(crate) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WalletsRead, routes!(show_address))
}
