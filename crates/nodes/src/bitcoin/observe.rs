//! What a verified block did: outputs to watched addresses, and every output that it spends.

use coffer_chains::bitcoin::block::Transaction;
use coffer_domain::asset::AssetKind;
use coffer_domain::block::BlockRef;
use coffer_domain::id::AssetId;
use coffer_domain::movement::{Movement, MovementId, ObservedBlock, Part};
use ruint::aliases::U256;

use super::BitcoinSource;
use crate::{NodeError, Scope};

impl BitcoinSource {
    pub(super) async fn observe(
        &self,
        at: BlockRef,
        scope: &Scope<'_>,
    ) -> Result<ObservedBlock, NodeError> {
        let block = self.verified_block(at).await?;
        let mut movements = Vec::new();
        if let Some(asset) = native(scope) {
            for transaction in &block.transactions {
                movements.extend(incoming(transaction, scope, asset));
            }
        }
        let outputs = block.transactions.iter().map(|one| one.outputs.len());
        Ok(ObservedBlock {
            block: at,
            parent: block.parent,
            unix_s: block.unix_s,
            transactions: counted(block.transactions.len()),
            logs: counted(outputs.sum()),
            root: block.merkle_root,
            movements,
            spends: block.spends().collect(),
        })
    }
}

/// The chain's coin, where it is looked for.
pub(super) fn native(scope: &Scope<'_>) -> Option<AssetId> {
    let mut assets = scope.assets.iter();
    let coin = assets.find(|asset| asset.kind == AssetKind::Native);
    coin.map(|asset| asset.id)
}

/// What a transaction brings to watched addresses.
pub(super) fn incoming<'a>(
    transaction: &'a Transaction,
    scope: &'a Scope<'_>,
    asset: AssetId,
) -> impl Iterator<Item = Movement> + 'a {
    let part = if transaction.is_coinbase {
        Part::Coinbase
    } else {
        Part::Output
    };
    let outputs = (0..).zip(&transaction.outputs);
    outputs.filter_map(move |(number, output)| {
        let to = output.to.filter(|to| scope.watched.contains(to))?;
        let units = U256::from(output.sats);
        Some(Movement {
            id: MovementId {
                transaction: transaction.hash,
                part: part(number),
            },
            asset,
            from: None,
            to,
            face_units: units,
            gained_units: units,
        })
    })
}

/// A block's weight has room for less than a million of anything.
fn counted(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
