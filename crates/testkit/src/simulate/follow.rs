//! The steps of a watcher, over the product's own functions: what is asked, decided and committed, in the same order.

use std::collections::HashMap;

use coffer_domain::block::{BlockHeight, BlockRef};
use coffer_domain::deposit::{Deposit, DepositState, Verdict};
use coffer_domain::id::DepositId;
use coffer_domain::ledger::{AccountKey, AccountKind, Book, Phase};
use coffer_domain::movement::{Movement, ObservedBlock, Part};
use coffer_domain::network::{NetworkEvent, NetworkState};
use coffer_domain::sync::{
    Age, Agreement, Attribution, Change, Place, Step, Walk, finalized, follows, include, mature,
    undo,
};

use super::defect::Defect;
use super::store::{BlockChange, Commit, StoredBlock};
use super::world;
use super::{Halt, Run};

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Followed {
    Took,
    Undid,
    Waiting,
    Frozen,
    Idle,
}

impl Run {
    pub(super) fn follow(&mut self) -> Result<Followed, Halt> {
        if self.network.state != NetworkState::Active {
            return Ok(Followed::Frozen);
        }
        self.look();
        let Some(head) = self.nodes.agreed_head(&self.world, self.quorum()) else {
            return Ok(Followed::Waiting);
        };
        let Some(tip) = self.store.tip() else {
            return self.take(self.settings.start, head);
        };
        let mut step = Walk::begin(tip.height, self.settings.start, self.believed_final(), head);
        loop {
            step = match step {
                Step::Ask(walk) => walk.answer(self.compare(walk.height())),
                Step::Extend => return self.take(tip.height.next(), head),
                Step::Wait => return Ok(Followed::Waiting),
                Step::Undo { ancestor, .. } => return self.undo_to(ancestor),
                Step::Freeze { .. } => return self.freeze(),
            };
        }
    }

    pub(super) fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn quorum(&self) -> usize {
        if self.has(Defect::QuorumOfOne) {
            1
        } else {
            self.nodes.quorum
        }
    }

    fn believed_final(&self) -> Option<BlockHeight> {
        match self.defect {
            Some(Defect::IgnoreFinality) => None,
            Some(Defect::FinalityOffByOne) => self.store.finalized.and_then(BlockHeight::before),
            _ => self.store.finalized,
        }
    }

    /// The chain may change between two questions of the same step.
    fn look(&mut self) {
        self.views.clear();
        self.views.extend(self.nodes.honest_views(&self.world));
    }

    fn change_between(&mut self) {
        if !self.settled && self.random.permille(10) {
            self.change_chain();
            self.views.extend(self.nodes.honest_views(&self.world));
        }
    }

    fn compare(&mut self, height: BlockHeight) -> Agreement {
        self.change_between();
        let ours = self.store.blocks[&height.0].block.hash;
        let quorum = self.quorum();
        match self
            .nodes
            .agreed_hash(&self.world, height, quorum)
            .flatten()
        {
            Some(hash) if hash == ours => Agreement::Same,
            Some(_) => Agreement::Other,
            None if self.has(Defect::UndoOnSilence) => Agreement::Other,
            None => Agreement::Unknown,
        }
    }

    fn take(&mut self, height: BlockHeight, head: BlockHeight) -> Result<Followed, Halt> {
        if height > head {
            return Ok(Followed::Idle);
        }
        self.change_between();
        let quorum = self.quorum();
        let Some(hash) = self
            .nodes
            .agreed_hash(&self.world, height, quorum)
            .flatten()
        else {
            return Ok(Followed::Waiting);
        };
        self.change_between();
        let wanted = BlockRef { height, hash };
        let check = !self.has(Defect::SkipVerification);
        let Some(block) = self.nodes.fetch(&self.world, wanted, check) else {
            return Ok(Followed::Waiting);
        };
        let tip = self.store.tip();
        if !self.has(Defect::IgnoreParent) && !follows(tip.as_ref(), block.parent) {
            return Ok(Followed::Waiting);
        }
        self.point("block fetched")?;
        self.apply(block, head)?;
        Ok(Followed::Took)
    }

