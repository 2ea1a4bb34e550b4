//! Our own record of outputs: made, spent and given back in the transaction of their block.

use std::collections::HashMap;

use coffer_domain::asset::Asset;
use coffer_domain::block::{BlockRef, TransactionHash};
use coffer_domain::id::NetworkId;
use coffer_domain::movement::{ObservedBlock, Part};
use coffer_domain::output::{Output, OutputError, OutputId};
use coffer_store::outputs as rows;
use coffer_store::{Sealed, Tx};

use super::verdicts::Owners;
use crate::seal::{Fields, Sealable, refused};
use crate::{Error, Platform};

impl Sealable for Output {
    const TAG: &'static str = "output v1";

    fn fields(&self, fields: &mut Fields) {
        let int = |value| i64::try_from(value).unwrap_or(i64::MAX);
        fields
            .bytes(self.network.as_bytes())
            .bytes(&self.id.transaction.0)
            .int(i64::from(self.id.number))
            .bytes(self.asset.as_bytes())
            .bytes(self.wallet.as_bytes())
            .int(i64::from(self.address.kind().code()))
            .bytes(self.address.bytes())
            .bytes(&self.units.to_be_bytes::<32>())
            .int(int(self.block.height.0))
            .bytes(&self.block.hash.0)
            .int(i64::from(self.is_coinbase))
            .bytes(self.spent.as_ref().map_or(&[][..], |spent| &spent.by.0))
            .opt_int(self.spent.map(|spent| int(spent.block.height.0)))
            .bytes(
                self.spent
                    .as_ref()
                    .map_or(&[][..], |spent| &spent.block.hash.0),
            )
            .int(i64::from(self.version));
    }
}

/// What contradicts the chain or the record is not gone on with.
fn contradicted(error: OutputError) -> Error {
    refused(error.to_string())
}

impl Platform {
    pub(crate) fn open_outputs(&self, sealed: Vec<Sealed<Output>>) -> Result<Vec<Output>, Error> {
        let name = |output: &Output| format!("output {}", output.id);
        sealed
            .into_iter()
            .map(|sealed| self.0.seals.open(sealed, name))
            .collect()
    }

    /// Stores the outputs that a block made for us and marks those of ours that it spends; answers how many those
    /// are. A block that is read again adds what is missing.
    pub(super) async fn record_outputs(
        &self,
        tx: &mut Tx,
        network: NetworkId,
        block: &ObservedBlock,
        (owners, assets): (&Owners, &[Asset]),
    ) -> Result<usize, Error> {
        let made = made(network, block, owners, assets);
        if !made.is_empty() {
            let known = self
                .outputs_of(tx, network, made.iter().map(|one| one.id))
                .await?;
            let sealed: Vec<_> = made
                .into_iter()
                .filter(|output| !known.contains_key(&output.id))
                .map(|output| self.0.seals.seal(output))
                .collect();
            rows::insert_many(tx, &sealed).await?;
        }
        self.mark_spends(tx, network, block).await
    }

    /// Marks what the block spends of ours; answers how many were not marked before.
    pub(super) async fn mark_spends(
        &self,
        tx: &mut Tx,
        network: NetworkId,
        block: &ObservedBlock,
    ) -> Result<usize, Error> {
        let ids = block.spends.iter().map(|spend| spend.output);
        let mut known = self.outputs_of(tx, network, ids).await?;
        let mut marked = 0;
        for spend in &block.spends {
            let Some(output) = known.remove(&spend.output) else {
                continue;
            };
            let spent = output.spend(spend.by, block.block).map_err(contradicted)?;
            if spent != output {
                rows::update(tx, &self.0.seals.seal(spent), output.version).await?;
                marked += 1;
            }
        }
        Ok(marked)
    }

    /// Whether the block spends an output of ours that is not marked so.
    pub(super) async fn has_unmarked_spends(
        &self,
        tx: &mut Tx,
        network: NetworkId,
        block: &ObservedBlock,
    ) -> Result<bool, Error> {
        let ids = block.spends.iter().map(|spend| spend.output);
        let known = self.outputs_of(tx, network, ids).await?;
        Ok(known.values().any(|output| output.spent.is_none()))
    }

    async fn outputs_of(
        &self,
        tx: &mut Tx,
        network: NetworkId,
        ids: impl Iterator<Item = OutputId>,
    ) -> Result<HashMap<OutputId, Output>, Error> {
        let mut transactions: Vec<TransactionHash> = ids.map(|id| id.transaction).collect();
        transactions.sort_unstable();
        transactions.dedup();
        let found = rows::of_transactions(tx, &transactions).await?;
        let outputs = self.open_outputs(found)?.into_iter();
        Ok(outputs
            .filter(|output| output.network == network)
            .map(|output| (output.id, output))
            .collect())
    }

    /// Takes a block back: what it spent is unspent, what it made is gone.
    pub(super) async fn undo_outputs(
        &self,
        tx: &mut Tx,
        network: NetworkId,
        block: BlockRef,
    ) -> Result<(), Error> {
        let spent = rows::spent_at(tx, network, block.height).await?;
        for output in self.open_outputs(spent)? {
            let restored = output.restore(block).map_err(contradicted)?;
            rows::update(tx, &self.0.seals.seal(restored), output.version).await?;
        }
        rows::remove_of_block(tx, network, block).await?;
        Ok(())
    }
}

/// The outputs of a block that pay us, in an asset of the list.
fn made(
    network: NetworkId,
    block: &ObservedBlock,
    owners: &Owners,
    assets: &[Asset],
) -> Vec<Output> {
    let movements = block.movements.iter();
    movements
        .filter_map(|movement| {
            let number = movement.id.part.output()?;
            let wallet = owners.get(&movement.to)?;
            assets.iter().find(|asset| asset.id == movement.asset)?;
            Some(Output {
                network,
                id: OutputId {
                    transaction: movement.id.transaction,
                    number,
                },
                asset: movement.asset,
                wallet: *wallet,
                address: movement.to,
                units: movement.gained_units,
                block: block.block,
                is_coinbase: matches!(movement.id.part, Part::Coinbase(_)),
                spent: None,
                version: 1,
            })
        })
        .collect()
}
