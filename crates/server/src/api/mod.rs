//! The endpoints, in the rooms of their objects. Each file says its path, its scope and its documentation.

mod addresses;
mod amount;
mod assets;
mod audit;
pub(crate) mod batches;
mod deposits;
mod doctor;
mod drills;
mod events;
mod keys;
mod ledger;
mod networks;
mod once;
pub(crate) mod page;
mod parked;
mod pools;
mod reconciliations;
mod refusal;
mod service;
mod sinks;
mod vaults;
mod wallets;
mod webhooks;

use crate::access::Routes;

/// Every endpoint there is.
pub(crate) fn routes() -> Routes {
    let routes = Routes::default();
    let routes = batches::routes(routes);
    let routes = wallets::routes(routes);
    let routes = addresses::routes(routes);
    let routes = vaults::routes(routes);
    let routes = drills::routes(routes);
    let routes = pools::routes(routes);
    let routes = networks::routes(routes);
    let routes = assets::routes(routes);
    let routes = deposits::routes(routes);
    let routes = audit::routes(routes);
    let routes = events::routes(routes);
    let routes = sinks::routes(routes);
    let routes = parked::routes(routes);
    let routes = keys::routes(routes);
    let routes = reconciliations::routes(routes);
    let routes = ledger::routes(routes);
    let routes = webhooks::routes(routes);
    let routes = doctor::routes(routes);
    service::routes(routes)
}
