//! Assets: the allow-list of what an organization credits.
//!
//! Guarantees: nothing outside the list is ever credited; a token's decimals are what k nodes read from its
//! contract; rows are sealed, versioned and complete, so that an asset that was hidden stops its network
//! instead of leaving deposits unseen. A tripped breaker is closed by a person with a reason.
//! Deliberately not here: deposits (`deposits`), and what trips a breaker (`reconciliation`).

mod add;
mod rows;
mod set;

pub use add::{AddedAsset, NewAsset};
pub use rows::AssetFilter;
pub use set::AssetChange;
