//! Batches of wallets: from an uploaded file to sealed, audited addresses.
//!
//! The way of the data: `upload` reads the file row by row (`parse`) and stages it in chunks (`rows`);
//! `accept` makes the batch in one transaction, with a contiguous range of indexes; `work` leases chunks,
//! derives, verifies, seals and commits each in one transaction; `results` puts rows and wallets together
//! again, in the file's order; `control` pauses, resumes and cancels.
//!
//! Guarantees: row k has index base + k whoever works on it and however often, so a chunk run again gives
//! the same wallets; a chunk's wallets, outcome, counters and audit record commit together; a worker whose
//! lease was taken over cannot commit. Memory does not grow with the file, but for 24 bytes a row while it is read.

mod accept;
mod control;
pub mod neutralise;
mod outcome;
pub mod parse;
mod results;
mod rows;
mod upload;
mod work;

pub use control::{BatchPage, Control};
pub use results::{ResultRow, ResultsReader, RowStatus};
pub use upload::{Upload, UploadStream};
pub(crate) use work::Worked;
