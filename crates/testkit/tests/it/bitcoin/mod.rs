//! Bitcoin deposits on a real node: outputs, rewards, spends, reorganizations, reconciliation.

mod deposits;
mod drift;
mod freeze;
mod reconcile;
mod site;
