//! Vaults: their account keys, derivation for them, restore drills.

mod accounts;
mod create;
mod derivation;
mod drill;
mod read;

pub(crate) use accounts::AccountKeys;
pub use create::NewVault;
pub(crate) use create::{created, describe, vault_row};
pub(crate) use derivation::{Derivation, Derived};
pub use drill::Drilled;
pub(crate) use drill::{challenge, expected_payloads, judge};
