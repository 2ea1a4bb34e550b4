//! Use cases and workers: batches first.
//!
//! This room decides and orders; pure types live in `domain`, SQL in `store`, sockets in `server`.

pub mod batches;
