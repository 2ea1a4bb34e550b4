//! The database's owner edits, swaps, copies, deletes and puts back rows; what Coffer then answers is true
//! or a refusal, never what the owner wrote (fault catalogue F-122 to F-125).
//!
//! Table-driven: columns come from the live schema, so a column without a case fails. Each case runs against
//! the platform that was running all the time and against one started after the tampering. How many cases
//! ran is asserted, so that their number cannot fall unnoticed.

mod kept;
mod observe;
mod others;
mod owner;
mod scene;
mod wallets;
mod whole;

pub(crate) use owner::Owner;
