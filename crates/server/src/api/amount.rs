//! Amounts and blocks as the API writes them.

use coffer_domain::asset::decimal_text;
use coffer_domain::block::BlockRef;
use ruint::aliases::U256;
use serde::Serialize;
use utoipa::ToSchema;

/// Exact, as text: a JSON number would be rounded by most readers.
#[derive(Serialize, ToSchema)]
#[schema(as = Amount)]
pub(crate) struct AmountView {
    /// Base units.
    #[schema(example = "1500000")]
    pub(crate) units: String,
    /// The same in the asset's decimals.
    #[schema(example = "1.5")]
    pub(crate) amount: String,
}

impl AmountView {
    pub(crate) fn of(units: U256, decimals: u8) -> Self {
        Self {
            units: units.to_string(),
            amount: decimal_text(units, decimals),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Block)]
pub(crate) struct BlockView {
    pub(crate) height: u64,
    #[schema(example = "0x9b83c12c69edb74f6c8dd5d052765c1adf940e320bd1291696e6fa07829eee71")]
    pub(crate) hash: String,
}

impl From<BlockRef> for BlockView {
    fn from(block: BlockRef) -> Self {
        Self {
            height: block.height.0,
            hash: block.hash.to_string(),
        }
    }
}
