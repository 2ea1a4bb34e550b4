//! Wallets: reading them verified, assigning one from the pool, deciding at the gate.

mod assign;
mod decide;
mod read;

pub(crate) use assign::Desk;
pub use assign::{Assigned, MAX_AT_ONCE, NewWallet};
pub use read::{Page, Refused, WalletFilter};
