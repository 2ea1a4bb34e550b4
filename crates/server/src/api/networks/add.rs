use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use coffer_domain::network::Network;
use coffer_platform::{NewNetwork, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::NetworkView;
use super::settings::{FinalityBody, NodeBody, SettingsBody};
use crate::access::{Api, Caller, Routes};
use crate::api::once::{json_fingerprint, once, rendered, reply};
use crate::api::page;
use crate::http::{IdempotencyKey, JsonBody};
use crate::problem::Problem;

/// The chain and all of [`SettingsBody`]; serde cannot both flatten and refuse unknown members.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNetworkBody {
    /// CAIP-2.
    #[schema(example = "eip155:1")]
    chain: String,
    #[schema(example = "Ethereum", max_length = 100)]
    name: String,
    #[schema(min_items = 1, max_items = 16)]
    nodes: Vec<NodeBody>,
    /// Nodes that must say the same before it is believed: more than half of them.
    quorum: u32,
    /// A deposit is credited with so many confirmations; 1 is its own block.
    #[schema(minimum = 1)]
    confirmations: u32,
    finality: FinalityBody,
    /// The first block that is looked at. Earlier deposits are not seen.
    start_height: u64,
    /// Hash of the genesis block; left out, it is learned from the nodes.
    genesis: Option<String>,
    #[schema(minimum = 50, maximum = 600_000, default = 2000)]
    poll_interval_ms: Option<u32>,
}

/// Add a network
///
/// Its nodes are asked for chain id and genesis block first; nothing is stored unless `quorum` of them agree on the
/// chain that was named. An organization has one network per chain.
#[utoipa::path(post, path = "/v1/networks", tag = "networks", request_body = NewNetworkBody,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = NetworkView)))]
pub(crate) async fn add_network(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<NewNetworkBody>,
) -> Result<Response, Problem> {
    let print = json_fingerprint("networks", &body);
    let new = NewNetwork {
        chain: page::parsed("chain", &body.chain)?,
        settings: SettingsBody::from(body).parsed()?,
    };
    let render = |network: &Network| rendered(StatusCode::CREATED, &NetworkView::from(network));
    let once = once(&key, print, &render);
    let answer = api.platform().add_network(&caller, new, once).await?;
    reply(answer, &render)
}

impl From<NewNetworkBody> for SettingsBody {
    fn from(body: NewNetworkBody) -> Self {
        Self {
            name: body.name,
            nodes: body.nodes,
            quorum: body.quorum,
            confirmations: body.confirmations,
            finality: body.finality,
            start_height: body.start_height,
            genesis: body.genesis,
            poll_interval_ms: body.poll_interval_ms,
        }
    }
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::NetworksWrite, routes!(add_network))
}