    fn apply(&mut self, mut block: ObservedBlock, head: BlockHeight) -> Result<(), Halt> {
        let wallets = self.store.wallets;
        let watched = match self.watched {
            Some(watched) if self.has(Defect::StaleWatch) => watched,
            _ => *self.watched.insert(wallets),
        };
        let known = self.known(&mut block);
        let open = self.open();
        let ours = block
            .movements
            .iter()
            .filter_map(|m| owner(m, watched).map(|wallet| (m, wallet)));
        let touched = ours.flat_map(|(movement, wallet)| self.accounts_of(movement.asset, wallet));
        let mut accounts: Vec<AccountKey> = touched.collect();
        accounts.extend(open.iter().flat_map(Deposit::accounts));
        if self.has(Defect::ForgetHead) {
            accounts.retain(|account| account.kind != AccountKind::Suspense);
        }
        let mut book = self
            .store
            .open_book(accounts, open.iter().map(Deposit::pending_id));
        let place = Place {
            organization: self.organization,
            network: self.network.id,
            now_ms: self.now_ms,
        };
        let outputs = self.outputs_after(&block, watched)?;
        let credit_all = self.has(Defect::IgnoreMinimum);
        let attribute = |movement: &Movement| {
            let wallet = owner(movement, watched)?;
            let verdict = if credit_all {
                Verdict::Credit
            } else {
                verdict(movement)
            };
            Some(Attribution {
                wallet: world::wallet(wallet),
                verdict,
            })
        };
        let mut change = include(place, &block, known, &attribute, &mut book)
            .map_err(|error| Halt::Wrong(format!("include: {error}")))?;
        let finalized = self.final_after(block.block.height, head);
        let grown = self.grown(open, &change, block.block.height, finalized);
        let older = self.credit(grown, block.block.height, finalized, &mut book)?;
        change.deposits.extend(older.deposits);
        change.posted.extend(older.posted);
        if self.has(Defect::PostTwice) {
            change.posted.extend(change.posted.last().cloned());
        }
        self.commit(Commit {
            what: "block",
            block: Some(BlockChange::Take(StoredBlock {
                block: block.block,
                parent: block.parent,
            })),
            finalized: Some(finalized),
            deposits: change.deposits,
            posted: change.posted,
            outputs,
            ..Commit::default()
        })
    }

    /// The deposits of a block's movements that exist.
    fn known(&self, block: &mut ObservedBlock) -> HashMap<DepositId, Deposit> {
        if self.has(Defect::DoubleInclude) {
            return HashMap::new();
        }
        let mut known = HashMap::new();
        let height = block.block.height;
        for movement in &mut block.movements {
            self.mistake_identity(movement, height);
            let id = self.deposit_id(movement);
            if let Some(deposit) = self.store.deposits.get(&id) {
                known.insert(id, deposit.clone());
                if self.has(Defect::KeepAsset) {
                    movement.asset = deposit.asset;
                }
            }
            if self.has(Defect::CreditFace) {
                movement.gained_units = movement.face_units;
            }
        }
        known
    }

    /// What a platform would do that knows deposits by something else than transaction and output.
    fn mistake_identity(&self, movement: &mut Movement, height: BlockHeight) {
        let known = self.store.deposits.get(&self.deposit_id(movement));
        if self.has(Defect::IdentityByBlock) && known.is_some() {
            movement.id.transaction.0[24..].copy_from_slice(&height.0.to_be_bytes());
        }
        if self.has(Defect::MalleatedIsTheSame) && known.is_none() {
            let same = self.store.deposits.values().find(|deposit| {
                deposit.state == DepositState::Retracted
                    && deposit.units == movement.gained_units
                    && deposit.address == movement.to
            });
            if let Some(same) = same {
                movement.id = same.movement;
            }
        }
    }

    fn open(&self) -> Vec<Deposit> {
        let open = |deposit: &&Deposit| {
            matches!(
                deposit.state,
                DepositState::Detected | DepositState::Confirmed
            )
        };
        self.store.deposits.values().filter(open).cloned().collect()
    }

    fn final_after(&self, tip: BlockHeight, head: BlockHeight) -> Option<BlockHeight> {
        let tag = head.0.checked_sub(self.settings.tag_depth).map(BlockHeight);
        let before = (!self.has(Defect::FinalityFalls))
            .then_some(self.store.finalized)
            .flatten();
        finalized(self.settings.finality, tip, tag, before)
    }

    /// Those that were open, and those that this block brought.
    fn grown(
        &self,
        mut open: Vec<Deposit>,
        change: &Change,
        tip: BlockHeight,
        finalized: Option<BlockHeight>,
    ) -> Vec<Deposit> {
        open.extend(change.deposits.iter().cloned());
        open.retain(|deposit| match deposit.state {
            DepositState::Detected => {
                deposit.block.height.confirmations_at(tip) + 1 >= self.settings.confirmations
            }
            _ => finalized.is_some_and(|height| deposit.block.height <= height),
        });
        open
    }

