//! A real Bitcoin node (regtest) for tests, and a driver that makes blocks, deposits, replacements and forks.
//!
//! Each [`Bitcoind`] is a process of its own with its folder and two loopback ports; it ends with its value, and
//! also when the test is killed. It has one wallet of its own, whose coins the driver spends. The driver shares no
//! code with the product: transactions are made and blocks are mined by the node.
//!
//! What a test may lean on, measured with Bitcoin Knots 29.4:
//!
//! - It answers about half a second after its start; a block costs about a millisecond.
//! - Proof of work on regtest is two tries on average, but the limit is checked all the same.
//! - `invalidateblock` puts the transactions of the blocks it takes back into the pool again, as far as they are
//!   valid; the next block takes them up unless it is made by [`Bitcoind::mine_only`].
//! - Two nodes that were apart take the chain with more work within a few tenths of a second once they are
//!   connected; of two chains with the same work each keeps its own.
//! - Errors of calls come with HTTP status 200 where the question says `"jsonrpc": "2.0"`.
//! - `scantxoutset` runs once at a time per node; a second one fails with -8.

mod driver;
mod liar;
mod process;

pub use driver::{COIN, Output};
pub use liar::{BitcoinLiar, Lie};
pub use process::{Bitcoind, Options};
