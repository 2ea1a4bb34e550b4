//! From an address back to its wallet.

mod show;

pub(super) use show::route as routes;
