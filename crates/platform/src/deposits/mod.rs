//! Deposits as people see them: listing, showing, and deciding about held ones.
//!
//! Guarantees: a deposit is shown or acted on only when its seal verifies and the ledger knows it in the state
//! that the row claims: the ledger posts each step of a deposit once and forgets none, so an older row that
//! was put back contradicts it. A release needs the confirmations that a credit needs, and neither a release
//! nor a rejection happens without its audit record.
//! Deliberately not here: finding deposits and crediting them (`watch`).

mod decide;
mod fresh;
mod read;
mod told;

pub use decide::DepositDecision;
pub use read::{DepositCursor, DepositFilter, DepositPage, DepositView, Followable};
