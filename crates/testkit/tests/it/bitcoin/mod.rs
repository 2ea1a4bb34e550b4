//! Bitcoin deposits on a real node: outputs, rewards, spends, reorganizations, reconciliation, mempools.

mod deposits;
mod drift;
mod freeze;
mod mempool;
mod mempool_kill;
mod mempool_order;
mod oracle;
mod reconcile;
mod site;
