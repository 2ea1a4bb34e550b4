//! The judge of the record of outputs: computes it from the transactions of the chain alone, and compares.

use std::collections::BTreeMap;

use coffer_domain::address::AddressPayload;
use coffer_domain::block::{BlockHeight, BlockRef};
use coffer_domain::id::{AssetId, WalletId};
use coffer_domain::ledger::{AccountKind, Side};
use coffer_domain::output::{Output, OutputId, Spent};
use ruint::aliases::U256;

use super::check::ensure;
use super::world;
use super::{Halt, Run};

/// Blocks between a reward and the first block that may spend it.
const MATURITY: u64 = 100;

/// What the chain says of an output of ours.
struct Truth {
    to: AddressPayload,
    wallet: WalletId,
    units: u64,
    made: BlockRef,
    is_coinbase: bool,
    spent: Option<Spent>,
}

impl Run {
    pub(super) fn check_outputs(&self) -> Result<(), Halt> {
        let truth = self.true_outputs()?;
        let count = self.store.outputs.len();
        ensure!(
            count == truth.len(),
            "{count} outputs on record, the chain has {} of ours",
            truth.len()
        );
        let tip = self.store.tip();
        for (id, truth) in &truth {
            let Some(output) = self.store.outputs.get(id) else {
                return Err(Halt::Wrong(format!("output {id} is not on record")));
            };
            check_output(output, truth)?;
            check_maturity(output, tip)?;
        }
        self.check_worth()
    }

    /// Every output of our blocks that pays an address of ours, and what spends it in them.
    fn true_outputs(&self) -> Result<BTreeMap<OutputId, Truth>, Halt> {
        let mut truth: BTreeMap<OutputId, Truth> = BTreeMap::new();
        for stored in self.store.blocks.values() {
            let made = stored.block;
            let Some(block) = self.world.block(&made.hash) else {
                return Err(Halt::Wrong(format!("{made} is nobody's block")));
            };
            for transaction in self.world.transactions_of(block) {
                let by = transaction.hash;
                for input in &transaction.inputs {
                    if let Some(of) = truth.get_mut(input) {
                        ensure!(of.spent.is_none(), "the chain spends {input} twice");
                        of.spent = Some(Spent { by, block: made });
                    }
                }
                for (number, (to, units)) in (0..).zip(&transaction.outputs) {
                    let whose = world::number_of(to);
                    if whose < self.world.issued {
                        let id = OutputId {
                            transaction: by,
                            number,
                        };
                        let of = Truth {
                            to: *to,
                            wallet: world::wallet(whose),
                            units: *units,
                            made,
                            is_coinbase: transaction.is_coinbase,
                            spent: None,
                        };
                        truth.insert(id, of);
                    }
                }
            }
        }
        Ok(truth)
    }

    /// All outputs that ever came, spent or not, are what the ledger has in custody: nothing leaves by us.
    fn check_worth(&self) -> Result<(), Halt> {
        let mut came: BTreeMap<(AssetId, WalletId), U256> = BTreeMap::new();
        for output in self.store.outputs.values() {
            *came.entry((output.asset, output.wallet)).or_default() += output.units;
        }
        for ((asset, wallet), units) in came {
            let custody = self.balance(asset, wallet, AccountKind::Custody);
            let ledger = custody.position().on(Side::Debit);
            ensure!(
                ledger == units,
                "{wallet} has outputs of {units}, the ledger says {ledger}"
            );
        }
        Ok(())
    }
}

fn check_output(output: &Output, truth: &Truth) -> Result<(), Halt> {
    let id = output.id;
    ensure!(
        output.block == truth.made,
        "output {id} is of {}, not of {}",
        output.block,
        truth.made
    );
    ensure!(
        output.spent == truth.spent,
        "output {id} is spent by {:?} on record, by {:?} on the chain",
        output.spent,
        truth.spent
    );
    let same = output.address == truth.to
        && output.wallet == truth.wallet
        && output.units == U256::from(truth.units)
        && output.is_coinbase == truth.is_coinbase;
    ensure!(same, "output {id} is not the chain's: {output:?}");
    Ok(())
}

/// Whether the product calls it spendable when the chain does, now and when it was spent.
fn check_maturity(output: &Output, tip: Option<BlockRef>) -> Result<(), Halt> {
    let id = output.id;
    let wait = if output.is_coinbase { MATURITY } else { 1 };
    let from = output.block.height.0 + wait;
    if let Some(tip) = tip {
        let spendable = output.spent.is_none() && tip.height.0 + 1 >= from;
        ensure!(
            output.is_spendable_at(tip.height) == spendable,
            "output {id} at {tip}: whether it can be spent is {spendable}"
        );
    }
    if let Some(spent) = output.spent {
        let before = Output {
            spent: None,
            ..*output
        };
        // In the block that made it, too, unless it is a reward.
        let head = BlockHeight(spent.block.height.0.saturating_sub(1)).max(output.block.height);
        ensure!(
            before.is_spendable_at(head),
            "output {id} was spent at {} and is called unspendable there",
            spent.block
        );
    }
    Ok(())
}
