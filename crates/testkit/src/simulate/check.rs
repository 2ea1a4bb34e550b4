//! The judge: computes from the chain alone what the ledger must say, without [`Book`], and compares.
//!
//! [`Book`]: coffer_domain::ledger::Book

use std::collections::BTreeMap;

use coffer_domain::block::BlockRef;
use coffer_domain::deposit::{Deposit, DepositState, Verdict};
use coffer_domain::id::{AssetId, DepositId, WalletId};
use coffer_domain::ledger::{AccountKind, Balance, EntryPhase, Side};
use coffer_domain::movement::{Movement, Part};
use coffer_domain::network::Finality;
use ruint::aliases::{U256, U512};

use super::follow::{owner, verdict};
use super::store::{Account, BlockChange, Commit, Decision, Spent};
use super::world;
use super::{Halt, Run};

/// What the chain and the people did to one wallet in one asset.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    pending: U512,
    credited: U512,
    shelved: U512,
}

fn wide(units: U256) -> U512 {
    U512::from(units)
}

/// What does not hold ends the run with its reason.
macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(Halt::Wrong(format!($($why)+)));
        }
    };
}

pub(super) use ensure;

impl Run {
    /// Whether some node that does not lie has another block than we at a height of ours.
    fn another_was_seen(&self, height: u64) -> bool {
        self.views.iter().any(|view| {
            let height = height.min(self.world.head(*view));
            let theirs = self
                .world
                .at(*view, height)
                .map(|at| self.world.blocks[at].hash());
            let ours = self
                .store
                .blocks
                .get(&height)
                .map(|stored| stored.block.hash);
            ours.is_some() && ours != theirs
        })
    }

    pub(super) fn judge_freeze(&self) -> Result<(), Halt> {
        let finalized = self.store.finalized.map_or(0, |height| height.0);
        ensure!(
            self.another_was_seen(finalized),
            "frozen without another block at or below finality ({finalized})"
        );
        Ok(())
    }

    /// Whether a commit may be made at all, seen from before it.
    pub(super) fn judge(&self, commit: &Commit) -> Result<(), Halt> {
        let tip = self.store.tip();
        match commit.block {
            Some(BlockChange::Undo(block)) => self.judge_undo(block)?,
            Some(BlockChange::Take(stored)) => {
                let known = self.world.block(&stored.block.hash);
                ensure!(
                    known.is_some_and(|b| !b.is_false),
                    "{} is not a block of the chain",
                    stored.block
                );
                ensure!(
                    tip.is_none_or(
                        |tip| tip.hash == stored.parent && tip.height.next() == stored.block.height
                    ),
                    "{} is not the next after {tip:?}",
                    stored.block
                );
            }
            None => {}
        }
        if let Some(finalized) = commit.finalized {
            ensure!(
                finalized >= self.store.finalized,
                "finality falls to {finalized:?}"
            );
        }
        let head = match commit.block {
            Some(BlockChange::Take(stored)) => Some(stored.block.height),
            _ => tip.map(|tip| tip.height),
        };
        for deposit in &commit.deposits {
            let old = head.is_some_and(|head| {
                deposit.block.height.confirmations_at(head) >= self.needed(deposit)
            });
            let becomes = |state| {
                let before = self.store.deposits.get(&deposit.id);
                deposit.state == state && before.is_none_or(|before| before.state != state)
            };
            if becomes(DepositState::Confirmed) {
                ensure!(old, "{} is credited too early", deposit.id);
                let tripped = self.store.tripped.contains(&deposit.asset);
                ensure!(
                    !tripped || commit.decision.is_some(),
                    "{} is credited, its asset tripped",
                    deposit.id
                );
            }
        }
        Ok(())
    }

    fn judge_undo(&self, block: BlockRef) -> Result<(), Halt> {
        let stays = self
            .store
            .finalized
            .is_some_and(|height| block.height <= height);
        ensure!(!stays, "{block} is undone and was final");
        ensure!(
            self.another_was_seen(block.height.0),
            "{block} is undone, and no honest node has another"
        );
        Ok(())
    }

