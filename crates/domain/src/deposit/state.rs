//! The machine: every transition, and what it posts.

use ruint::aliases::U256;

use super::{Deposit, DepositState};
use crate::block::BlockRef;
use crate::id::LedgerTransactionId;
use crate::ledger::{Leg, Phase, Posting, RulePhase, Side, Source, SourceKind, Transaction, rule};
use crate::movement::Movement;

/// What is decided about a deposit at first sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Credit,
    Hold(String),
    Reject(String),
}

/// What the wallet's customer has, as the ledger says at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Funds {
    /// What may be spent.
    pub available: U256,
    /// What is owed from earlier reversals.
    pub reversal_due: U256,
}

/// The deposit after a transition, and what the ledger has to post in the same database transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Outcome {
    pub deposit: Deposit,
    pub postings: Vec<Transaction>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a deposit that is {from} cannot be {event}")]
pub struct TransitionError {
    pub from: DepositState,
    pub event: &'static str,
}

impl Deposit {
    /// A deposit at first sight. `self` comes as `Detected`, inclusion 1, version 1.
    pub fn detect(self, verdict: Verdict) -> Outcome {
        self.included(verdict)
    }

    /// A retracted deposit whose transaction came again, in `block`. Only its identity is the same: run in
    /// another block, a contract may send another asset, or for somebody else, as the same part.
    pub fn reinclude(
        mut self,
        block: BlockRef,
        movement: &Movement,
        verdict: Verdict,
        now_ms: i64,
    ) -> Result<Outcome, TransitionError> {
        self.expect(&[DepositState::Retracted], "included again")?;
        self.block = block;
        self.inclusion += 1;
        self.asset = movement.asset;
        self.from = movement.from;
        self.face_units = movement.face_units;
        self.units = movement.gained_units;
        self.touch(now_ms);
        Ok(self.included(verdict))
    }

    fn included(mut self, verdict: Verdict) -> Outcome {
        let verdict = if self.units.is_zero() {
            Verdict::Reject("the balance gained nothing".to_owned())
        } else {
            verdict
        };
        let (state, reason, posting) = match verdict {
            Verdict::Credit => (DepositState::Detected, None, Posting::Detected),
            Verdict::Hold(why) => (DepositState::Held, Some(why), Posting::Shelved),
            Verdict::Reject(why) => (DepositState::Rejected, Some(why), Posting::Shelved),
        };
        self.state = state;
        self.reason = reason;
        let postings = if self.units.is_zero() {
            Vec::new()
        } else {
            vec![self.posting(posting, self.units)]
        };
        Outcome {
            deposit: self,
            postings,
        }
    }

    /// The same inclusion, refused: nothing of it is in the ledger, since the ledger cannot count so much.
    pub(crate) fn uncountable(mut self) -> Self {
        self.units = U256::ZERO;
        self.state = DepositState::Rejected;
        self.reason = Some("it is more than the ledger can count".to_owned());
        self
    }

    /// Enough confirmations: the customer is credited, an old debt from a reversal paid first.
    pub fn confirm(mut self, funds: Funds, now_ms: i64) -> Result<Outcome, TransitionError> {
        self.expect(&[DepositState::Detected], "confirmed")?;
        let mut postings = vec![self.posting(Posting::Confirmed, self.units)];
        postings.extend(self.recovery(funds));
        self.state = DepositState::Confirmed;
        self.touch(now_ms);
        Ok(Outcome {
            deposit: self,
            postings,
        })
    }

    /// Its block stays. Nothing is posted.
    pub fn finalize(mut self, now_ms: i64) -> Result<Outcome, TransitionError> {
        self.expect(&[DepositState::Confirmed], "finalized")?;
        self.state = DepositState::Finalized;
        self.touch(now_ms);
        Ok(Outcome {
            deposit: self,
            postings: Vec::new(),
        })
    }

