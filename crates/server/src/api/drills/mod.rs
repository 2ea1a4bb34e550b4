//! Restore drills: a challenge for `coffer-signer drill`, and its proof. No mnemonic passes through here.

mod finish;
mod start;

use crate::access::Routes;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = start::route(routes);
    finish::route(routes)
}