    /// Everything that must hold after every commit. `last`: at the end, when chain and ledger must be the same.
    pub(super) fn check(&self, last: bool) -> Result<(), Halt> {
        let mut sums: BTreeMap<(AssetId, WalletId), Sums> = BTreeMap::new();
        let mut live = 0;
        for stored in self.store.blocks.values() {
            let block = self.world.block(&stored.block.hash);
            let Some(block) = block.filter(|block| !block.is_false) else {
                return Err(Halt::Wrong(format!("{} is nobody's block", stored.block)));
            };
            for movement in &block.observed.movements {
                // An address is watched before anybody can pay to it.
                if let Some(number) = owner(movement, self.world.issued) {
                    live += 1;
                    let wallet = world::wallet(number);
                    let of = sums.entry((movement.asset, wallet)).or_default();
                    self.check_deposit(movement, stored.block, of, last)?;
                }
            }
        }
        let not_retracted = |deposit: &&Deposit| deposit.state != DepositState::Retracted;
        let deposits = self.store.deposits.values().filter(not_retracted).count();
        ensure!(
            deposits == live,
            "{deposits} live deposits of {live} movements"
        );
        let wallets = sums.keys().chain(self.store.spent.keys());
        let wallets: std::collections::BTreeSet<_> = wallets.copied().collect();
        for key in wallets {
            let sums = sums.get(&key).copied().unwrap_or_default();
            self.check_wallet(key, sums)?;
        }
        for (name, account) in &self.store.accounts {
            let known = sums.contains_key(&(name.0, name.1.expect("a wallet's")));
            ensure!(
                known || empty(&account.head.balance, name.2) || self.has_spent(name.0, name.1),
                "{name:?} holds what no chain shows"
            );
        }
        self.check_balanced()?;
        self.check_outputs()?;
        if last {
            self.check_entries()?;
            self.check_end()?;
        }
        Ok(())
    }

    fn has_spent(&self, asset: AssetId, wallet: Option<WalletId>) -> bool {
        wallet.is_some_and(|wallet| self.store.spent.contains_key(&(asset, wallet)))
    }

    pub(super) fn deposit_id(&self, movement: &Movement) -> DepositId {
        DepositId::of(self.network.id, &movement.id, &movement.to)
    }

    fn check_deposit(
        &self,
        movement: &Movement,
        block: BlockRef,
        sums: &mut Sums,
        last: bool,
    ) -> Result<(), Halt> {
        use DepositState::{Confirmed, Detected, Finalized, Held, Rejected, Retracted};
        let id = self.deposit_id(movement);
        let Some(deposit) = self.store.deposits.get(&id) else {
            return Err(Halt::Wrong(format!(
                "no deposit for {} at {block}",
                movement.id
            )));
        };
        ensure!(
            deposit.block == block,
            "{id} is in {}, not in {block}",
            deposit.block
        );
        ensure!(
            deposit.movement == movement.id,
            "{id} is {}, not {}",
            deposit.movement,
            movement.id
        );
        ensure!(deposit.asset == movement.asset, "{id} is of another asset");
        ensure!(deposit.from == movement.from, "{id} is from somebody else");
        let gained = movement.gained_units;
        let uncountable = deposit.state == Rejected
            && deposit.units.is_zero()
            && world::is_boundless(movement.asset);
        ensure!(
            uncountable || deposit.units == gained,
            "{id} has {} units, not {gained}",
            deposit.units
        );
        let units = wide(deposit.units);
        match deposit.state {
            Detected => sums.pending += units,
            Confirmed | Finalized => sums.credited += units,
            Held | Rejected => sums.shelved += units,
            Retracted => {
                return Err(Halt::Wrong(format!(
                    "{id} is retracted, its block {block} is there"
                )));
            }
        }
        ensure!(
            self.is_decided(deposit, movement, uncountable, last),
            "{id} is {} and should not be",
            deposit.state
        );
        let settled = self
            .store
            .finalized
            .is_some_and(|height| block.height <= height);
        ensure!(
            !last || !settled || deposit.state != Confirmed,
            "{id} is not finalized"
        );
        // What two people lifted was final once.
        let once = self.report.frozen > 0;
        ensure!(
            !last || settled || once || deposit.state != Finalized,
            "{id} is finalized too early"
        );
        Ok(())
    }

    /// Confirmations before its credit: nobody can spend a block's reward before a hundred.
    fn needed(&self, deposit: &Deposit) -> u64 {
        match deposit.movement.part {
            Part::Coinbase(_) => self.settings.confirmations.max(100),
            _ => self.settings.confirmations,
        }
    }

