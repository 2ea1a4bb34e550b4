//! What is done to the chain: deposits in long chains of change, and reorganizations that drop, move and replace them.
//!
//! Each purse is one coin that is spent again and again: a transaction pays wallets and gives the rest back to its
//! purse. What follows on a dropped or replaced transaction spends an output that is no more, and goes with it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use bitcoin::{Address, Network, ScriptBuf, Transaction, TxOut, consensus};

use super::coins::{Coin, Keys, output};
use crate::chain_proof::scene::Wallet;
use crate::chain_proof::stage::Fates;
use crate::crash::Chance;

/// Indexes of the vault that may be a wallet's: some go to the pool before.
const INDEXES_MAX: u32 = 600;

/// A third of it is still an amount that the proxies print without an exponent.
const SATS_MIN: u64 = 3_300;

#[derive(Debug, Clone)]
struct Sent {
    transaction: Transaction,
    /// Whose coin it spends; `None`: a customer's, past Coffer.
    purse: Option<usize>,
    before: Option<Coin>,
    after: Option<Coin>,
}

impl Sent {
    fn raw(&self) -> String {
        consensus::encode::serialize_hex(&self.transaction)
    }
}

/// A block that is to be made.
#[derive(Debug, Default)]
pub(super) struct Plan {
    sent: Vec<Sent>,
    /// Whom it rewards; the node's own wallet without.
    pub(super) reward: Option<String>,
}

impl Plan {
    pub(super) fn transactions(&self) -> Vec<String> {
        self.sent.iter().map(Sent::raw).collect()
    }
}

/// Remembers every transaction of the chain, so that it can come again.
pub(super) struct Driver {
    keys: Keys,
    /// The wallets' scripts, both kinds of each.
    wallets: Vec<ScriptBuf>,
    /// The coin of each purse as it is now.
    purses: Vec<Coin>,
    /// By height, what the chain has of ours.
    blocks: BTreeMap<u64, Vec<Sent>>,
    /// Waiting for the next block.
    waiting: Vec<Sent>,
    /// Dropped by a reorganization, and not seen since.
    lost: Vec<Sent>,
    pub(super) fates: Fates,
}

impl Driver {
    pub(super) fn new(keys: Keys, purses: Vec<Coin>) -> Self {
        Self {
            keys,
            wallets: Vec::new(),
            purses,
            blocks: BTreeMap::new(),
            waiting: Vec::new(),
            lost: Vec::new(),
            fates: Fates::default(),
        }
    }

    pub(super) fn set_wallets(&mut self, wallets: &[Wallet]) -> Result<()> {
        self.keys.customers(INDEXES_MAX)?;
        for text in wallets.iter().flat_map(|wallet| &wallet.addresses) {
            let address: Address<_> = text
                .parse()
                .with_context(|| format!("{text} is no address"))?;
            let script = address.assume_checked().script_pubkey();
            ensure!(self.keys.opens(&script), "no key for the wallet at {text}");
            self.wallets.push(script);
        }
        Ok(())
    }

    pub(super) fn purses(&self) -> usize {
        self.purses.len()
    }

    fn somebody(&self, chance: &mut Chance) -> ScriptBuf {
        let place = chance.between(0, self.wallets.len() as u64);
        self.wallets[usize::try_from(place).unwrap_or(0)].clone()
    }

    /// A wallet's address as the node takes it.
    pub(super) fn rewarded(&mut self, chance: &mut Chance) -> Result<String> {
        self.fates.rewards += 1;
        let script = self.somebody(chance);
        Ok(Address::from_script(&script, Network::Regtest)?.to_string())
    }

    /// The script of the first wallet, for lies about it.
    pub(super) fn first(&self) -> ScriptBuf {
        self.wallets.first().cloned().unwrap_or_default()
    }

    /// One to four outputs for wallets, to either kind of address, the same one twice now and then.
    fn deposit(&mut self, chance: &mut Chance, purse: usize) -> Result<Sent> {
        let before = self.purses[purse].clone();
        let mut outputs: Vec<TxOut> = Vec::new();
        for _ in 0..chance.between(1, 5) {
            let to = match outputs.last() {
                Some(last) if chance.between(0, 6) == 0 => last.script_pubkey.clone(),
                _ => self.somebody(chance),
            };
            outputs.push(output(&to, chance.between(SATS_MIN, 5_000_000)));
        }
        let paid: u64 = outputs.iter().map(|output| output.value.to_sat()).sum();
        let fee = chance.between(1_000, 4_000);
        let left = before.output.value.to_sat().checked_sub(paid + fee);
        let left = left.context("the purse is empty")?;
        // Change may stand anywhere among the outputs.
        let place = usize::try_from(chance.between(0, outputs.len() as u64 + 1))?;
        outputs.insert(place, output(&before.output.script_pubkey, left));
        let transaction = self.keys.pay(std::slice::from_ref(&before), outputs)?;
        Ok(Sent {
            after: Some(Coin::of(&transaction, place)),
            before: Some(before),
            purse: Some(purse),
            transaction,
        })
    }

