//! Following a chain, on both engines: credits, reorganizations, finality, rescans, and an owner of the
//! database who edits what was stored. The chain is in memory here; `anvil.rs` has a real node.

mod anvil;
mod chain;
mod credit;
mod reorg;
mod rescan;
mod site;
mod tamper;
