//! Bitcoin deposits on a real node: outputs, rewards, spends, reorganizations, reconciliation.

mod deposits;
mod drift;
mod freeze;
mod oracle;
mod reconcile;
mod site;