    fn credit(
        &self,
        mut deposits: Vec<Deposit>,
        head: BlockHeight,
        finalized: Option<BlockHeight>,
        book: &mut Book,
    ) -> Result<Change, Halt> {
        let mut rewards = HashMap::new();
        if self.has(Defect::CoinbaseEarly) {
            rewards = hide_rewards(&mut deposits);
        }
        let early = u64::from(self.has(Defect::CreditEarly));
        let age = Age {
            head,
            confirmations: self.settings.confirmations.saturating_sub(early),
            finalized,
        };
        let breaks = !self.has(Defect::IgnoreBreaker);
        let may_credit =
            |deposit: &Deposit| !(breaks && self.store.tripped.contains(&deposit.asset));
        let mut change = mature(deposits, age, &may_credit, self.now_ms, book)
            .map_err(|error| Halt::Wrong(format!("mature: {error}")))?;
        for deposit in &mut change.deposits {
            if let Some(part) = rewards.get(&deposit.id) {
                deposit.movement.part = *part;
            }
        }
        Ok(change)
    }

    fn undo_to(&mut self, ancestor: Option<BlockHeight>) -> Result<Followed, Halt> {
        while let Some(tip) = self.store.tip() {
            if ancestor.is_some_and(|ancestor| tip.height <= ancestor) {
                break;
            }
            self.undo_block(tip)?;
            if self.settings.one_undo_per_step {
                break;
            }
        }
        Ok(Followed::Undid)
    }

    fn undo_block(&mut self, block: BlockRef) -> Result<(), Halt> {
        let deposits = self.store.included(&block);
        let accounts = deposits.iter().flat_map(Deposit::accounts);
        let pending = deposits.iter().map(Deposit::pending_id);
        let mut book = self.store.open_book(accounts, pending);
        let mut change = undo(deposits, self.now_ms, &mut book)
            .map_err(|error| Halt::Wrong(format!("undo: {error}")))?;
        match self.defect {
            Some(Defect::SkipUndo) => change = Change::default(),
            Some(Defect::ForgetVoid) => {
                change
                    .posted
                    .retain(|posted| !matches!(posted.transaction.phase, Phase::Void { .. }));
            }
            Some(Defect::ReversalWithoutDebt) => {
                change
                    .posted
                    .retain(|p| !p.transaction.source.id.ends_with("reversed_spent"));
            }
            _ => {}
        }
        let (outputs, removed_outputs) = self.outputs_before(block)?;
        self.report.restored += outputs.len() as u64;
        self.commit(Commit {
            what: "undo",
            block: Some(BlockChange::Undo(block)),
            deposits: change.deposits,
            posted: change.posted,
            outputs,
            removed_outputs,
            ..Commit::default()
        })
    }

    fn freeze(&mut self) -> Result<Followed, Halt> {
        self.judge_freeze()?;
        self.point("before freeze")?;
        let frozen = self.network.clone().apply(NetworkEvent::Freeze, None);
        self.network = frozen.map_err(|error| Halt::Wrong(error.to_string()))?;
        self.votes.clear();
        self.report.frozen += 1;
        self.trace.note(|| "the network is frozen".to_owned());
        Ok(Followed::Frozen)
    }
}

/// Makes rewards look like any other output; answers what they were.
fn hide_rewards(deposits: &mut [Deposit]) -> HashMap<DepositId, Part> {
    let mut rewards = HashMap::new();
    for deposit in deposits {
        let part = deposit.movement.part;
        if let Part::Coinbase(number) = part {
            deposit.movement.part = Part::Output(number);
            rewards.insert(deposit.id, part);
        }
    }
    rewards
}

/// The number of the wallet that a movement came to, among those that are watched.
pub(super) fn owner(movement: &Movement, watched: u64) -> Option<u64> {
    let number = world::number_of(&movement.to);
    (number < watched && world::is_listed(movement.asset)).then_some(number)
}

/// What the rules of a run say at first sight.
pub(super) fn verdict(movement: &Movement) -> Verdict {
    if movement.gained_units < world::minimum(movement.asset) {
        return Verdict::Reject("below the minimum".to_owned());
    }
    if movement.id.transaction.0[0] < 30 {
        return Verdict::Hold("to be looked at".to_owned());
    }
    Verdict::Credit
}
