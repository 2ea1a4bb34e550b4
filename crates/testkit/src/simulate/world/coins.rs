//! Bitcoin's side of the truth: transactions that spend outputs and make others, on any branch.
//!
//! Every branch keeps the rules of consensus that matter here: an output is spent once, by a transaction behind the
//! one that made it, and a coinbase's not before a hundred blocks are above it. Beyond them anything goes: what was in one
//! branch comes again in another, is replaced by a transaction that spends the same, or by one that is the same
//! but for its id.

use std::collections::{BTreeMap, HashSet};

use coffer_domain::address::{AddressKind, AddressPayload};
use coffer_domain::block::TransactionHash;
use coffer_domain::movement::{Movement, MovementId, Part};
use coffer_domain::output::{OutputId, Spend};
use ruint::aliases::U256;

use super::{Content, STRANGER, World, asset, number_of};
use crate::simulate::random::Random;

/// Written apart from the product's own constant, so that one that is changed there is noticed here.
const MATURITY: u64 = 100;
/// Outputs that anybody may spend from the first block on.
const FIRST_COINS: usize = 40;
const FIRST_UNITS: u64 = 5_000;
const REWARD_UNITS: u64 = 900;
/// So many of the latest transactions may come again, be replaced or be malleated.
const REMEMBERED: usize = 40;

pub(in crate::simulate) struct Transaction {
    pub(in crate::simulate) hash: TransactionHash,
    pub(in crate::simulate) inputs: Vec<OutputId>,
    pub(in crate::simulate) outputs: Vec<(AddressPayload, u64)>,
    pub(in crate::simulate) is_coinbase: bool,
}

#[derive(Clone, Copy)]
struct Coin {
    units: u64,
    is_ours: bool,
    /// The lowest block that may spend it.
    from: u64,
}

/// What can be spent behind a block of a branch, and which transactions the branch has.
#[derive(Default)]
struct Unspent {
    coins: BTreeMap<OutputId, Coin>,
    used: HashSet<usize>,
}

impl Unspent {
    fn take(&mut self, (number, transaction): (usize, &Transaction), height: u64) {
        self.used.insert(number);
        for input in &transaction.inputs {
            self.coins.remove(input);
        }
        for (at, (to, units)) in (0..).zip(&transaction.outputs) {
            let id = OutputId {
                transaction: transaction.hash,
                number: at,
            };
            let wait = if transaction.is_coinbase { MATURITY } else { 0 };
            let coin = Coin {
                units: *units,
                is_ours: number_of(to) != STRANGER,
                from: height + wait,
            };
            self.coins.insert(id, coin);
        }
    }

    fn can_spend(&self, inputs: &[OutputId], height: u64) -> bool {
        let spendable = |id| self.coins.get(id).is_some_and(|coin| coin.from <= height);
        inputs.iter().all(spendable)
    }

    /// Outputs that a block at `height` may spend; ours are taken more often than their share.
    fn pick(&self, height: u64, random: &mut Random) -> Option<OutputId> {
        let ours_only = random.permille(400);
        let fits = |coin: &Coin| coin.from <= height && (coin.is_ours || !ours_only);
        let fitting: Vec<OutputId> = self
            .coins
            .iter()
            .filter(|(_, coin)| fits(coin))
            .map(|(id, _)| *id)
            .collect();
        random.pick(&fitting).copied()
    }
}

impl World {
    /// The transactions of a block, in its order; an EVM chain has none of this sort.
    pub(in crate::simulate) fn transactions_of(
        &self,
        block: &super::Block,
    ) -> impl Iterator<Item = &Transaction> {
        let numbers = block.transactions.iter();
        numbers.filter_map(|number| self.coins.get(*number))
    }

    /// The first block: money that is there.
    pub(super) fn add_first_coins(&mut self, random: &mut Random) -> usize {
        self.coins.push(Transaction {
            hash: TransactionHash(random.bytes()),
            inputs: Vec::new(),
            outputs: vec![(hash_address(STRANGER), FIRST_UNITS); FIRST_COINS],
            is_coinbase: false,
        });
        self.add(None, vec![0], Content::default(), random.next())
    }

    pub(super) fn branch_of_coins(
        &mut self,
        parent: usize,
        count: u64,
        random: &mut Random,
    ) -> usize {
        let mut unspent = self.unspent(parent);
        let mut tip = parent;
        for _ in 0..count {
            let height = self.blocks[tip].height() + 1;
            let mut numbers = vec![self.coinbase(random)];
            unspent.take((numbers[0], &self.coins[numbers[0]]), height);
            for _ in 0..[0, 1, 1, 2, 3][random.index(5)] {
                let Some(number) = self.next_transaction(&unspent, height, random) else {
                    continue;
                };
                unspent.take((number, &self.coins[number]), height);
                numbers.push(number);
            }
            let content = self.content(&numbers);
            tip = self.add(Some(tip), numbers, content, random.next());
        }
        tip
    }

    fn unspent(&self, tip: usize) -> Unspent {
        let mut branch = Vec::new();
        let mut at = Some(tip);
        while let Some(block) = at {
            branch.push(block);
            at = self.blocks[block].parent;
        }
        let mut unspent = Unspent::default();
        for block in branch.into_iter().rev() {
            let block = &self.blocks[block];
            for number in &block.transactions {
                unspent.take((*number, &self.coins[*number]), block.height());
            }
        }
        unspent
    }

