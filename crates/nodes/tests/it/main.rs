//! Against real nodes, alone and behind nodes that lie.

mod agreement;
mod bench;
mod bitcoin;
mod deposits;
mod lies;
mod mempool;
mod transport;
