//! Moving value inside the ledger: transfers, holds and corrections, each once per reference.
//!
//! A reference names the cause in the caller's own words. The same reference with the same accounts and units is
//! answered with what it did the first time; with others it is refused.

use std::collections::{HashMap, HashSet};

use coffer_domain::id::{AssetId, LedgerTransactionId, WalletId};
use coffer_domain::ledger::{
    AccountKey, AccountKind, LedgerError, Leg, Phase, Posted, Side, Source, SourceKind, Transaction,
};
use coffer_store::Tx;
use coffer_store::ledger as rows;
use ruint::aliases::U256;
use serde::Serialize;

use super::LedgerMark;
use crate::audit::{Changes, Entry, append};
use crate::events::Outgoing;
use crate::transaction::transact;
use crate::{Answer, Caller, Error, Once, Platform, Scope};

/// The longest reference.
const REFERENCE_BYTES_MAX: usize = 200;

/// Value from one account to another of the same organization and asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub reference: String,
    pub debit: AccountKey,
    pub credit: AccountKey,
    pub units: U256,
}

/// Part of a customer's available balance, to be set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHold {
    pub reference: String,
    pub asset: AssetId,
    pub wallet: WalletId,
    pub units: U256,
}

/// A correction that a person answers for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAdjustment {
    pub reference: String,
    pub asset: AssetId,
    pub kind: AccountKind,
    pub wallet: Option<WalletId>,
    /// The side of the account; the organization's adjustment account takes the other.
    pub side: Side,
    pub units: U256,
    pub reason: String,
}

/// A transaction that was posted by this call, or by an earlier one with the same reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    pub transaction: LedgerTransactionId,
    pub existing: bool,
    pub mark: LedgerMark,
}

/// What became of a batch of transfers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transferred {
    pub posted: usize,
    /// Posted before, by an earlier call.
    pub existing: usize,
    pub mark: LedgerMark,
}

impl Platform {
    /// Posts transfers, all of them or none. Best a few thousand at a time.
    pub async fn post_transfers(
        &self,
        caller: &Caller,
        transfers: &[Transfer],
    ) -> Result<Transferred, Error> {
        self.guard(caller.organization)?;
        let made: Result<Vec<Transaction>, Error> = transfers
            .iter()
            .map(|transfer| made(caller, transfer))
            .collect();
        let transactions = made?;
        transact!(self, tx, {
            self.follow(tx, caller.organization).await?;
            let (posted, existing, mark) = self.post_all(tx, caller, &transactions).await?;
            let posted = posted.len();
            if posted > 0 {
                let data = Posting {
                    mark,
                    transactions: posted,
                    reason: None,
                };
                let object = caller.organization.to_string();
                self.record_posting(tx, caller, "ledger.transferred", object, data)
                    .await?;
            }
            Ok(Transferred {
                posted,
                existing,
                mark,
            })
        })
    }

    /// Sets part of a customer's available balance aside: a pending transfer to the wallet's holding account.
    pub async fn hold(
        &self,
        caller: &Caller,
        new: &NewHold,
        once: Option<Once<'_, Recorded>>,
    ) -> Result<Answer<Recorded>, Error> {
        let account = |kind| AccountKey {
            organization: caller.organization,
            asset: new.asset,
            kind,
            wallet: Some(new.wallet),
        };
        let transaction = Transaction {
            organization: caller.organization,
            source: source(SourceKind::Hold, &new.reference, "held")?,
            phase: Phase::Pending,
            legs: legs(
                account(AccountKind::Customer),
                account(AccountKind::Holding),
                new.units,
            ),
        };
        self.record_one(caller, transaction, ("ledger.held", None), once.as_ref())
            .await
    }

    /// Gives a hold back to the customer. A hold that was posted cannot be released.
    pub async fn release_hold(
        &self,
        caller: &Caller,
        hold: LedgerTransactionId,
        once: Option<Once<'_, Recorded>>,
    ) -> Result<Answer<Recorded>, Error> {
        let transaction = resolution(caller, hold, "released", Phase::Void { of: hold })?;
        self.check_hold(caller, hold).await?;
        self.record_one(
            caller,
            transaction,
            ("ledger.hold_released", None),
            once.as_ref(),
        )
        .await
    }

    /// Makes a hold count: its value leaves the customer's account for good.
    pub async fn post_hold(
        &self,
        caller: &Caller,
        hold: LedgerTransactionId,
        once: Option<Once<'_, Recorded>>,
    ) -> Result<Answer<Recorded>, Error> {
        let transaction = resolution(caller, hold, "posted", Phase::Post { of: hold })?;
        self.check_hold(caller, hold).await?;
        self.record_one(
            caller,
            transaction,
            ("ledger.hold_posted", None),
            once.as_ref(),
        )
        .await
    }

