use axum::Json;
use axum::extract::State;
use coffer_domain::id::NetworkId;
use coffer_nodes::NodeStatus;
use coffer_platform::{NetworkStatus, Scope};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::NetworkView;
use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;
use coffer_domain::time::rfc3339;

/// From this on a node counts as healthy: more of its last answers were good than bad.
const HEALTHY: f64 = 0.5;

#[derive(Serialize, ToSchema)]
#[schema(as = NetworkStatus)]
pub(crate) struct StatusView {
    #[serde(flatten)]
    network: NetworkView,
    /// Null before the first block.
    progress: Option<ProgressView>,
    /// Null while fewer than `quorum.needed` nodes agree.
    head: Option<HeadView>,
    quorum: QuorumView,
    /// As this process sees them; in the order of `settings.nodes`.
    nodes: Vec<NodeView>,
    /// Null before the first block.
    coverage: Option<CoverageView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = NetworkProgress)]
pub(crate) struct ProgressView {
    height: Option<u64>,
    hash: Option<String>,
    /// Blocks up to here are never undone; null until there is one, and after two people lifted it.
    finalized_height: Option<u64>,
    updated_at: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = NetworkHead)]
pub(crate) struct HeadView {
    /// The highest height that enough nodes have reached.
    agreed: u64,
    /// The highest that any node claims.
    highest: u64,
    /// Blocks up to `agreed` that were not taken yet.
    lag: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = NetworkQuorum)]
pub(crate) struct QuorumView {
    needed: u32,
    nodes: usize,
    healthy: usize,
}

#[derive(Serialize, ToSchema)]
#[schema(as = NodeStatus)]
pub(crate) struct NodeView {
    number: u32,
    /// Scheme, host and port alone.
    host: String,
    head: Option<u64>,
    /// From 0 (every answer bad) to 1.
    health: f64,
    latency_ms: Option<f64>,
    last_error: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Coverage)]
pub(crate) struct CoverageView {
    first: u64,
    last: u64,
    blocks: u64,
    /// Every block from first to last was taken, and each names the one before it.
    unbroken: bool,
}

impl From<NodeStatus> for NodeView {
    fn from(node: NodeStatus) -> Self {
        Self {
            number: node.number,
            host: node.host,
            head: node.head.map(|head| head.0),
            health: node.health,
            latency_ms: node.latency_ms,
            last_error: node.last_error,
        }
    }
}

impl From<NetworkStatus> for StatusView {
    fn from(status: NetworkStatus) -> Self {
        let settings = &status.network.settings;
        let next = status
            .progress
            .and_then(|progress| progress.height)
            .map_or(settings.start_height, |height| height.next().0);
        Self {
            quorum: QuorumView {
                needed: settings.quorum,
                nodes: settings.nodes.len(),
                healthy: status
                    .nodes
                    .iter()
                    .filter(|node| node.health > HEALTHY)
                    .count(),
            },
            network: NetworkView::from(&status.network),
            progress: status.progress.map(|progress| ProgressView {
                height: progress.height.map(|height| height.0),
                hash: progress.hash.map(|hash| hash.to_string()),
                finalized_height: progress.finalized_height.map(|height| height.0),
                updated_at: rfc3339(progress.updated_at_ms),
            }),
            head: status.heads.map(|heads| HeadView {
                agreed: heads.agreed.0,
                highest: heads.highest.0,
                lag: heads.agreed.next().0.saturating_sub(next),
            }),
            nodes: status.nodes.into_iter().map(NodeView::from).collect(),
            coverage: status.coverage.map(|coverage| CoverageView {
                first: coverage.first.0,
                last: coverage.last.0,
                blocks: coverage.blocks,
                unbroken: coverage.unbroken,
            }),
        }
    }
}

/// Show a network, its progress and its nodes
///
/// Asks the nodes for their heads.
#[utoipa::path(get, path = "/v1/networks/{id}", tag = "networks", params(("id" = String, Path)),
    responses((status = 200, body = StatusView)))]
pub(crate) async fn show_network(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<NetworkId>,
) -> Result<Json<StatusView>, Problem> {
    Ok(Json(
        api.platform().network_status(&caller, id).await?.into(),
    ))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::NetworksRead, routes!(show_network))
}
