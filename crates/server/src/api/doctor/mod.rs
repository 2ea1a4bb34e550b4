//! What an operator should know about this installation's safety.

mod show;

pub(super) use show::route as routes;