    /// Corrects an account against the organization's adjustment account. For admins alone.
    pub async fn post_adjustment(
        &self,
        caller: &Caller,
        new: &NewAdjustment,
        once: Option<Once<'_, Recorded>>,
    ) -> Result<Answer<Recorded>, Error> {
        if !caller.may(Scope::Admin) {
            return Err(Error::validation(
                "scope",
                "only an admin may adjust the ledger",
            ));
        }
        if new.reason.trim().is_empty() {
            return Err(Error::validation(
                "reason",
                "say why the ledger is corrected",
            ));
        }
        if new.kind == AccountKind::Adjustment {
            return Err(Error::validation(
                "kind",
                "an adjustment corrects another account",
            ));
        }
        let account = AccountKey {
            organization: caller.organization,
            asset: new.asset,
            kind: new.kind,
            wallet: new.wallet,
        };
        let against = AccountKey {
            kind: AccountKind::Adjustment,
            wallet: None,
            ..account
        };
        let legs = match new.side {
            Side::Debit => legs(account, against, new.units),
            Side::Credit => legs(against, account, new.units),
        };
        let transaction = Transaction {
            organization: caller.organization,
            source: source(SourceKind::Adjustment, &new.reference, "adjusted")?,
            phase: Phase::Posted,
            legs,
        };
        let what = ("ledger.adjusted", Some(new.reason.as_str()));
        self.record_one(caller, transaction, what, once.as_ref())
            .await
    }