    /// Whether its state is what the rules, the people and its age make of it.
    fn is_decided(
        &self,
        deposit: &Deposit,
        movement: &Movement,
        uncountable: bool,
        last: bool,
    ) -> bool {
        use DepositState::{Confirmed, Detected, Finalized, Held, Rejected};
        let id = (deposit.id, deposit.inclusion);
        let decision = self.store.decisions.get(&id).copied();
        let credited = matches!(deposit.state, Confirmed | Finalized);
        match (verdict(movement), decision) {
            _ if movement.gained_units.is_zero() || uncountable => deposit.state == Rejected,
            (Verdict::Reject(_), _) | (Verdict::Hold(_), Some(Decision::Rejected)) => {
                deposit.state == Rejected
            }
            (Verdict::Hold(_), None) => deposit.state == Held,
            (Verdict::Hold(_), Some(Decision::Released)) => credited,
            (Verdict::Credit, _) if last => {
                let height = deposit.block.height;
                let tip = self.store.tip().map_or(height, |tip| tip.height);
                let highest = self.store.highest.unwrap_or(tip);
                let is_old = |at| height.confirmations_at(at) >= self.needed(deposit);
                // A credit stays when another chain takes over above it that ends lower.
                if credited {
                    is_old(highest)
                } else {
                    !is_old(tip)
                }
            }
            (Verdict::Credit, _) => credited || deposit.state == Detected,
        }
    }

    pub(super) fn balance(&self, asset: AssetId, wallet: WalletId, kind: AccountKind) -> Balance {
        let account = self.store.accounts.get(&(asset, Some(wallet), kind));
        account.map_or_else(Balance::default, |account| account.head.balance)
    }

    fn check_wallet(&self, key: (AssetId, WalletId), sums: Sums) -> Result<(), Halt> {
        let (asset, wallet) = key;
        let of = |kind| self.balance(asset, wallet, kind);
        let Spent { out, given, held } = self.store.spent.get(&key).copied().unwrap_or_default();
        let (out, given, held) = (wide(out), wide(given), wide(held));
        let custody = of(AccountKind::Custody);
        let posted = net(custody.posted_debits, custody.posted_credits);
        ensure!(
            posted.is(sums.credited + sums.shelved, U512::ZERO),
            "{key:?} custody posted {posted:?}, chain {sums:?}"
        );
        let pending = net(custody.pending_debits, custody.pending_credits);
        ensure!(
            pending.is(sums.pending, U512::ZERO),
            "{key:?} custody pending {pending:?}, chain {sums:?}"
        );
        let due = of(AccountKind::ReversalDue);
        let owed = net(due.posted_debits, due.posted_credits);
        ensure!(owed.1.is_zero(), "{key:?} is owed by us: {owed:?}");
        let customer = of(AccountKind::Customer);
        let has = net(customer.posted_credits, customer.posted_debits);
        ensure!(
            has.is(sums.credited + given + owed.0, out),
            "{key:?} customer {has:?}, chain {sums:?}, spent {out}, given {given}, due {owed:?}"
        );
        ensure!(
            wide(customer.pending_credits) == sums.pending,
            "{key:?} customer pending"
        );
        ensure!(
            wide(customer.pending_debits) == held,
            "{key:?} customer held"
        );
        ensure!(
            has.1.is_zero() && has.0 >= held,
            "{key:?} customer overdrawn: {has:?} held {held}"
        );
        ensure!(
            owed.0.is_zero() || has.0 == held,
            "{key:?} owes {owed:?} and could spend {has:?} less {held}"
        );
        let suspense = of(AccountKind::Suspense);
        let lies = net(suspense.posted_credits, suspense.posted_debits);
        ensure!(
            lies.is(sums.shelved, given),
            "{key:?} suspense {lies:?}, chain {sums:?}, given {given}"
        );
        let holding = of(AccountKind::Holding);
        ensure!(
            net(holding.posted_credits, holding.posted_debits).is(out, U512::ZERO),
            "{key:?} holding"
        );
        ensure!(
            wide(holding.pending_credits) == held,
            "{key:?} holding held"
        );
        Ok(())
    }

