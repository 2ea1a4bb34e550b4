use axum::extract::State;
use axum::response::Response;
use coffer_domain::wallet::WalletState;
use coffer_platform::Scope;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::api::wallets::WalletView;
use crate::http::{IfNoneMatch, PathId, answer};
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
/// An address of a wallet that is not active is not found: it was never shown. The address is derived anew from the
/// account key before it is answered (Solana's: its stored row is verified). Answers carry an `ETag`; with
/// `If-None-Match` an unchanged one is answered 304.
#[utoipa::path(get, path = "/v1/addresses/{address}", tag = "wallets", params(("address" = String, Path), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, body = AddressOwner), (status = 304)))]
pub(crate) async fn show_address(
    State(api): State<Api>,
    caller: Caller,
    PathId(text): PathId<String>,
    client: IfNoneMatch,
) -> Result<Response, Problem> {
    let read = async {
        let address =
            coffer_chains::parse(&text).map_err(|error| page::invalid("address", error))?;
        let found = api
            .platform()
            .address_owner(&caller, caller.mark(), &address);
        let (wallet, vault) = found.await?;
        if wallet.state != WalletState::Active {
            return Err(Problem::new(
                Code::NotFound,
                "there is no such address in your organization",
            ));
        }
        Ok(AddressOwner {
            address: coffer_chains::encode(&address.payload, vault.bitcoin_network),
            chain: address.payload.kind().name(),
            wallet: WalletView::of(&wallet, &vault),
        })
    };
    answer(&api, &caller, (format!("address {text}"), client), read).await
}

pub(crate) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WalletsRead, routes!(show_address))
}
