//! Activating and rejecting: by a caller who did not create the wallet, or by a gate.

use coffer_domain::event::EventType;
use coffer_domain::id::WalletId;
use coffer_domain::wallet::{Decision, Wallet};
use coffer_store::{Tx, hook_jobs, wallets as rows};

use crate::audit::{Changes, Entry, append};
use crate::events::{Outgoing, WalletEventV1};
use crate::transaction::transact;
use crate::{Answer, Caller, Error, Once, Platform};

const MAX_REASON_BYTES: usize = 1000;

impl Platform {
    /// Activates or rejects a pending wallet. A rejection needs a reason.
    pub async fn decide_wallet(
        &self,
        caller: &Caller,
        id: WalletId,
        decision: Decision,
        reason: Option<String>,
        once: Option<Once<'_, Wallet>>,
    ) -> Result<Answer<Wallet>, Error> {
        self.guard(caller.organization)?;
        validate(decision, reason.as_deref())?;
        let operation = match decision {
            Decision::Activate => "wallets.activate",
            Decision::Reject => "wallets.reject",
        };
        transact!(self, tx, {
            if let Some(answer) = self.replay(tx, caller, operation, once.as_ref()).await? {
                return Ok(answer);
            }
            let found = rows::lock(tx, id)
                .await?
                .ok_or_else(|| Error::not_found("wallet", id))?;
            self.follow(tx, caller.organization).await?;
            let wallet = self.open_wallet(tx, found).await?;
            if wallet.organization != caller.organization {
                return Err(Error::not_found("wallet", id));
            }
            if wallet.created_by == caller.key {
                return Err(Error::SameActor);
            }
            let wallet = self
                .apply_decision(tx, wallet, decision, reason.clone(), &caller.actor())
                .await?;
            self.keep(tx, caller, operation, once.as_ref(), &wallet)
                .await?;
            Ok(Answer::Executed(wallet))
        })
    }

    /// The transition with its audit record, in the caller's transaction.
    pub(crate) async fn apply_decision(
        &self,
        tx: &mut Tx,
        mut wallet: Wallet,
        decision: Decision,
        reason: Option<String>,
        actor: &str,
    ) -> Result<Wallet, Error> {
        let state = wallet
            .state
            .decide(decision)
            .map_err(|error| Error::StateConflict(error.to_string()))?;
        let expected = wallet.version;
        wallet.state = state;
        wallet.reason = reason;
        wallet.version += 1;
        let sealed = self.0.seals.seal(wallet);
        rows::update_state(tx, &sealed, expected).await?;
        let wallet = sealed.value;
        hook_jobs::remove(tx, wallet.id).await?;
        let vault = self
            .vault_row(tx, wallet.organization, wallet.vault)
            .await?
            .vault;
        let entry = Entry {
            organization: wallet.organization,
            at_ms: self.now_ms(),
            actor,
            action: match decision {
                Decision::Activate => "wallet.activated",
                Decision::Reject => "wallet.rejected",
            },
            object: wallet.id.to_string(),
            changes: Changes::version(wallet.id, wallet.version),
            data: serde_json::json!({ "reason": wallet.reason }),
            events: Outgoing::one(
                EventType::of_decision(decision),
                wallet.id,
                &WalletEventV1::now(&wallet, vault.bitcoin_network),
            ),
        };
        append(tx, &self.0.seals, entry).await?;
        if coffer_failpoint::hit("wallet.transition.before_commit", "")
            == coffer_failpoint::Outcome::Fail
        {
            return Err(Error::StoreUnavailable("failpoint".to_owned()));
        }
        Ok(wallet)
    }
}

fn validate(decision: Decision, reason: Option<&str>) -> Result<(), Error> {
    let given = reason.map_or(0, |reason| reason.trim().len());
    if decision == Decision::Reject && given == 0 {
        return Err(Error::validation("reason", "a rejection needs a reason"));
    }
    if given > MAX_REASON_BYTES {
        return Err(Error::validation(
            "reason",
            format!("at most {MAX_REASON_BYTES} bytes"),
        ));
    }
    Ok(())
}
