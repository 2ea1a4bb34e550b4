//! What survives a crash, with the constraints that the database enforces. A commit is whole or nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use coffer_domain::deposit::Deposit;
use coffer_domain::id::{AssetId, DepositId, LedgerTransactionId, WalletId};
use coffer_domain::ledger::{AccountKey, AccountKind, Book, Entry, Head, Leg, Phase, Posted};
use coffer_domain::output::{Output, OutputId};
use ruint::aliases::U256;

/// Which account, in an order of its own, so that a run is the same twice.
pub(super) type Name = (AssetId, Option<WalletId>, AccountKind);

pub(super) fn name(key: &AccountKey) -> Name {
    (key.asset, key.wallet, key.kind)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoredBlock {
    pub(super) block: BlockRef,
    pub(super) parent: BlockHash,
}

/// What a person decided about a held deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Released,
    Rejected,
}

/// Money that people moved, as they would tell it themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Spent {
    /// Left the customer for good.
    pub(super) out: U256,
    /// Given to the customer out of suspense.
    pub(super) given: U256,
    /// Held at the moment.
    pub(super) held: U256,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) id: LedgerTransactionId,
    pub(super) customer: AccountKey,
    pub(super) units: U256,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    pub(super) head: Head,
    pub(super) entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockChange {
    Take(StoredBlock),
    Undo(BlockRef),
}

/// One database transaction.
#[derive(Debug, Clone, Default)]
pub(super) struct Commit {
    pub(super) what: &'static str,
    pub(super) block: Option<BlockChange>,
    pub(super) finalized: Option<Option<BlockHeight>>,
    pub(super) deposits: Vec<Deposit>,
    pub(super) posted: Vec<Posted>,
    /// In the order in which the rows are written; one may be written twice.
    pub(super) outputs: Vec<Output>,
    /// Rows that go, behind those that are written.
    pub(super) removed_outputs: Vec<OutputId>,
    pub(super) decision: Option<((DepositId, u32), Decision)>,
    pub(super) spent: Option<((AssetId, WalletId), Spent)>,
    pub(super) hold: Option<Hold>,
    pub(super) resolved: Option<LedgerTransactionId>,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) blocks: BTreeMap<u64, StoredBlock>,
    /// The highest tip that there ever was: a chain of more work may be of fewer blocks.
    pub(super) highest: Option<BlockHeight>,
    pub(super) finalized: Option<BlockHeight>,
    pub(super) deposits: BTreeMap<DepositId, Deposit>,
    pub(super) outputs: BTreeMap<OutputId, Output>,
    pub(super) accounts: BTreeMap<Name, Account>,
    pub(super) keys: HashMap<Name, AccountKey>,
    pub(super) transactions: Vec<LedgerTransactionId>,
    posted: HashSet<LedgerTransactionId>,
    resolved: HashSet<LedgerTransactionId>,
    pending: HashMap<LedgerTransactionId, Vec<Leg>>,
    pub(super) decisions: HashMap<(DepositId, u32), Decision>,
    pub(super) spent: BTreeMap<(AssetId, WalletId), Spent>,
    pub(super) holds: Vec<Hold>,
    pub(super) tripped: Vec<AssetId>,
    /// How many wallets there are.
    pub(super) wallets: u64,
}

impl Store {
    pub(super) fn tip(&self) -> Option<BlockRef> {
        self.blocks.values().next_back().map(|stored| stored.block)
    }

    /// Loads what a set of postings can touch, as `platform` does: nothing else is known to the book.
    pub(super) fn open_book(
        &self,
        accounts: impl IntoIterator<Item = AccountKey>,
        pending: impl IntoIterator<Item = LedgerTransactionId>,
    ) -> Book {
        let mut book = Book::default();
        for key in accounts {
            if let Some(account) = self.accounts.get(&name(&key)) {
                book.load(key, account.head);
            }
        }
        for id in pending {
            if let Some(legs) = self.pending.get(&id) {
                book.load_pending(id, legs.clone());
            }
        }
        book
    }

    /// The live deposits of a block.
    pub(super) fn included(&self, block: &BlockRef) -> Vec<Deposit> {
        let of = |deposit: &&Deposit| deposit.block == *block;
        self.deposits.values().filter(of).cloned().collect()
    }

    pub(super) fn commit(&mut self, commit: &Commit) -> Result<(), String> {
        match commit.block {
            Some(BlockChange::Take(stored)) => {
                let before = self.blocks.insert(stored.block.height.0, stored);
                let twice = format!("two blocks at height {}", stored.block.height);
                before.map_or(Ok(()), |_| Err(twice))?;
                self.highest = self.highest.max(Some(stored.block.height));
            }
            Some(BlockChange::Undo(block)) => {
                let had = self.blocks.remove(&block.height.0);
                had.filter(|had| had.block == block)
                    .ok_or_else(|| format!("{block} is undone and was not there"))?;
            }
            None => {}
        }
        if let Some(finalized) = commit.finalized {
            self.finalized = finalized;
        }
        commit
            .deposits
            .iter()
            .try_for_each(|deposit| self.put(deposit))?;
        commit
            .posted
            .iter()
            .try_for_each(|posted| self.post(posted))?;
        commit
            .outputs
            .iter()
            .try_for_each(|output| self.put_output(output))?;
        for id in &commit.removed_outputs {
            let had = self.outputs.remove(id);
            had.ok_or_else(|| format!("output {id} is removed and was not there"))?;
        }
        if let Some((id, decision)) = commit.decision {
            self.decisions.insert(id, decision);
        }
        if let Some((id, spent)) = commit.spent {
            self.spent.insert(id, spent);
        }
        self.holds.extend(commit.hold.clone());
        self.holds.retain(|hold| Some(hold.id) != commit.resolved);
        Ok(())
    }

    /// Compare-and-set on the version.
    fn put(&mut self, deposit: &Deposit) -> Result<(), String> {
        let before = self.deposits.insert(deposit.id, deposit.clone());
        let had = before.map_or(0, |before| before.version);
        if deposit.version != had + 1 {
            return Err(format!(
                "{} has version {had}, not {}",
                deposit.id, deposit.version
            ));
        }
        Ok(())
    }

    /// The same for an output.
    fn put_output(&mut self, output: &Output) -> Result<(), String> {
        let before = self.outputs.insert(output.id, *output);
        let had = before.map_or(0, |before| before.version);
        if output.version == had + 1 {
            return Ok(());
        }
        let (id, version) = (output.id, output.version);
        Err(format!("output {id} has version {had}, not {version}"))
    }

    fn post(&mut self, posted: &Posted) -> Result<(), String> {
        if !self.posted.insert(posted.id) {
            return Err(format!("{} is posted twice", posted.id));
        }
        if let Some(of) = posted.transaction.phase.resolves() {
            if !self.resolved.insert(of) {
                return Err(format!("{of} is resolved twice"));
            }
            self.pending.remove(&of);
        }
        if posted.transaction.phase == Phase::Pending {
            self.pending
                .insert(posted.id, posted.transaction.legs.clone());
        }
        self.transactions.push(posted.id);
        for entry in &posted.entries {
            let name = name(&entry.account);
            self.keys.insert(name, entry.account);
            let account = self.accounts.entry(name).or_default();
            if entry.version != account.head.version + 1 {
                return Err(format!(
                    "{name:?} has version {}, not {}",
                    account.head.version, entry.version
                ));
            }
            account.head = Head {
                version: entry.version,
                balance: entry.balance,
            };
            account.entries.push(*entry);
        }
        Ok(())
    }
}
