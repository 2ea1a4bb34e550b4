//! The endpoints. Each file says its path, its scope and its documentation; this one only lists the rooms.

mod service;

use crate::access::Routes;

/// Every endpoint there is, as `(file).route`.
pub(crate) fn routes() -> Routes {
    let routes = Routes::default();
    service::routes(routes)
}
