//! Bitcoin deposits on a real node: outputs, rewards, spends, reorganizations, reconciliation, mempools.

mod deposits;
mod freeze;
mod mempool;
mod mempool_kill;
mod mempool_order;
mod reconcile;
mod site;
