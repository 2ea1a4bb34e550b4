//! Ledger against chain, on both engines: what matches, what trips the breaker, and what concludes nothing. The
//! chain is in memory, with gains that no movement explains; `anvil.rs` has a real node.

mod anvil;
mod chain;
mod drift;
mod lines;
mod shown;
mod site;
