//! The record of outputs, as the platform keeps it over the product's own state machine.

use std::collections::BTreeMap;

use coffer_domain::block::BlockRef;
use coffer_domain::movement::{ObservedBlock, Part};
use coffer_domain::output::{Output, OutputError, OutputId};

use super::defect::Defect;
use super::follow::owner;
use super::world;
use super::{Halt, Run};

fn contradicted(error: OutputError) -> Halt {
    Halt::Wrong(error.to_string())
}

impl Run {
    /// The rows that taking a block writes: first what it makes for us, then what it spends of ours.
    pub(super) fn outputs_after(
        &self,
        block: &ObservedBlock,
        watched: u64,
    ) -> Result<Vec<Output>, Halt> {
        let made: Vec<Output> = self
            .made(block, watched)
            .filter(|output| !self.store.outputs.contains_key(&output.id))
            .collect();
        let mut written = made.clone();
        // Of those that the block makes itself as well as of older ones.
        let mut fresh: BTreeMap<OutputId, Output> =
            made.into_iter().map(|output| (output.id, output)).collect();
        if self.has(Defect::SpendsFirst) {
            fresh.clear();
        }
        if self.has(Defect::IgnoreSpends) {
            return Ok(written);
        }
        for spend in &block.spends {
            let known = fresh.get(&spend.output).copied();
            let Some(output) = known.or(self.store.outputs.get(&spend.output).copied()) else {
                continue;
            };
            let spent = output.spend(spend.by, block.block).map_err(contradicted)?;
            if spent != output {
                written.push(spent);
            }
        }
        Ok(written)
    }

    fn made(&self, block: &ObservedBlock, watched: u64) -> impl Iterator<Item = Output> {
        block.movements.iter().filter_map(move |movement| {
            let number = movement.id.part.output()?;
            let wallet = owner(movement, watched)?;
            Some(Output {
                network: self.network.id,
                id: OutputId {
                    transaction: movement.id.transaction,
                    number,
                },
                asset: movement.asset,
                wallet: world::wallet(wallet),
                address: movement.to,
                units: movement.gained_units,
                block: block.block,
                is_coinbase: matches!(movement.id.part, Part::Coinbase(_)),
                spent: None,
                version: 1,
            })
        })
    }

    /// The rows that taking a block back writes, and those that it removes.
    pub(super) fn outputs_before(
        &self,
        block: BlockRef,
    ) -> Result<(Vec<Output>, Vec<OutputId>), Halt> {
        let outputs = self.store.outputs.values();
        let spent_there = outputs.clone().filter(|output| {
            let height = output.spent.map(|spent| spent.block.height);
            height == Some(block.height)
        });
        let mut restored = Vec::new();
        if !self.has(Defect::KeepSpends) {
            for output in spent_there {
                restored.push(output.restore(block).map_err(contradicted)?);
            }
        }
        let mut removed = Vec::new();
        if !self.has(Defect::KeepOutputs) {
            let made_there = outputs.filter(|output| output.block == block);
            removed.extend(made_there.map(|output| output.id));
        }
        Ok((restored, removed))
    }
}
