//! t
pub mod audit;
pub mod batches;
mod caller;
mod clock;
mod error;
mod seal;
pub use caller::{Caller, Scope};
pub use clock::{Clock, Entropy, OsEntropy, SystemClock};
pub use error::Error;
