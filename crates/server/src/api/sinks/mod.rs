//! Sinks: how far events have gone to message brokers.

mod list;
mod rewind;

use coffer_domain::time::rfc3339;
use coffer_platform::SinkState;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Routes;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = list::route(routes);
    rewind::route(routes)
}

#[derive(Serialize, ToSchema)]
#[schema(as = Sink)]
pub(crate) struct SinkView {
    #[schema(example = "erp")]
    name: String,
    /// The broker has confirmed every event up to this number,
    published: u64,
    /// of so many.
    newest: u64,
    /// How often it was set back.
    replays: u64,
    updated_at: String,
    /// Whether some process publishes to it now.
    relaying: bool,
}

impl From<&SinkState> for SinkView {
    fn from(state: &SinkState) -> Self {
        Self {
            name: state.name.clone(),
            published: state.seq,
            newest: state.head,
            replays: state.replays,
            updated_at: rfc3339(state.updated_at_ms),
            relaying: state.relaying,
        }
    }
}
