//! One wallet for one customer, from the vault's address pool.

use coffer_domain::address::AddressKinds;
use coffer_domain::external_id::ExternalId;
use coffer_domain::id::{VaultId, WalletId};
use coffer_domain::vault::{Vault, VaultState};
use coffer_domain::wallet::Wallet;
use coffer_store::Tx;
use coffer_store::pools::{self, PoolEntry};
use coffer_store::wallets as rows;
use sha2::{Digest, Sha256};

use crate::audit::{Changes, CreatedWallets, Entry, append};
use crate::events::Outgoing;
use crate::transaction::transact;
use crate::{Answer, Caller, Error, Once, Platform};

const OPERATION: &str = "wallets.assign";

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
    /// Gives the customer a wallet, or the one it has. Taking from the pool is one short transaction; an
    /// empty pool is filled first.
    pub async fn assign_wallet(
        &self,
        caller: &Caller,
        new: NewWallet,
        once: Option<Once<'_, Assigned>>,
    ) -> Result<Answer<Assigned>, Error> {
        self.guard(caller.organization)?;
        if new.kinds.is_empty() {
            return Err(Error::validation("chains", "name at least one chain"));
        }
        loop {
            let taken = transact!(self, tx, {
                self.try_assign(tx, caller, &new, once.as_ref()).await
            })?;
            let _ = coffer_failpoint::hit("pool.take.after_commit", "");
            match taken {
                Some(answer) => return Ok(answer),
                None => self.begin_pool(new.vault).await?,
            }
        }
    }

    /// `None` when the pool is empty.
    async fn try_assign(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        new: &NewWallet,
        once: Option<&Once<'_, Assigned>>,
    ) -> Result<Option<Answer<Assigned>>, Error> {
        if let Some(answer) = self.replay(tx, caller, OPERATION, once).await? {
            return Ok(Some(answer));
        }
        self.follow(tx, caller.organization).await?;
        let key = new.external_id.key(caller.organization);
        let assigned = match rows::by_external_key(tx, &key).await? {
            Some(found) => Assigned {
                wallet: self.open_wallet(tx, found).await?,
                existing: true,
            },
            None => match self.take_from_pool(tx, caller, new).await? {
                Some(wallet) => Assigned {
                    wallet,
                    existing: false,
                },
                None => return Ok(None),
            },
        };
        self.keep(tx, caller, OPERATION, once, &assigned).await?;
        Ok(Some(Answer::Executed(assigned)))
    }

    async fn take_from_pool(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        new: &NewWallet,
    ) -> Result<Option<Wallet>, Error> {
        let vault = self
            .vault_row(tx, caller.organization, new.vault)
            .await?
            .vault;
        if vault.state != VaultState::Open {
            return Err(Error::VaultAwaitingDrill(vault.id));
        }
        let Some(entry) = self.pool_entry(tx, caller, vault.id).await? else {
            return Ok(None);
        };
        let all = rows::unpack_payloads(AddressKinds::ALL, &entry.payloads)?;
        let state = self.born_state(tx, &vault, &new.external_id).await?;
        let wallet = Wallet {
            id: WalletId::of_index(vault.id, entry.index),
            organization: caller.organization,
            vault: vault.id,
            index: entry.index,
            external_id: new.external_id.clone(),
            label: new.label.clone(),
            metadata: new.metadata.clone(),
            state,
            reason: None,
            payloads: all
                .into_iter()
                .filter(|payload| new.kinds.contains(payload.kind()))
                .collect(),
            batch: None,
            created_by: caller.key,
            created_at_ms: self.now_ms(),
            version: 1,
        };
        self.store_assigned(tx, caller, &vault, wallet)
            .await
            .map(Some)
    }

    /// Removes the lowest entry that was never handed out.
    async fn pool_entry(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        vault: VaultId,
    ) -> Result<Option<PoolEntry>, Error> {
        let Some(sealed) = pools::take(tx, vault).await? else {
            return Ok(None);
        };
        let entry = self.0.seals.open(sealed, |entry| {
            format!("the pool entry {} of {}", entry.index, entry.vault)
        })?;
        // What others committed a moment ago counts too.
        self.0
            .chains
            .catch_up(tx, &self.0.seals, caller.organization)
            .await?;
        if self
            .0
            .chains
            .wallet_version(caller.organization, vault, entry.index)
            > 0
        {
            // An entry that was taken before and put back would give one address to two customers.
            return Err(crate::seal::refused(format!(
                "the pool entry {} of {}",
                entry.index, entry.vault
            )));
        }
        Ok(Some(entry))
    }

    /// The wallet, what its gate has to ask, and its audit record.
    async fn store_assigned(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        vault: &Vault,
        wallet: Wallet,
    ) -> Result<Wallet, Error> {
        let sealed = self.0.seals.seal(wallet);
        rows::insert_many(tx, std::slice::from_ref(&sealed)).await?;
        self.queue_hooks(tx, vault, std::slice::from_ref(&sealed))
            .await?;
        let digest = Sha256::digest(&sealed.seal).into();
        let created = CreatedWallets::of(vault.id, std::iter::once(sealed.value.index), digest);
        let record = Entry {
            organization: caller.organization,
            at_ms: self.now_ms(),
            actor: &caller.actor(),
            action: "wallet.created",
            object: sealed.value.id.to_string(),
            changes: Changes {
                versions: Vec::new(),
                created: Some(created),
                events: None,
            },
            data: serde_json::json!({ "state": sealed.value.state.name() }),
            events: Outgoing::none().wallets_created(
                vault.id,
                None,
                std::iter::once((sealed.value.index, sealed.value.state)),
            ),
        };
        append(tx, &self.0.seals, record).await?;
        if coffer_failpoint::hit("pool.take.before_commit", "") == coffer_failpoint::Outcome::Fail {
            return Err(Error::StoreUnavailable("failpoint".to_owned()));
        }
        Ok(sealed.value)
    }
}