    /// Per asset, debits equal credits, posted as pending.
    fn check_balanced(&self) -> Result<(), Halt> {
        let mut totals: BTreeMap<AssetId, [U512; 4]> = BTreeMap::new();
        for ((asset, ..), account) in &self.store.accounts {
            let total = totals.entry(*asset).or_default();
            let balance = &account.head.balance;
            total[0] += wide(balance.posted_debits);
            total[1] += wide(balance.posted_credits);
            total[2] += wide(balance.pending_debits);
            total[3] += wide(balance.pending_credits);
        }
        for (asset, [debits, credits, pending_debits, pending_credits]) in totals {
            ensure!(
                debits == credits && pending_debits == pending_credits,
                "{asset} does not balance"
            );
        }
        Ok(())
    }

    /// Every entry of every account, from the first: versions without a gap, balances that follow.
    fn check_entries(&self) -> Result<(), Halt> {
        let mut entries = 0;
        for (name, account) in &self.store.accounts {
            let balance = folded(account)
                .ok_or_else(|| Halt::Wrong(format!("{name:?} has entries that do not follow")))?;
            ensure!(
                balance == account.head.balance,
                "{name:?} has another balance than its entries"
            );
            entries += account.entries.len();
        }
        ensure!(
            entries == self.entries,
            "{entries} entries are left of {}",
            self.entries
        );
        Ok(())
    }

    /// Our blocks are the chain, from the first height on.
    fn check_end(&self) -> Result<(), Halt> {
        let tip = self
            .store
            .tip()
            .ok_or_else(|| Halt::Wrong("nothing was taken".to_owned()))?;
        let head = &self.world.blocks[self.world.tip];
        ensure!(
            tip == head.observed.block,
            "the tip is {tip}, the chain's {}",
            head.observed.block
        );
        let mut expected = head.height() + 1 - self.settings.start.0;
        let mut at = Some(self.world.tip);
        while let Some(block) = at
            .map(|at| &self.world.blocks[at])
            .filter(|b| b.height() >= self.settings.start.0)
        {
            let ours = self
                .store
                .blocks
                .get(&block.height())
                .map(|stored| stored.block.hash);
            ensure!(
                ours == Some(block.hash()),
                "height {} is not the chain's",
                block.height()
            );
            at = block.parent;
            expected -= 1;
        }
        ensure!(expected == 0, "{expected} blocks are missing");
        let behind = match self.settings.finality {
            Finality::Depth(depth) => u64::from(depth.get()) - 1,
            Finality::Tag => self.settings.tag_depth,
        };
        let finalized = self.store.finalized.map(|height| height.0);
        ensure!(
            finalized >= tip.height.0.checked_sub(behind),
            "final is {finalized:?} at {tip}"
        );
        Ok(())
    }
}

/// A difference: the first is what is left on the side that is taken first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Net(U512, U512);

fn net(plus: U256, minus: U256) -> Net {
    let (plus, minus) = (wide(plus), wide(minus));
    Net(plus.saturating_sub(minus), minus.saturating_sub(plus))
}

impl Net {
    /// Whether it is `plus` less `minus`.
    fn is(&self, plus: U512, minus: U512) -> bool {
        self.0 + minus == plus + self.1
    }
}

fn empty(balance: &Balance, kind: AccountKind) -> bool {
    let posted = net(balance.posted_debits, balance.posted_credits);
    let nothing = posted.is(U512::ZERO, U512::ZERO);
    nothing && balance.pending_debits == balance.pending_credits && balance.pending_debits.is_zero()
        || kind == AccountKind::Adjustment
}

fn folded(account: &Account) -> Option<Balance> {
    let mut balance = Balance::default();
    for (at, entry) in account.entries.iter().enumerate() {
        let (posted, pending) = match entry.side {
            Side::Debit => (&mut balance.posted_debits, &mut balance.pending_debits),
            Side::Credit => (&mut balance.posted_credits, &mut balance.pending_credits),
        };
        if matches!(entry.phase, EntryPhase::Posted | EntryPhase::Post) {
            *posted = posted.checked_add(entry.units)?;
        }
        match entry.phase {
            EntryPhase::Posted => {}
            EntryPhase::Pending => *pending = pending.checked_add(entry.units)?,
            EntryPhase::Post | EntryPhase::Void => *pending = pending.checked_sub(entry.units)?,
        }
        let version = u64::try_from(at).ok()? + 1;
        if entry.version != version || entry.balance != balance {
            return None;
        }
    }
    Some(balance)
}
