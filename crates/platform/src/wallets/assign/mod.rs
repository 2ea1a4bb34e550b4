//! Wallets for customers who need them now, from the vault's address pool: one, or up to a thousand in one call.
//!
//! Calls that wait at the same moment share one transaction ([`desk`]), and with it one durable commit: what limits
//! single wallets is how often the disk can be made sure of, not how many there are. Guarantees: each call gets its
//! own answer; what makes one call fail leaves the others alone; a call's wallets, its audit record and its kept
//! answer are stored together or not at all. Cost: a call waits for the transaction under way, and for its own.

mod desk;
mod group;

use std::sync::Arc;

use coffer_domain::address::AddressKinds;
use coffer_domain::external_id::ExternalId;
use coffer_domain::id::VaultId;
use coffer_domain::wallet::Wallet;

use crate::{Answer, Caller, Error, OwnedOnce, Platform};

pub(crate) use desk::Desk;

const ONE: &str = "wallets.assign";
const MANY: &str = "wallets.assign_many";
/// Customers in one call.
pub const MAX_AT_ONCE: usize = 1000;

#[derive(Debug, Clone)]
pub struct NewWallet {
    pub vault: VaultId,
    pub external_id: ExternalId,
    pub label: Option<String>,
    /// A JSON object, as text.
    pub metadata: Option<String>,
    pub kinds: AddressKinds,
}

/// A wallet that is now, or was already, the customer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    pub wallet: Wallet,
    pub existing: bool,
}

impl Platform {
    /// Gives the customer a wallet, or the one it has; an empty pool is filled first.
    pub async fn assign_wallet(
        &self,
        caller: &Caller,
        new: NewWallet,
        once: Option<OwnedOnce<Assigned>>,
    ) -> Result<Answer<Assigned>, Error> {
        let once = once.map(|once| OwnedOnce {
            key: once.key,
            fingerprint: once.fingerprint,
            render: Arc::new(move |all: &Vec<Assigned>| (once.render)(&all[0])),
        });
        match self.ask_desk(caller, ONE, vec![new], once).await? {
            Answer::Executed(all) => {
                let one = all.into_iter().next();
                let one = one.ok_or_else(|| Error::Internal("no wallet was made".to_owned()))?;
                Ok(Answer::Executed(one))
            }
            Answer::Replayed { status, body } => Ok(Answer::Replayed { status, body }),
        }
    }

    /// The same for up to [`MAX_AT_ONCE`] customers and one vault, all in one transaction; one wallet for each,
    /// in their order. A customer who is named twice has one wallet, and it is `existing` the second time.
    pub async fn assign_wallets(
        &self,
        caller: &Caller,
        new: Vec<NewWallet>,
        once: Option<OwnedOnce<Vec<Assigned>>>,
    ) -> Result<Answer<Vec<Assigned>>, Error> {
        self.ask_desk(caller, MANY, new, once).await
    }

    async fn ask_desk(
        &self,
        caller: &Caller,
        operation: &'static str,
        new: Vec<NewWallet>,
        once: Option<OwnedOnce<Vec<Assigned>>>,
    ) -> Result<Answer<Vec<Assigned>>, Error> {
        self.guard(caller.organization)?;
        if new.is_empty() || new.len() > MAX_AT_ONCE {
            let text = format!("give 1 to {MAX_AT_ONCE}");
            return Err(Error::validation("wallets", text));
        }
        if new.iter().any(|new| new.kinds.is_empty()) {
            return Err(Error::validation("chains", "name at least one chain"));
        }
        if new.iter().any(|other| other.vault != new[0].vault) {
            return Err(Error::validation("vault_id", "one call is for one vault"));
        }
        let (call, answered) = desk::Call::new(caller, operation, new, once);
        self.queue_call(call)?;
        answered
            .await
            .map_err(|_| Error::Internal("the work on this call ended early".to_owned()))?
    }
}
