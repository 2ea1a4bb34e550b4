//! What customers and operators do while blocks come and go.

use coffer_domain::deposit::{Deposit, DepositState};
use coffer_domain::id::{ApiKeyId, AssetId, LedgerTransactionId, WalletId};
use coffer_domain::ledger::{
    AccountKey, AccountKind, Book, Leg, Phase, Posted, Side, Source, SourceKind, Transaction,
};
use coffer_domain::network::{NetworkEvent, NetworkState, NetworkTransitionError};
use coffer_domain::sync::funds;
use ruint::aliases::U256;

use super::defect::Defect;
use super::store::{Commit, Decision, Hold};
use super::world;
use super::{Halt, Run};

impl Run {
    pub(super) fn act(&mut self) -> Result<(), Halt> {
        self.number += 1;
        match self.random.below(12) {
            0 | 1 => self.new_wallet(),
            2..=4 => self.spend(),
            5 | 6 => self.resolve_hold(),
            7 | 8 => self.decide(),
            9 => self.adjust(),
            10 => {
                self.trip_or_close();
                Ok(())
            }
            _ => self.resume(),
        }
    }

    pub(super) fn new_wallet(&mut self) -> Result<(), Halt> {
        if self.store.wallets >= 8 {
            return Ok(());
        }
        self.point("before wallet")?;
        self.store.wallets += 1;
        // A crash here leaves a wallet that nobody was told of.
        self.point("after wallet")?;
        self.world.issued = self.store.wallets;
        Ok(())
    }

    fn key(&self, asset: AssetId, wallet: WalletId, kind: AccountKind) -> AccountKey {
        AccountKey {
            organization: self.organization,
            asset,
            kind,
            wallet: Some(wallet),
        }
    }

    pub(super) fn accounts_of(&self, asset: AssetId, wallet: u64) -> [AccountKey; 4] {
        [
            AccountKind::Custody,
            AccountKind::Customer,
            AccountKind::Suspense,
            AccountKind::ReversalDue,
        ]
        .map(|kind| self.key(asset, world::wallet(wallet), kind))
    }

    fn someone(&mut self) -> Option<(AssetId, WalletId)> {
        let wallets = self.store.wallets;
        if wallets == 0 {
            return None;
        }
        let asset = world::asset(u8::try_from(self.random.below(3)).expect("small"));
        Some((asset, world::wallet(self.random.below(wallets))))
    }

    /// A book with everything of one wallet in one asset.
    fn book_of(&self, asset: AssetId, wallet: WalletId, pending: &[LedgerTransactionId]) -> Book {
        let kinds = [
            AccountKind::Custody,
            AccountKind::Customer,
            AccountKind::Suspense,
            AccountKind::ReversalDue,
            AccountKind::Holding,
        ];
        let accounts = kinds.map(|kind| self.key(asset, wallet, kind));
        self.store.open_book(accounts, pending.iter().copied())
    }

    fn source(&self, kind: SourceKind, step: &str) -> Source {
        Source {
            kind,
            id: format!("{}/{step}", self.number),
        }
    }

    /// Holds a part of what a customer may spend, or spends it at once.
    fn spend(&mut self) -> Result<(), Halt> {
        let Some((asset, wallet)) = self.someone() else {
            return Ok(());
        };
        let mut book = self.book_of(asset, wallet, &[]);
        let customer = self.key(asset, wallet, AccountKind::Customer);
        let available = book.head(&customer).balance.available();
        if available.is_zero() {
            return Ok(());
        }
        let part = U256::from(self.random.between(1, 4));
        let units = (available / part).max(U256::ONE);
        let at_once = self.random.permille(400);
        let holding = self.key(asset, wallet, AccountKind::Holding);
        let transaction = Transaction {
            organization: self.organization,
            source: self.source(SourceKind::Hold, "hold"),
            phase: if at_once {
                Phase::Posted
            } else {
                Phase::Pending
            },
            legs: moves(customer, holding, units),
        };
        let posted = post(&mut book, transaction)?;
        let mut spent = self
            .store
            .spent
            .get(&(asset, wallet))
            .copied()
            .unwrap_or_default();
        let hold = (!at_once).then_some(Hold {
            id: posted.id,
            customer,
            units,
        });
        let sum = if at_once {
            &mut spent.out
        } else {
            &mut spent.held
        };
        *sum = sum
            .checked_add(units)
            .ok_or_else(|| Halt::Wrong("spent too much".to_owned()))?;
        self.commit(Commit {
            what: "spend",
            posted: vec![posted],
            spent: Some(((asset, wallet), spent)),
            hold,
            ..Commit::default()
        })
    }

    fn resolve_hold(&mut self) -> Result<(), Halt> {
        let Some(hold) = self.random.pick(&self.store.holds).cloned() else {
            return Ok(());
        };
        let (asset, wallet) = (
            hold.customer.asset,
            hold.customer.wallet.expect("a wallet's"),
        );
        let mut book = self.book_of(asset, wallet, &[hold.id]);
        let release = self.random.permille(500);
        let resolution = Transaction {
            organization: self.organization,
            source: self.source(SourceKind::Hold, "resolve"),
            phase: if release {
                Phase::Void { of: hold.id }
            } else {
                Phase::Post { of: hold.id }
            },
            legs: Vec::new(),
        };
        let mut posted = vec![post(&mut book, resolution)?];
        posted.extend(self.pay_debt(&mut book, &hold.customer)?);
        let mut spent = self
            .store
            .spent
            .get(&(asset, wallet))
            .copied()
            .unwrap_or_default();
        spent.held -= hold.units;
        if !release {
            spent.out += hold.units;
        }
        self.commit(Commit {
            what: if release { "release hold" } else { "post hold" },
            posted,
            spent: Some(((asset, wallet), spent)),
            resolved: Some(hold.id),
            ..Commit::default()
        })
    }

