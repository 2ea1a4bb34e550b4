use axum::Json;
use axum::extract::State;
use coffer_domain::block::BlockHeight;
use coffer_domain::id::NetworkId;
use coffer_platform::{CoveredBlock, Scope};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::{PathId, Query};
use crate::problem::Problem;
use coffer_domain::time::rfc3339;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BlocksQuery {
    /// The first height [default: 0].
    from: Option<u64>,
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// One line of the coverage record: a block that was taken, linked to the one before it by `parent`.
#[derive(Serialize, ToSchema)]
#[schema(as = CoveredBlock)]
pub(crate) struct CoveredBlockView {
    height: u64,
    hash: String,
    parent: String,
    /// Unix seconds, by the chain.
    unix_s: u64,
    transactions: u32,
    logs: u32,
    /// Deposits that it includes.
    movements: u32,
    /// The root from its header that its receipts were verified against.
    root: String,
    applied_at: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CoveredBlocks {
    items: Vec<CoveredBlockView>,
    /// The height to go on from.
    next: Option<u64>,
}

impl From<&CoveredBlock> for CoveredBlockView {
    fn from(row: &CoveredBlock) -> Self {
        Self {
            height: row.block.height.0,
            hash: row.block.hash.to_string(),
            parent: row.parent.to_string(),
            unix_s: row.unix_s,
            transactions: row.transactions,
            logs: row.logs,
            movements: row.movements,
            root: format!("0x{}", hex::encode(row.root)),
            applied_at: rfc3339(row.applied_at_ms),
        }
    }
}

/// List the blocks that were taken
///
/// In rising order.
#[utoipa::path(get, path = "/v1/networks/{id}/blocks", tag = "networks",
    params(("id" = String, Path), BlocksQuery), responses((status = 200, body = CoveredBlocks)))]
pub(crate) async fn list_blocks(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<NetworkId>,
    Query(query): Query<BlocksQuery>,
) -> Result<Json<CoveredBlocks>, Problem> {
    let limit = page::limit(query.limit)?;
    let from = BlockHeight(query.from.unwrap_or(0));
    let rows = api
        .platform()
        .covered_blocks(&caller, id, from, limit)
        .await?;
    let full = rows.len() == limit as usize;
    let next = rows.last().map(|row| row.block.height.next().0);
    Ok(Json(CoveredBlocks {
        items: rows.iter().map(CoveredBlockView::from).collect(),
        next: next.filter(|_| full),
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::NetworksRead, routes!(list_blocks))
}
