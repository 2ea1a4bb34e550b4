//! Networks: the chains that an organization watches, the nodes it asks, and who may stop and start that.
//!
//! Guarantees: settings are sealed, versioned and named by the audit chain, so that a row with other nodes or
//! a smaller quorum is refused; chain and genesis are learned from k nodes once and never change; a frozen
//! network runs again only when two different API keys said so, and the second of them lifts finality in the
//! same transaction. A node's URL keeps `{secret:NAME}` as it was written: nothing here sees the secret.
//! Deliberately not here: talking to nodes (`nodes`), resolving secrets (`server`), following (`watch`).
//! Cost: a seal and a version check per row read; settings have at most 16 nodes.

mod add;
mod control;
mod rows;
mod set;
mod settings;
mod sources;
mod view;

pub use add::NewNetwork;
pub(crate) use control::checked_reason;
pub(crate) use sources::Sources;
pub use sources::{NoSources, SourceFactory};
pub use view::{Coverage, NetworkStatus, Progress};
