//! The audit log: one hash chain per organization, to be verified by whoever reads it.

mod head;
mod list;

use crate::access::Routes;

pub(super) use list::AuditRecordView;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = list::route(routes);
    head::route(routes)
}
