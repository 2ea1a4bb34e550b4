//! Webhooks with real receivers on this host, on both engines.

mod delivery;
mod manage;
mod site;
mod tamper;
mod trouble;
