//! Against a real node (anvil), alone and behind nodes that lie.

mod agreement;
mod bench;
mod deposits;
mod lies;
mod transport;
