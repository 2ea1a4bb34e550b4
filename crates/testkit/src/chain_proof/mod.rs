//! Proofs with real parts: real nodes, three proxies before them, real `coffer serve` processes, and the
//! independent checker at the end and in between.
//!
//! - [`reorgs`]: random reorganizations with deposits dropped, taken in elsewhere and replaced, while `coffer`
//!   is killed at random moments and at failpoints; some deeper than finality, which freeze the network.
//! - [`lies`]: one of the three nodes lies in every way there is while deposits arrive; then two go down.
//! - [`corruption`]: a good database, corrupted in each way that the checker is there for.
//! - [`contracts`]: every contract of `contracts/`, and what may be credited for it.
//!
//! All but the contracts are played on each [`Family`] of chains. What differs is its stage: how nodes start, pay, part
//! and reorganize, and what they can lie about.
//!
//! Everything is drawn from a seed. How far a server has come when it is killed depends on the machine, so two
//! runs of a seed do the same to the chain and not always the same to the server.

mod bitcoin;
pub mod contracts;
pub mod corruption;
pub(crate) mod driver;
mod evm;
mod host;
pub mod lies;
pub mod reorgs;
mod scene;
mod stage;

pub use scene::{CONFIRMATIONS, Ground};
pub use stage::{Family, Fates};
