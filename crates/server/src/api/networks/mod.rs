//! Networks: the chains that are watched.

pub(crate) mod reconcile;

use crate::access::Routes;

pub(super) fn routes(routes: Routes) -> Routes {
    reconcile::route(routes)
}
