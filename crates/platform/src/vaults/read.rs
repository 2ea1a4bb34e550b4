//! Reading vaults: sealed, at their latest version, of the caller's organization.

use std::sync::{Arc, PoisonError};

use coffer_domain::id::{OrganizationId, VaultId};
use coffer_domain::vault::Vault;
use coffer_store::vaults::{self as rows, VaultRow};
use coffer_store::{Sealed, Tx};

use super::AccountKeys;
use crate::freshness::{Versioned, check_complete};
use crate::transaction::reread;
use crate::{Caller, Error, Platform};

impl Platform {
    pub async fn vaults(&self, caller: &Caller) -> Result<Vec<Vault>, Error> {
        self.guard(caller.organization)?;
        reread!(self.try_vaults(caller))
    }

    async fn try_vaults(&self, caller: &Caller) -> Result<Vec<Vault>, Error> {
        let known = self.0.chains.known(caller.organization, VaultId::PREFIX);
        let mut tx = self.0.db.read().await?;
        let listed = rows::of_organization(&mut tx, caller.organization).await?;
        let mut vaults = Vec::with_capacity(listed.len());
        for sealed in listed {
            vaults.push(self.open_vault(&mut tx, sealed).await?.vault);
        }
        // A vault that was hidden would make another one the default, with another gate.
        let found: Vec<String> = vaults.iter().map(|vault| vault.id.to_string()).collect();
        check_complete(known, &found)?;
        Ok(vaults)
    }

    pub async fn vault(&self, caller: &Caller, id: VaultId) -> Result<Vault, Error> {
        self.guard(caller.organization)?;
        let row = self.read_vault(id).await?;
        let own = row.filter(|row| row.vault.organization == caller.organization);
        own.map(|row| row.vault)
            .ok_or_else(|| self.absent(caller.organization, "vault", id))
    }

    /// The vault a caller means when it names none: its only one, or the first made.
    pub async fn default_vault(&self, caller: &Caller) -> Result<VaultId, Error> {
        let first = self.vaults(caller).await?.into_iter().next();
        first.map(|vault| vault.id).ok_or_else(|| {
            Error::validation("vault", "this organization has no vault; run `coffer init`")
        })
    }

    /// Seal and version of a vault's row.
    pub(crate) async fn open_vault(
        &self,
        tx: &mut Tx,
        sealed: Sealed<VaultRow>,
    ) -> Result<VaultRow, Error> {
        let row = self.0.seals.open(sealed, |row| row.vault.id.to_string())?;
        self.check_version(
            tx,
            row.vault.organization,
            Versioned::Vault(row.vault.id),
            row.vault.version,
        )
        .await?;
        Ok(row)
    }

    /// A vault of any organization, in a snapshot of its own.
    pub(crate) async fn read_vault(&self, id: VaultId) -> Result<Option<VaultRow>, Error> {
        reread!(self.try_vault(id))
    }

    async fn try_vault(&self, id: VaultId) -> Result<Option<VaultRow>, Error> {
        let mut tx = self.0.db.read().await?;
        match rows::by_id(&mut tx, id).await? {
            Some(sealed) => self.open_vault(&mut tx, sealed).await.map(Some),
            None => Ok(None),
        }
    }

    /// In a write transaction; for a reader there is [`Self::read_vault`].
    pub(crate) async fn vault_row(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        id: VaultId,
    ) -> Result<VaultRow, Error> {
        let sealed = rows::by_id(tx, id).await?;
        self.own_vault(tx, organization, id, sealed).await
    }

    /// Like [`Self::vault_row`], and nobody else changes the vault until this transaction ends.
    pub(crate) async fn lock_vault(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        id: VaultId,
    ) -> Result<VaultRow, Error> {
        let sealed = rows::lock(tx, id).await?;
        self.own_vault(tx, organization, id, sealed).await
    }

    async fn own_vault(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        id: VaultId,
        sealed: Option<Sealed<VaultRow>>,
    ) -> Result<VaultRow, Error> {
        let sealed = sealed.filter(|sealed| sealed.value.vault.organization == organization);
        let sealed = sealed.ok_or_else(|| self.absent(organization, "vault", id))?;
        self.open_vault(tx, sealed).await
    }

    /// Stores a vault that was changed under its lock: next version, new seal.
    pub(crate) async fn store_vault(&self, tx: &mut Tx, mut row: VaultRow) -> Result<Vault, Error> {
        let expected = row.vault.version;
        row.vault.version += 1;
        let sealed = self.0.seals.seal(row);
        rows::update(tx, &sealed, expected).await?;
        Ok(sealed.value.vault)
    }

    /// The vault's account keys, decrypted once per run.
    pub(crate) fn account_keys(&self, row: &VaultRow) -> Result<Arc<AccountKeys>, Error> {
        let mut accounts = self
            .0
            .accounts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = accounts.get(&row.vault.id) {
            return Ok(Arc::clone(known));
        }
        let keys = Arc::new(AccountKeys::open(&self.0.seals, row)?);
        accounts.insert(row.vault.id, Arc::clone(&keys));
        Ok(keys)
    }
}