    /// Its block was reorganized away.
    pub fn retract(mut self, funds: Funds, now_ms: i64) -> Result<Outcome, TransitionError> {
        let postings = match self.state {
            DepositState::Retracted => {
                return Err(TransitionError {
                    from: self.state,
                    event: "retracted",
                });
            }
            _ if self.units.is_zero() => Vec::new(),
            DepositState::Detected => vec![self.posting(Posting::Voided, self.units)],
            DepositState::Held | DepositState::Rejected => {
                vec![self.posting(Posting::Unshelved, self.units)]
            }
            DepositState::Confirmed | DepositState::Finalized => self.reversal(funds),
        };
        self.state = DepositState::Retracted;
        self.reason = Some("its block was reorganized away".to_owned());
        self.touch(now_ms);
        Ok(Outcome {
            deposit: self,
            postings,
        })
    }

    /// A person lets a held deposit be credited; its block must have its confirmations.
    pub fn release(mut self, funds: Funds, now_ms: i64) -> Result<Outcome, TransitionError> {
        self.expect(&[DepositState::Held], "released")?;
        let mut postings = vec![self.posting(Posting::Released, self.units)];
        postings.extend(self.recovery(funds));
        self.state = DepositState::Confirmed;
        self.reason = None;
        self.touch(now_ms);
        Ok(Outcome {
            deposit: self,
            postings,
        })
    }

    /// A person refuses a held deposit; its value stays in suspense.
    pub fn reject(mut self, reason: String, now_ms: i64) -> Result<Outcome, TransitionError> {
        self.expect(&[DepositState::Held], "rejected")?;
        self.state = DepositState::Rejected;
        self.reason = Some(reason);
        self.touch(now_ms);
        Ok(Outcome {
            deposit: self,
            postings: Vec::new(),
        })
    }

    /// Takes back a credit: from what the customer has, and the rest as a debt.
    fn reversal(&self, funds: Funds) -> Vec<Transaction> {
        let covered = self.units.min(funds.available);
        let spent = self.units - covered;
        [
            (Posting::Reversed, covered),
            (Posting::ReversedSpent, spent),
        ]
        .into_iter()
        .filter(|(_, units)| !units.is_zero())
        .map(|(posting, units)| self.posting(posting, units))
        .collect()
    }

    /// Pays a debt from the credit that is being given and from what there was; `funds` are those before it.
    fn recovery(&self, funds: Funds) -> Option<Transaction> {
        let all = self.units.saturating_add(funds.available);
        let units = funds.reversal_due.min(all);
        (!units.is_zero()).then(|| self.posting(Posting::Recovered, units))
    }

    fn expect(&self, states: &[DepositState], event: &'static str) -> Result<(), TransitionError> {
        if states.contains(&self.state) {
            return Ok(());
        }
        Err(TransitionError {
            from: self.state,
            event,
        })
    }

    fn touch(&mut self, now_ms: i64) {
        self.changed_at_ms = now_ms;
        self.version += 1;
    }

    fn source(&self, step: &str) -> Source {
        Source {
            kind: SourceKind::Deposit,
            id: format!("{}/{}/{step}", self.id, self.inclusion),
        }
    }

    /// The pending transaction of this inclusion.
    #[must_use]
    pub fn pending_id(&self) -> LedgerTransactionId {
        self.source(rule(Posting::Detected).name)
            .transaction_id(self.organization)
    }

    fn posting(&self, posting: Posting, units: U256) -> Transaction {
        let rule = rule(posting);
        let of = self.pending_id();
        let (phase, resolves) = match rule.phase {
            RulePhase::Posted => (Phase::Posted, false),
            RulePhase::Pending => (Phase::Pending, false),
            RulePhase::Post => (Phase::Post { of }, true),
            RulePhase::Void => (Phase::Void { of }, true),
        };
        let leg = |(side, kind): (Side, _)| Leg {
            account: self.account(kind),
            side,
            units,
        };
        Transaction {
            organization: self.organization,
            source: self.source(rule.name),
            phase,
            legs: if resolves {
                Vec::new()
            } else {
                rule.legs().map(leg).to_vec()
            },
        }
    }
}
