//! Releasing and rejecting held deposits.

use coffer_domain::deposit::{Deposit, DepositState};
use coffer_domain::id::DepositId;
use coffer_domain::network::NetworkState;
use coffer_domain::sync::funds;
use coffer_store::{Tx, deposits as rows};
use serde_json::json;

use crate::audit::{Changes, Entry, append};
use crate::events::Outgoing;
use crate::transaction::transact;
use crate::{Answer, Caller, Error, Once, Platform};

const MAX_REASON_BYTES: usize = 1000;

/// What a person decides about a held deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepositDecision {
    /// Its block needs the confirmations that every credit needs, its asset's breaker must be closed and its
    /// network followed.
    Release,
    /// For good; its value stays in suspense.
    Reject,
}

impl Platform {
    /// Credits a held deposit, or refuses it. The reason goes into the audit chain.
    pub async fn decide_deposit(
        &self,
        caller: &Caller,
        id: DepositId,
        (decision, reason): (DepositDecision, &str),
        once: Option<Once<'_, Deposit>>,
    ) -> Result<Answer<Deposit>, Error> {
        self.guard(caller.organization)?;
        let reason = reason.trim();
        if reason.is_empty() || reason.len() > MAX_REASON_BYTES {
            let message = format!("give a reason of at most {MAX_REASON_BYTES} bytes");
            return Err(Error::validation("reason", message));
        }
        let operation = match decision {
            DepositDecision::Release => "deposits.release",
            DepositDecision::Reject => "deposits.reject",
        };
        let shown = self.deposit(caller, id).await?.deposit;
        transact!(self, tx, {
            if let Some(answer) = self.replay(tx, caller, operation, once.as_ref()).await? {
                return Ok(answer);
            }
            // First the network, then the ledger, then the audit: the order of every writer.
            let progress = self.lock_progress(tx, shown.network).await?;
            self.follow(tx, caller.organization).await?;
            let deposit = self.own_deposit(tx, caller, id).await?;
            let decided = match decision {
                DepositDecision::Release => {
                    let head = progress.tip.map(|tip| tip.height);
                    self.may_release(tx, &deposit, head).await?;
                    self.release(tx, deposit, (caller, reason)).await?
                }
                DepositDecision::Reject => self.reject(tx, deposit, (caller, reason)).await?,
            };
            self.keep(tx, caller, operation, once.as_ref(), &decided)
                .await?;
            Ok(Answer::Executed(decided))
        })
    }

    async fn may_release(
        &self,
        tx: &mut Tx,
        deposit: &Deposit,
        head: Option<coffer_domain::block::BlockHeight>,
    ) -> Result<(), Error> {
        use coffer_domain::asset::AssetState;
        let refuse = |why: String| Err(Error::StateConflict(why));
        if deposit.state != DepositState::Held {
            return refuse(format!(
                "a deposit that is {} cannot be released",
                deposit.state
            ));
        }
        let network = self.network_in(tx, deposit.network).await?;
        if network.state != NetworkState::Active {
            return refuse(format!(
                "its network is {}; nothing is credited",
                network.state
            ));
        }
        let assets = self.asset_rows(tx, &network).await?;
        let active = |asset: &coffer_domain::asset::Asset| {
            asset.id == deposit.asset && asset.state == AssetState::Active
        };
        if !assets.iter().any(active) {
            return refuse("its asset's breaker is tripped, or it is off the list".to_owned());
        }
        let least = deposit.movement.part.confirmations_min();
        let needed = u64::from(network.settings.confirmations.get()).max(least);
        let has = head.map_or(0, |head| deposit.block.height.confirmations_at(head));
        if has < needed {
            return refuse(format!(
                "it has {has} of {needed} confirmations; try again later"
            ));
        }
        Ok(())
    }

    async fn release(
        &self,
        tx: &mut Tx,
        deposit: Deposit,
        (caller, reason): (&Caller, &str),
    ) -> Result<Deposit, Error> {
        let before = deposit.version;
        let accounts = deposit.accounts().to_vec();
        let mut book = self
            .book_of(tx, deposit.organization, accounts, &[])
            .await?;
        let funds = funds(&book, &deposit);
        let outcome = deposit
            .release(funds, self.now_ms())
            .map_err(|error| Error::StateConflict(error.to_string()))?;
        let mut posted = Vec::with_capacity(outcome.postings.len());
        for transaction in outcome.postings {
            posted.push(book.post(transaction)?);
        }
        let decided = self.store_decided(tx, outcome.deposit, before).await?;
        let mark = self.store_posted(tx, decided.organization, &posted).await?;
        let data = json!({
            "reason": reason, "ledger_seq": mark.seq, "ledger_hash": hex::encode(mark.hash),
        });
        let events = self.decision_told(tx, &decided).await?.ledger_posted(
            decided.organization,
            mark.seq,
            posted.len(),
        );
        self.record_decision(tx, (caller, "deposit.released"), &decided, (data, events))
            .await?;
        Ok(decided)
    }

    async fn reject(
        &self,
        tx: &mut Tx,
        deposit: Deposit,
        (caller, reason): (&Caller, &str),
    ) -> Result<Deposit, Error> {
        let before = deposit.version;
        let outcome = deposit
            .reject(reason.to_owned(), self.now_ms())
            .map_err(|error| Error::StateConflict(error.to_string()))?;
        let decided = self.store_decided(tx, outcome.deposit, before).await?;
        let data = json!({ "reason": reason });
        let events = self.decision_told(tx, &decided).await?;
        self.record_decision(tx, (caller, "deposit.rejected"), &decided, (data, events))
            .await?;
        Ok(decided)
    }

    async fn decision_told(&self, tx: &mut Tx, deposit: &Deposit) -> Result<Outgoing, Error> {
        let network = self.network_in(tx, deposit.network).await?;
        self.deposits_told(tx, &network, &[deposit]).await
    }

    async fn store_decided(
        &self,
        tx: &mut Tx,
        deposit: Deposit,
        before: u32,
    ) -> Result<Deposit, Error> {
        let sealed = self.0.seals.seal(deposit);
        rows::update(tx, &sealed, before).await?;
        Ok(sealed.value)
    }

    async fn record_decision(
        &self,
        tx: &mut Tx,
        (caller, action): (&Caller, &'static str),
        deposit: &Deposit,
        (data, events): (serde_json::Value, Outgoing),
    ) -> Result<(), Error> {
        let entry = Entry {
            organization: caller.organization,
            at_ms: self.now_ms(),
            actor: &caller.actor(),
            action,
            object: deposit.id.to_string(),
            changes: Changes::version(deposit.id, deposit.version),
            data,
            events,
        };
        append(tx, &self.0.seals, entry).await?;
        Ok(())
    }
}
