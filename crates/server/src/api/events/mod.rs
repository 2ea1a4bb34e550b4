//! Events: everything that happened, complete and in order, to be pulled or followed.

mod list;
mod stream;

use coffer_platform::EventFilter;
use serde::Deserialize;
use utoipa::IntoParams;

use super::page;
use crate::access::Routes;
use crate::problem::Problem;

/// Types that one query may name.
const TYPES_MAX: usize = 64;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = list::route(routes);
    stream::route(routes)
}

/// Which events are wanted; of a stream, `limit` is that of each read behind it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Begin behind this event: its `sequence`, or a `next_cursor`. Left out or 0: with the first; of a stream: with
    /// the next one to come.
    #[param(example = "4711")]
    cursor: Option<String>,
    /// Types, or all of an object's, parted by commas.
    #[param(example = "deposit.*,wallet.created")]
    types: Option<String>,
    /// Those of one object: its id.
    subject: Option<String>,
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

impl EventQuery {
    fn filter(&self) -> Result<EventFilter, Problem> {
        let names: Vec<&str> = self.types.iter().flat_map(|text| text.split(',')).collect();
        if names.len() > TYPES_MAX {
            return Err(page::invalid("types", format_args!("at most {TYPES_MAX}")));
        }
        let types = names.iter().map(|name| page::parsed("types", name.trim()));
        Ok(EventFilter {
            types: types.collect::<Result<_, _>>()?,
            subject: self.subject.clone(),
        })
    }
}
