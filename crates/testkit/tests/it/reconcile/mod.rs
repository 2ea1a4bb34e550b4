//! Ledger against chain, on both engines: what matches, what trips the breaker, and what concludes nothing. The
//! chain is in memory here, with gains that no movement explains.

mod chain;
mod drift;
mod lines;
mod shown;
mod site;