    fn coinbase(&mut self, random: &mut Random) -> usize {
        let to = if random.permille(200) {
            self.someones_address(random)
        } else {
            hash_address(STRANGER)
        };
        self.coins.push(Transaction {
            hash: TransactionHash(random.bytes()),
            inputs: Vec::new(),
            outputs: vec![(to, REWARD_UNITS)],
            is_coinbase: true,
        });
        self.coins.len() - 1
    }

    /// One that the branch does not have: again, malleated, in the place of another, or new.
    fn next_transaction(
        &mut self,
        unspent: &Unspent,
        height: u64,
        random: &mut Random,
    ) -> Option<usize> {
        let way = random.below(10);
        if way < 6 {
            let old = self.remembered(unspent, height, random);
            match (way, old) {
                (0..=2, Some(number)) => return Some(number),
                (3, Some(number)) => {
                    let of = &self.coins[number];
                    let (inputs, outputs) = (of.inputs.clone(), of.outputs.clone());
                    return Some(self.made(inputs, outputs, random));
                }
                (_, Some(number)) => {
                    // Whoever spends first on a branch excludes the other from it.
                    let input = self.coins[number].inputs[0];
                    return Some(self.spending(vec![input], unspent, random));
                }
                (_, None) => {}
            }
        }
        let mut inputs = vec![unspent.pick(height, random)?];
        if random.permille(300) {
            inputs.extend(unspent.pick(height, random));
            inputs.sort_unstable();
            inputs.dedup();
        }
        Some(self.spending(inputs, unspent, random))
    }

    /// A transaction of some branch that this one could have, too.
    fn remembered(&self, unspent: &Unspent, height: u64, random: &mut Random) -> Option<usize> {
        let first = self.coins.len().saturating_sub(REMEMBERED);
        let fits = |number: &usize| {
            let of = &self.coins[*number];
            !of.inputs.is_empty()
                && !unspent.used.contains(number)
                && unspent.can_spend(&of.inputs, height)
        };
        let fitting: Vec<usize> = (first..self.coins.len()).filter(fits).collect();
        random.pick(&fitting).copied()
    }

    fn spending(&mut self, inputs: Vec<OutputId>, unspent: &Unspent, random: &mut Random) -> usize {
        let sum: u64 = inputs.iter().map(|id| unspent.coins[id].units).sum();
        let mut left = sum - random.below(10).min(sum);
        let count = random.between(1, 4);
        let mut outputs = Vec::new();
        for at in 1..=count {
            // Dust now and then, and nothing at all.
            let most = if random.permille(150) {
                left.min(30)
            } else {
                left
            };
            let units = if at == count {
                left
            } else {
                random.below(most + 1)
            };
            left -= units;
            let to = if random.permille(350) {
                hash_address(STRANGER)
            } else {
                self.someones_address(random)
            };
            outputs.push((to, units));
        }
        self.made(inputs, outputs, random)
    }

    fn made(
        &mut self,
        inputs: Vec<OutputId>,
        outputs: Vec<(AddressPayload, u64)>,
        random: &mut Random,
    ) -> usize {
        self.coins.push(Transaction {
            hash: TransactionHash(random.bytes()),
            inputs,
            outputs,
            is_coinbase: false,
        });
        self.coins.len() - 1
    }

    /// Of a wallet of ours, once there is one; of either kind.
    fn someones_address(&self, random: &mut Random) -> AddressPayload {
        let number = match self.issued {
            0 => STRANGER,
            issued => random.below(issued),
        };
        if random.permille(500) {
            hash_address(number)
        } else {
            key_address(number)
        }
    }

    fn content(&self, numbers: &[usize]) -> Content {
        let mut content = Content::default();
        for number in numbers {
            let of = &self.coins[*number];
            let spends = of.inputs.iter().map(|output| Spend {
                output: *output,
                by: of.hash,
            });
            content.spends.extend(spends);
            for (at, (to, units)) in (0..).zip(&of.outputs) {
                let part = if of.is_coinbase {
                    Part::Coinbase(at)
                } else {
                    Part::Output(at)
                };
                content
                    .movements
                    .push(movement(of.hash, part, (*to, *units)));
            }
        }
        content
    }

    /// What liars tell: an output that nobody made, and a spend of one that is not spent.
    pub(super) fn false_coins(&self, tip: usize, random: &mut Random) -> Content {
        let hash = TransactionHash(random.bytes());
        let to = self.someones_address(random);
        let units = random.between(1, FIRST_UNITS);
        let unspent = self.unspent(tip);
        let spent = unspent.pick(u64::MAX, random);
        Content {
            movements: vec![movement(hash, Part::Output(0), (to, units))],
            spends: spent
                .map(|output| Spend { output, by: hash })
                .into_iter()
                .collect(),
        }
    }
}

/// The one asset of these chains has a minimum, so that there is dust.
fn movement(
    transaction: TransactionHash,
    part: Part,
    (to, units): (AddressPayload, u64),
) -> Movement {
    Movement {
        id: MovementId { transaction, part },
        asset: asset(1),
        from: None,
        to,
        face_units: U256::from(units),
        gained_units: U256::from(units),
    }
}

fn hash_address(number: u64) -> AddressPayload {
    let mut bytes = [0xcc; 20];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    AddressPayload::try_new(AddressKind::BitcoinP2wpkh, &bytes).expect("20 bytes")
}

fn key_address(number: u64) -> AddressPayload {
    let mut bytes = [0xdd; 32];
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    AddressPayload::try_new(AddressKind::BitcoinP2tr, &bytes).expect("32 bytes")
}
