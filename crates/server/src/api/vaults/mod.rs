//! Vaults: key trees, their gates and allow-lists.

mod add_allowed;
mod list;
mod list_allowed;
mod remove_allowed;
mod set_gate;
mod show;

use coffer_domain::external_id::ExternalId;
use coffer_domain::vault::Vault;
use coffer_platform::Caller;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::page;
use crate::access::{Api, Routes};
use crate::problem::Problem;
use coffer_domain::time::rfc3339;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = list::route(routes);
    let routes = show::route(routes);
    let routes = set_gate::route(routes);
    let routes = list_allowed::route(routes);
    let routes = add_allowed::route(routes);
    remove_allowed::route(routes)
}

#[derive(Serialize, ToSchema)]
#[schema(as = Vault)]
pub(crate) struct VaultView {
    #[schema(example = "vlt_5a0c0f3b8d7e8f218b6e9c4d2a1f0e3c")]
    id: String,
    name: String,
    /// hot, warm or cold.
    tier: &'static str,
    /// open, or awaiting_drill: it issues no address before its first passed restore drill.
    state: &'static str,
    /// The hardened account number of BIP-44.
    account: u32,
    /// mainnet, testnet, signet or regtest.
    bitcoin_network: &'static str,
    gate: GateView,
    /// The first index that no batch and no pool has taken.
    next_index: u32,
    /// Of the last drill passed.
    drilled_at: Option<String>,
    created_at: String,
    version: u32,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Gate)]
pub(crate) struct GateView {
    /// automatic, allow-list, manual or hook.
    mode: &'static str,
    hook_url: Option<String>,
}

impl From<&Vault> for VaultView {
    fn from(vault: &Vault) -> Self {
        Self {
            id: vault.id.to_string(),
            name: vault.name.clone(),
            tier: vault.tier.name(),
            state: vault.state.name(),
            account: vault.account,
            bitcoin_network: vault.bitcoin_network.name(),
            gate: GateView {
                mode: vault.gate.mode.name(),
                hook_url: vault.gate.hook_url.clone(),
            },
            next_index: vault.next_index,
            drilled_at: vault.drilled_at_ms.map(rfc3339),
            created_at: rfc3339(vault.created_at_ms),
            version: vault.version,
        }
    }
}

/// The vault that a caller names, or the one that it means by naming none.
pub(super) async fn named_or_default(
    api: &Api,
    caller: &Caller,
    named: Option<&str>,
) -> Result<Vault, Problem> {
    let id = match named {
        Some(text) => page::parsed("vault_id", text)?,
        None => api.platform().default_vault(caller).await?,
    };
    Ok(api.platform().vault(caller, id).await?)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExternalIdsBody {
    #[schema(min_items = 1, max_items = 10_000, example = json!(["customer-1", "customer-2"]))]
    external_ids: Vec<String>,
}

impl ExternalIdsBody {
    fn parsed(&self) -> Result<Vec<ExternalId>, Problem> {
        let parse = |(position, text): (usize, &String)| {
            let refused = |error| {
                page::invalid(
                    "external_ids",
                    format_args!("number {}: {error}", position + 1),
                )
            };
            ExternalId::try_new(text).map_err(refused)
        };
        self.external_ids.iter().enumerate().map(parse).collect()
    }
}
