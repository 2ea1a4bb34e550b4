//! Address pools: addresses derived and checked ahead of need, between two watermarks.

mod set;
mod show;

use coffer_platform::Pool;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Routes;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = show::route(routes);
    set::route(routes)
}

#[derive(Serialize, ToSchema)]
#[schema(as = Pool)]
pub(crate) struct PoolView {
    vault_id: String,
    /// Below it the pool is filled,
    low: u32,
    /// up to here.
    high: u32,
    /// Entries that wait to be taken.
    level: u32,
}

impl From<Pool> for PoolView {
    fn from(pool: Pool) -> Self {
        Self {
            vault_id: pool.vault.to_string(),
            low: pool.low,
            high: pool.high,
            level: pool.level,
        }
    }
}