    /// It counts from now on: its change is what the purse holds.
    fn take(&mut self, sent: &Sent) {
        if let (Some(purse), Some(after)) = (sent.purse, &sent.after) {
            self.purses[purse] = after.clone();
        }
    }

    /// A deposit for the next block; answers it as raw bytes.
    pub(super) fn send(&mut self, chance: &mut Chance, purse: usize) -> Result<String> {
        let sent = self.deposit(chance, purse)?;
        self.take(&sent);
        let raw = sent.raw();
        self.waiting.push(sent);
        self.fates.sent += 1;
        Ok(raw)
    }

    /// Spends some outputs of customers in the next block: to a stranger, and in part to a wallet again.
    pub(super) fn spend_outside(&mut self, chance: &mut Chance) -> Result<bool> {
        let placed = self.blocks.values().flatten().chain(&self.waiting);
        let mut coins: Vec<Coin> = Vec::new();
        for sent in placed {
            for number in 0..sent.transaction.output.len() {
                let coin = Coin::of(&sent.transaction, number);
                if sent.purse.is_some() && self.wallets.contains(&coin.output.script_pubkey) {
                    coins.push(coin);
                }
            }
        }
        if coins.is_empty() {
            return Ok(false);
        }
        let mut chosen = Vec::new();
        for _ in 0..chance.between(1, 4).min(coins.len() as u64) {
            let place = usize::try_from(chance.between(0, coins.len() as u64))?;
            chosen.push(coins.swap_remove(place));
        }
        let sum: u64 = chosen.iter().map(|coin| coin.output.value.to_sat()).sum();
        let stranger = ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::from_raw_hash(
            bitcoin::hashes::Hash::hash(b"a stranger"),
        ));
        let back = sum / 3;
        let outputs = vec![
            output(&stranger, sum - back - 100),
            output(&self.somebody(chance), back),
        ];
        let transaction = self.keys.pay(&chosen, outputs)?;
        self.waiting.push(Sent {
            transaction,
            purse: None,
            before: None,
            after: None,
        });
        self.fates.spent_outside += 1;
        Ok(true)
    }

    /// Some of what was dropped waits again, if its purse has not gone on.
    pub(super) fn send_again(&mut self, chance: &mut Chance) {
        for sent in std::mem::take(&mut self.lost) {
            let purse = sent.purse.map(|purse| &self.purses[purse]);
            let fits = purse.is_some() && purse == sent.before.as_ref();
            if fits && chance.between(0, 3) == 0 {
                self.take(&sent);
                self.waiting.push(sent);
                self.fates.sent_again += 1;
            } else if chance.between(0, 2) == 0 {
                self.lost.push(sent);
            }
        }
    }

    /// What waits, as the next block.
    pub(super) fn next(&mut self) -> Plan {
        Plan {
            sent: std::mem::take(&mut self.waiting),
            reward: None,
        }
    }

    /// The block stands at that height.
    pub(super) fn made(&mut self, height: u64, plan: Plan) {
        if !plan.sent.is_empty() {
            self.blocks.insert(height, plan.sent);
        }
    }

    /// Forgets the blocks above `fork` and plans so many others: of what they held each is dropped, moved or
    /// replaced. What spent customers' outputs never comes back.
    pub(super) fn exchange(
        &mut self,
        chance: &mut Chance,
        (fork, blocks): (u64, usize),
    ) -> Result<Vec<Plan>> {
        let old = self.blocks.split_off(&(fork + 1));
        let old: Vec<Sent> = old.into_values().flatten().collect();
        for sent in old.iter().rev() {
            if let (Some(purse), Some(before)) = (sent.purse, &sent.before) {
                self.purses[purse] = before.clone();
            }
        }
        let mut plans: Vec<Plan> = (0..blocks).map(|_| Plan::default()).collect();
        let mut order: Vec<usize> = (0..self.purses.len()).collect();
        // Another order of purses is another place in the block.
        if chance.between(0, 2) == 0 {
            order.reverse();
        }
        for purse in order {
            let own = old.iter().filter(|sent| sent.purse == Some(purse));
            let mut block = 0;
            let mut gone = false;
            for sent in own {
                let fate = chance.between(0, 6);
                if gone || fate == 0 {
                    gone = true;
                    self.fates.dropped += 1;
                    self.lost.push(sent.clone());
                    continue;
                }
                block = usize::try_from(chance.between(block as u64, blocks as u64))?;
                let placed = if fate == 1 {
                    // The same coin, another transaction: what followed on the first one's change cannot follow.
                    gone = true;
                    self.fates.replaced += 1;
                    self.deposit(chance, purse)?
                } else {
                    self.fates.moved += 1;
                    sent.clone()
                };
                self.take(&placed);
                plans[block].sent.push(placed);
            }
        }
        Ok(plans)
    }
}
