//! Wallets: reading them verified, assigning one from the pool, deciding at the gate.

mod assign;
mod decide;
mod read;

pub use assign::{Assigned, NewWallet};
pub use read::{Page, Refused, WalletFilter};
