//! Networks: chains that are watched, their nodes, and how far they were followed.
//!
//! A node's URL is shown as it was given: `{secret:NAME}` stays a name here and everywhere.

mod add;
mod blocks;
mod list;
mod pause;
mod reconcile;
mod rescan;
mod rescans;
mod resume;
mod set;
mod settings;
mod show;

use coffer_domain::network::Network;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Routes;
use coffer_domain::time::rfc3339;
use settings::SettingsView;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = list::route(routes);
    let routes = add::route(routes);
    let routes = show::route(routes);
    let routes = set::route(routes);
    let routes = pause::route(routes);
    let routes = resume::route(routes);
    let routes = rescan::route(routes);
    let routes = rescans::route(routes);
    let routes = blocks::route(routes);
    reconcile::route(routes)
}

#[derive(Serialize, ToSchema)]
#[schema(as = Network)]
pub(crate) struct NetworkView {
    #[schema(example = "net_3f0c9a5b7d1e8f218b6e9c4d2a1f0e3c")]
    id: String,
    /// CAIP-2.
    #[schema(example = "eip155:1")]
    chain: String,
    name: String,
    /// active, paused, or frozen: a reorganization reached below finality.
    state: &'static str,
    /// Why it is paused or frozen.
    reason: Option<String>,
    /// The API key that asked first to resume a frozen network; another one has to ask as well.
    resume_by: Option<String>,
    settings: SettingsView,
    created_at: String,
    version: u32,
}

impl From<&Network> for NetworkView {
    fn from(network: &Network) -> Self {
        Self {
            id: network.id.to_string(),
            chain: network.chain.to_string(),
            name: network.settings.name.clone(),
            state: network.state.name(),
            reason: network.reason.clone(),
            resume_by: network.resume_by.map(|key| key.to_string()),
            settings: SettingsView::from(&network.settings),
            created_at: rfc3339(network.created_at_ms),
            version: network.version,
        }
    }
}
