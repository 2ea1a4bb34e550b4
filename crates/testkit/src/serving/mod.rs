//! A real `coffer serve` with its real signer, as processes: made, started, killed, asked over HTTP.
//!
//! A [`Template`] is what one `coffer init` made; each run gets a [`Site`], its copy, so that the same upload
//! has the same indexes, ids and addresses in every run.

mod api;
mod process;
mod site;

pub use api::{Api, ApiError};
pub use process::{Died, Server, send, signer_of};
pub use site::{Programs, Site, Template};
