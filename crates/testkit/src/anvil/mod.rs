//! A real Ethereum node (anvil 1.7.1) for tests, and a driver that makes blocks, deposits and reorganizations.
//!
//! Each [`Anvil`] is a process of its own on a loopback port; it ends with its value, and also when the test is
//! killed. All calls go through a door that lets nobody ask
//! while a block is made (`front.rs` says why). Blocks come only when asked for ([`Anvil::mine`]), unless [`Options::mining`] says otherwise. The
//! driver shares no code with the product: hashes, call data and transactions are made here or by the node.
//!
//! What a test may lean on, measured with this version:
//!
//! - Header hashes can be recomputed from the fields given, genesis included, and after a reorganization, too.
//!   The state root of *genesis* is that of an empty state, although accounts have money: no proof verifies there.
//!   From block 1 on `eth_getProof` verifies against the header. `parentBeaconBlockRoot` is zero, `withdrawals` empty.
//! - Receipts (`eth_getBlockReceipts`) and traces (`debug_traceBlockByHash` with `callTracer`) are had by block hash;
//!   `eth_call`, `eth_getBalance`, `eth_getCode`, `eth_getStorageAt` and `eth_getProof` take `{"blockHash": …}` (EIP-1898),
//!   also for blocks thousands deep. There is no `debug_getRawHeader`, `debug_getRawReceipts` or `eth_getHeaderByHash`.
//! - A block that was dropped is *unknown* afterwards: block, receipts and its transactions are `null`, logs by its
//!   hash fail with -32000 "unknown block", state and traces with -32001 "Resource not found".
//! - In traces a frame below a reverted one bears no error of its own: it counts only if none above it has `error`.
//!   DELEGATECALL frames repeat the value of the call they stand in and move nothing; SELFDESTRUCT is a frame with the
//!   value it gives away; CREATE and CREATE2 bear the endowment, `to` being the new contract.
//! - Fees of a block's maker appear in no trace, and withdrawals (EIP-4895) cannot be made here.
//! - `anvil_reorg` keeps the head's height and exchanges the blocks below it; empty ones get new hashes, too.
//!   Transactions that were dropped are gone, not pending; those that were pending stay so. A signed transaction may
//!   be given to it, or sent again later: it re-appears with the same hash in another block. Several for one block
//!   stand in the order given. `anvil_rollback` takes the head itself back.
//! - `safe` is 32 and `finalized` 64 below the head, at least 0. `removed` of a log is always false.
//! - Blocks mined in one second share a timestamp, unless [`Options::block_seconds`] is set.
//! - Transactions of one block stand in the order in which they were sent, whatever they pay.
//! - A request body above 2 MB is refused, unless the limit is lifted; here it is.
//! - A block costs about 4 ms, more when thousands are asked for at once.

mod abi;
mod contract;
mod driver;
mod front;
mod process;
mod rpc;

pub use abi::{Arg, keccak256};
pub use contract::{Artifact, Contract, MULTICALL3};
pub use driver::Placed;
pub use process::{Anvil, Mining, Options};
pub(crate) use process::{GUARD, part};
pub use rpc::{Rpc, RpcError, hex_number, number};
