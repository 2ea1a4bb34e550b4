//! Batches of wallets: from an uploaded file to sealed, audited addresses.
//!
//! `parse` reads the upload, `neutralise` makes cells of an export safe to open in a spreadsheet.

pub mod neutralise;
pub mod parse;
