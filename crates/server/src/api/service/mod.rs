//! How this process fares, and its documentation. These endpoints need no key, so they name no object.

mod docs;
mod healthz;
mod metrics;
mod openapi;
mod readyz;

use crate::access::Routes;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = healthz::route(routes);
    let routes = readyz::route(routes);
    let routes = metrics::route(routes);
    let routes = openapi::route(routes);
    docs::route(routes)
}
