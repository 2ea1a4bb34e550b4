//! Wallets: one customer's container of addresses.

mod activate;
mod balances;
mod create;
mod create_many;
mod decide;
mod list;
mod prove;
mod reject;
mod show;

use coffer_domain::vault::Vault;
use coffer_domain::wallet::{Wallet, WalletState};
use coffer_platform::Caller;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::access::{Api, Routes};
use crate::problem::Problem;
use coffer_domain::time::rfc3339;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = create::route(routes);
    let routes = create_many::route(routes);
    let routes = list::route(routes);
    let routes = show::route(routes);
    let routes = balances::route(routes);
    let routes = prove::route(routes);
    let routes = activate::route(routes);
    reject::route(routes)
}

#[derive(Serialize, ToSchema)]
#[schema(as = Wallet)]
pub(crate) struct WalletView {
    #[schema(example = "wal_9f2d6c1e8a7b8c5d8000000000012ab3")]
    id: String,
    vault_id: String,
    /// The caller's own name for the customer, trimmed and in NFC.
    external_id: String,
    label: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Box<RawValue>>,
    /// pending, active or rejected.
    state: &'static str,
    /// Why it was rejected, or a note on its activation.
    reason: Option<String>,
    /// The last step of its derivation paths.
    index: u32,
    /// Empty unless the wallet is active.
    addresses: Vec<AddressView>,
    batch_id: Option<String>,
    created_at: String,
    version: u32,
    /// Only when creating: the customer had this wallet before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    existing: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Address)]
pub(crate) struct AddressView {
    #[schema(example = "evm")]
    chain: &'static str,
    #[schema(example = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94")]
    address: String,
    #[schema(example = "m/44'/60'/0'/0/0")]
    path: String,
}

impl WalletView {
    /// `vault` is the wallet's own; its network and account are in the addresses' texts and paths.
    pub(crate) fn of(wallet: &Wallet, vault: &Vault) -> Self {
        let addresses = match wallet.state {
            WalletState::Active => addresses(wallet, vault),
            WalletState::Pending | WalletState::Rejected => Vec::new(),
        };
        // It was a JSON object when it was stored, and its seal holds.
        let metadata = wallet.metadata.clone();
        Self {
            id: wallet.id.to_string(),
            vault_id: wallet.vault.to_string(),
            external_id: wallet.external_id.as_str().to_owned(),
            label: wallet.label.clone(),
            metadata: metadata.and_then(|text| RawValue::from_string(text).ok()),
            state: wallet.state.name(),
            reason: wallet.reason.clone(),
            index: wallet.index,
            addresses,
            batch_id: wallet.batch.map(|batch| batch.to_string()),
            created_at: rfc3339(wallet.created_at_ms),
            version: wallet.version,
            existing: false,
        }
    }

    fn existing(mut self, existing: bool) -> Self {
        self.existing = existing;
        self
    }
}

fn addresses(wallet: &Wallet, vault: &Vault) -> Vec<AddressView> {
    let network = vault.bitcoin_network;
    wallet
        .payloads
        .iter()
        .map(|payload| AddressView {
            chain: payload.kind().name(),
            address: coffer_chains::encode(payload, network),
            path: payload.kind().path(network, vault.account, wallet.index),
        })
        .collect()
}

pub(super) async fn view(
    api: &Api,
    caller: &Caller,
    wallet: &Wallet,
) -> Result<WalletView, Problem> {
    let vault = api.platform().vault(caller, wallet.vault).await?;
    Ok(WalletView::of(wallet, &vault))
}

#[cfg(test)]
mod tests;