    fn pay_debt(&self, book: &mut Book, customer: &AccountKey) -> Result<Option<Posted>, Halt> {
        if self.has(Defect::ForgetDebtOnRelease) {
            return Ok(None);
        }
        let source = self.source(SourceKind::Hold, "debt");
        let payment = book.debt_payment(customer, source);
        payment.map(|payment| post(book, payment)).transpose()
    }

    /// Releases or rejects a held deposit that has its confirmations.
    fn decide(&mut self) -> Result<(), Halt> {
        let Some(tip) = self.store.tip() else {
            return Ok(());
        };
        let early = self.has(Defect::ReleaseRewardEarly);
        let old = |deposit: &Deposit| {
            let least = match deposit.movement.part.confirmations_min() {
                least if !early => least,
                _ => 1,
            };
            let needed = self.settings.confirmations.max(least);
            deposit.block.height.confirmations_at(tip.height) >= needed
        };
        let all = self.store.deposits.values();
        let held: Vec<_> = all
            .filter(|deposit| deposit.state == DepositState::Held && old(deposit))
            .cloned()
            .collect();
        let Some(deposit) = self.random.pick(&held).cloned() else {
            return Ok(());
        };
        let id = (deposit.id, deposit.inclusion);
        let mut book = self.store.open_book(deposit.accounts(), []);
        let (outcome, decision) = if self.random.permille(600) {
            let funds = funds(&book, &deposit);
            (deposit.release(funds, self.now_ms), Decision::Released)
        } else {
            (
                deposit.reject("refused".to_owned(), self.now_ms),
                Decision::Rejected,
            )
        };
        let outcome = outcome.map_err(|error| Halt::Wrong(error.to_string()))?;
        let posted = outcome
            .postings
            .into_iter()
            .map(|transaction| post(&mut book, transaction));
        let mut posted: Vec<Posted> = match posted.collect() {
            // People may have given it away out of suspense, or it is more than the account can count.
            Err(_) => return Ok(()),
            Ok(posted) => posted,
        };
        posted.retain(|posted| !posted.entries.is_empty());
        self.commit(Commit {
            what: "decide",
            deposits: vec![outcome.deposit],
            posted,
            decision: Some((id, decision)),
            ..Commit::default()
        })
    }

    /// A person gives a customer what lies in suspense, by hand.
    fn adjust(&mut self) -> Result<(), Halt> {
        let Some((asset, wallet)) = self.someone() else {
            return Ok(());
        };
        let mut book = self.book_of(asset, wallet, &[]);
        let suspense = self.key(asset, wallet, AccountKind::Suspense);
        let customer = self.key(asset, wallet, AccountKind::Customer);
        let units = book.head(&suspense).balance.posted().on(Side::Credit);
        if units.is_zero() || units.bit_len() > 64 {
            return Ok(());
        }
        let transaction = Transaction {
            organization: self.organization,
            source: self.source(SourceKind::Adjustment, "adjust"),
            phase: Phase::Posted,
            legs: moves(suspense, customer, units),
        };
        // The customer's account may be full of a boundless token.
        let Ok(given) = book.post(transaction) else {
            return Ok(());
        };
        let mut posted = vec![given];
        posted.extend(self.pay_debt(&mut book, &customer)?);
        let mut spent = self
            .store
            .spent
            .get(&(asset, wallet))
            .copied()
            .unwrap_or_default();
        spent.given += units;
        self.commit(Commit {
            what: "adjust",
            posted,
            spent: Some(((asset, wallet), spent)),
            ..Commit::default()
        })
    }

    fn trip_or_close(&mut self) {
        let asset = world::asset(u8::try_from(self.random.below(3)).expect("small"));
        if self.store.tripped.contains(&asset) {
            self.store.tripped.retain(|other| *other != asset);
        } else {
            self.store.tripped.push(asset);
        }
    }

    /// Two people resume a frozen network; the first one alone cannot.
    pub(super) fn resume(&mut self) -> Result<(), Halt> {
        if self.network.state != NetworkState::Frozen {
            return Ok(());
        }
        let person = self.random.below(3);
        let by = ApiKeyId::from_bytes([u8::try_from(person).expect("small") + 1; 16]);
        self.point("before resume")?;
        match self
            .network
            .clone()
            .apply(NetworkEvent::Resume { by }, None)
        {
            Ok(network) => self.network = network,
            Err(NetworkTransitionError::SamePerson) => return Ok(()),
            Err(error) => return Err(Halt::Wrong(error.to_string())),
        }
        if self.has(Defect::ResumeAlone) {
            self.network.state = NetworkState::Active;
        }
        self.votes.push(by);
        if self.network.state != NetworkState::Active {
            return Ok(());
        }
        self.votes.sort_unstable();
        self.votes.dedup();
        if self.votes.len() < 2 {
            return Err(Halt::Wrong(
                "one person resumed a frozen network".to_owned(),
            ));
        }
        self.store.finalized = None;
        self.trace
            .note(|| "two people resumed the network".to_owned());
        Ok(())
    }
}

fn moves(debit: AccountKey, credit: AccountKey, units: U256) -> Vec<Leg> {
    let leg = |account, side| Leg {
        account,
        side,
        units,
    };
    vec![leg(debit, Side::Debit), leg(credit, Side::Credit)]
}

fn post(book: &mut Book, transaction: Transaction) -> Result<Posted, Halt> {
    book.post(transaction)
        .map_err(|error| Halt::Wrong(format!("refused: {error}")))
}