    async fn record_one(
        &self,
        caller: &Caller,
        transaction: Transaction,
        (action, reason): (&'static str, Option<&str>),
        once: Option<&Once<'_, Recorded>>,
    ) -> Result<Answer<Recorded>, Error> {
        self.guard(caller.organization)?;
        let id = transaction.id();
        let transactions = [transaction];
        transact!(self, tx, {
            if let Some(answer) = self.replay(tx, caller, action, once).await? {
                return Ok(answer);
            }
            self.follow(tx, caller.organization).await?;
            let posted = self.post_all(tx, caller, &transactions).await;
            let (mut posted, _, mut mark) = posted.map_err(refusal)?;
            for paid in self.debts_paid(tx, &posted).await? {
                mark = self
                    .store_posted(tx, caller.organization, std::slice::from_ref(&paid))
                    .await?;
                posted.push(paid);
            }
            let posted = posted.len();
            let recorded = Recorded {
                transaction: id,
                existing: posted == 0,
                mark,
            };
            self.keep(tx, caller, action, once, &recorded).await?;
            if posted > 0 {
                let data = Posting {
                    mark,
                    transactions: posted,
                    reason,
                };
                self.record_posting(tx, caller, action, id.to_string(), data)
                    .await?;
            }
            Ok(Answer::Executed(recorded))
        })
    }

    async fn record_posting(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        action: &'static str,
        object: String,
        data: Posting<'_>,
    ) -> Result<(), Error> {
        let entry = Entry {
            organization: caller.organization,
            at_ms: self.now_ms(),
            actor: &caller.actor(),
            action,
            object,
            changes: Changes::default(),
            events: Outgoing::none().ledger_posted(
                caller.organization,
                data.mark.seq,
                data.transactions,
            ),
            data,
        };
        append(tx, &self.0.seals, entry).await?;
        Ok(())
    }

    /// What a customer has again, or anew, pays first what is owed from a reversed deposit: otherwise it could
    /// be spent although no chain shows it.
    async fn debts_paid(&self, tx: &mut Tx, posted: &[Posted]) -> Result<Vec<Posted>, Error> {
        let mut paid = Vec::new();
        for cause in posted {
            let customers = cause.entries.iter().map(|entry| entry.account);
            for customer in customers.filter(|own| own.kind == AccountKind::Customer) {
                let due = AccountKey {
                    kind: AccountKind::ReversalDue,
                    ..customer
                };
                let mut book = self
                    .open_book(tx, customer.organization, &[customer, due], &[])
                    .await?;
                let source = Source {
                    kind: cause.transaction.source.kind,
                    id: format!("{}/debt", cause.id),
                };
                if let Some(payment) = book.debt_payment(&customer, source) {
                    paid.push(book.post(payment)?);
                }
            }
        }
        Ok(paid)
    }

    /// Posts what was not posted before; answers what was, and how many had been.
    async fn post_all(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        transactions: &[Transaction],
    ) -> Result<(Vec<Posted>, usize, LedgerMark), Error> {
        let organization = caller.organization;
        let mut book = self.book_for(tx, organization, transactions).await?;
        let known: Vec<&Transaction> = transactions
            .iter()
            .filter(|transaction| book.is_posted(&transaction.id()))
            .collect();
        self.check_same(tx, caller, &known).await?;
        let mut posted: Vec<Posted> = Vec::with_capacity(transactions.len() - known.len());
        let known: HashSet<LedgerTransactionId> = known.iter().map(|known| known.id()).collect();
        for transaction in transactions {
            if known.is_empty() || !known.contains(&transaction.id()) {
                posted.push(book.post(transaction.clone())?);
            }
        }
        let mark = self.store_posted(tx, organization, &posted).await?;
        let existing = transactions.len() - posted.len();
        Ok((posted, existing, mark))
    }

    /// Refuses a reference that was used for other accounts or units.
    async fn check_same(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        wanted: &[&Transaction],
    ) -> Result<(), Error> {
        let wanted: HashMap<LedgerTransactionId, &Transaction> =
            wanted.iter().map(|wanted| (wanted.id(), *wanted)).collect();
        let ids: Vec<LedgerTransactionId> = wanted.keys().copied().collect();
        let found = rows::transactions(tx, &ids).await?;
        for (row, entries) in self
            .verified_transactions(tx, caller.organization, found)
            .await?
        {
            let wanted = wanted[&row.id];
            let legs = entries
                .iter()
                .map(|entry| (entry.account, entry.side, entry.units));
            let wanted_legs = wanted
                .legs
                .iter()
                .map(|leg| (leg.account.id(), leg.side, leg.units));
            let same =
                row.phase == wanted.phase && (wanted.legs.is_empty() || legs.eq(wanted_legs));
            if !same {
                return Err(LedgerError::Repeated(row.id).into());
            }
        }
        Ok(())
    }

    async fn check_hold(&self, caller: &Caller, id: LedgerTransactionId) -> Result<(), Error> {
        let mut tx = self.0.db.read().await?;
        let found = rows::transactions(&mut tx, &[id]).await?;
        let is_hold = found.iter().any(|sealed| {
            sealed.value.organization == caller.organization
                && sealed.value.source.kind == SourceKind::Hold
                && sealed.value.phase == Phase::Pending
        });
        if is_hold {
            return Ok(());
        }
        Err(Error::not_found("hold", id))
    }
}

/// What the audit record of a posting says.
#[derive(Serialize)]
struct Posting<'a> {
    #[serde(flatten)]
    mark: LedgerMark,
    transactions: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

fn made(caller: &Caller, transfer: &Transfer) -> Result<Transaction, Error> {
    let organization = caller.organization;
    if [&transfer.debit, &transfer.credit]
        .iter()
        .any(|account| account.organization != organization)
    {
        return Err(Error::validation(
            "account",
            "an account of another organization",
        ));
    }
    Ok(Transaction {
        organization,
        source: source(SourceKind::Transfer, &transfer.reference, "transferred")?,
        phase: Phase::Posted,
        legs: legs(transfer.debit, transfer.credit, transfer.units),
    })
}

fn resolution(
    caller: &Caller,
    hold: LedgerTransactionId,
    step: &str,
    phase: Phase,
) -> Result<Transaction, Error> {
    Ok(Transaction {
        organization: caller.organization,
        source: source(SourceKind::Hold, &hold.to_string(), step)?,
        phase,
        legs: Vec::new(),
    })
}

fn legs(debit: AccountKey, credit: AccountKey, units: U256) -> Vec<Leg> {
    let leg = |account, side| Leg {
        account,
        side,
        units,
    };
    vec![leg(debit, Side::Debit), leg(credit, Side::Credit)]
}

fn source(kind: SourceKind, reference: &str, step: &str) -> Result<Source, Error> {
    let good = (1..=REFERENCE_BYTES_MAX).contains(&reference.len())
        && !reference.chars().any(char::is_control);
    if !good {
        let message = format!("give 1 to {REFERENCE_BYTES_MAX} bytes without control characters");
        return Err(Error::validation("reference", message));
    }
    Ok(Source {
        kind,
        id: format!("{reference}/{step}"),
    })
}

/// What a person asked for that the ledger's rules forbid is a conflict, and no defect.
fn refusal(error: Error) -> Error {
    match error {
        Error::Ledger(LedgerError::Malformed { reason, .. }) => Error::validation("units", reason),
        Error::Ledger(error) => Error::StateConflict(error.to_string()),
        other => other,
    }
}
