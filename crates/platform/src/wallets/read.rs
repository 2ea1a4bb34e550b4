//! Every path on which a wallet is read: its seal verified, its version the latest, its owner the caller.

use coffer_chains::ParsedAddress;
use coffer_domain::address::AddressPayload;
use coffer_domain::external_id::ExternalId;
use coffer_domain::id::{VaultId, WalletId};
use coffer_domain::vault::Vault;
use coffer_domain::wallet::{Wallet, WalletState};
use coffer_store::vaults::VaultRow;
use coffer_store::wallets::{self as rows, Found};
use coffer_store::{Sealed, Tx};

use crate::seal::refused;
use crate::vaults::Derivation;
use crate::{Caller, Error, Mark, Platform};

/// A stored wallet that is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub id: WalletId,
}

#[derive(Debug, Clone)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Wallets of this page whose rows were changed outside Coffer.
    pub refused: Vec<Refused>,
    /// Where the next page begins.
    pub next: Option<WalletId>,
}

#[derive(Debug, Clone, Default)]
pub struct WalletFilter {
    pub vault: Option<VaultId>,
    pub state: Option<WalletState>,
}

fn unknown() -> Error {
    Error::not_found("address", "of this organization")
}

impl Platform {
    pub async fn wallet(&self, caller: &Caller, id: WalletId) -> Result<Wallet, Error> {
        self.guard(caller.organization)?;
        match self.find_wallet(caller, id).await? {
            Some(wallet) => Ok(wallet),
            // An id that the audit knows and the table does not is a row that was deleted.
            None if self.0.chains.knows_wallet(caller.organization, id) => {
                Err(refused(id.to_string()))
            }
            None => Err(Error::not_found("wallet", id)),
        }
    }

    async fn find_wallet(&self, caller: &Caller, id: WalletId) -> Result<Option<Wallet>, Error> {
        let mut last = Err(Error::Internal("no attempt was made".to_owned()));
        // A row read just before another process changed it looks old; the second look does not.
        for _ in 0..2 {
            let mut tx = self.0.db.read().await?;
            self.follow(&mut tx, caller.organization).await?;
            let Some(found) = rows::by_id(&mut tx, id).await? else {
                return Ok(None);
            };
            // Another organization's wallet is none of the caller's, broken or not. Should it be the caller's
            // own, moved away by hand, the audit still knows it and the caller is told of a refusal.
            if matches!(&found, Ok(sealed) if sealed.value.organization != caller.organization) {
                return Ok(None);
            }
            last = self.open_wallet(&mut tx, found).await;
            if !matches!(last, Err(Error::Integrity { .. })) {
                break;
            }
        }
        last.map(Some)
    }

    pub async fn wallet_by_external_id(
        &self,
        caller: &Caller,
        external_id: &ExternalId,
    ) -> Result<Option<Wallet>, Error> {
        self.guard(caller.organization)?;
        let mut tx = self.0.db.read().await?;
        let found = rows::by_external_id(&mut tx, caller.organization, external_id).await?;
        let Some(found) = found else {
            return Ok(None);
        };
        let id = match &found {
            Ok(sealed) => sealed.value.id,
            Err((id, _)) => *id,
        };
        drop(tx);
        let wallet = self.wallet(caller, id).await?;
        if wallet.external_id != *external_id {
            return Err(refused(id.to_string()));
        }
        Ok(Some(wallet))
    }

    /// The wallet of an address, see [`Self::address_owner`].
    pub async fn wallet_by_address(
        &self,
        caller: &Caller,
        address: &ParsedAddress,
    ) -> Result<Wallet, Error> {
        let mark = self.mark().await;
        let found = self.address_owner(caller, mark.as_ref(), address).await?;
        Ok(found.0)
    }

    /// The wallet of an address, and its vault, as they were at `mark` or later. The index table is believed only as
    /// far as the wallet's sealed row confirms it; and the address is derived again from the account key, by the
    /// second implementation.
    pub async fn address_owner(
        &self,
        caller: &Caller,
        mark: Option<&Mark>,
        address: &ParsedAddress,
    ) -> Result<(Wallet, Vault), Error> {
        self.guard(caller.organization)?;
        let quick = match mark {
            Some(mark) => self.look_up(caller, mark, address).await?,
            None => None,
        };
        let (wallet, row) = match quick {
            Some(found) => found,
            None => self.search(caller, address).await?,
        };
        self.derives_again(&wallet, &row, &address.payload)?;
        if address.serves(row.vault.bitcoin_network) {
            Ok((wallet, row.vault))
        } else {
            Err(unknown())
        }
    }

    /// One statement, and everything about it verified; `None` when anything is not as it should be, and whoever
    /// asked goes the long way, which tells a refusal from a row that changed meanwhile.
    async fn look_up(
        &self,
        caller: &Caller,
        mark: &Mark,
        address: &ParsedAddress,
    ) -> Result<Option<(Wallet, VaultRow)>, Error> {
        self.follow_to(mark, caller.organization).await?;
        let found = rows::look_by_address(&self.0.db, &address.payload).await?;
        let Some(Ok(Sealed { value, seal })) = found else {
            return Ok(None);
        };
        let chains = &self.0.chains;
        let sound = value.organization == caller.organization
            && self.0.seals.verifies(&value, &seal)
            && value.id == WalletId::of_index(value.vault, value.index)
            && chains.wallet_version(value.organization, value.vault, value.index) == value.version
            && value.payloads.contains(&address.payload);
        if !sound {
            return Ok(None);
        }
        let row = self.vault_at(mark, value.vault).await?;
        let own = row.filter(|row| row.vault.organization == caller.organization);
        Ok(own.map(|row| (value, row)))
    }

    async fn search(
        &self,
        caller: &Caller,
        address: &ParsedAddress,
    ) -> Result<(Wallet, VaultRow), Error> {
        let mut tx = self.0.db.read().await?;
        let id = coffer_store::addresses::wallet_of(&mut tx, &address.payload)
            .await?
            .ok_or_else(unknown)?;
        drop(tx);
        let wallet = match self.wallet(caller, id).await {
            Err(Error::NotFound { .. }) => return Err(unknown()),
            other => other?,
        };
        if !wallet.payloads.contains(&address.payload) {
            return Err(refused(format!("the address index's entry for {id}")));
        }
        let row = self.read_vault(wallet.vault).await?;
        let own = row.filter(|row| row.vault.organization == caller.organization);
        let row = own.ok_or_else(|| self.absent(caller.organization, "vault", wallet.vault))?;
        Ok((wallet, row))
    }

    /// Solana's keys are the signer's to derive; for them the seal alone speaks.
    fn derives_again(
        &self,
        wallet: &Wallet,
        row: &VaultRow,
        payload: &AddressPayload,
    ) -> Result<(), Error> {
        let account = self.account_keys(row)?;
        if Derivation::derives(&account, wallet.index, payload)? {
            return Ok(());
        }
        tracing::error!(wallet = %wallet.id, alarm = "derivation", "a stored address is not the one that its key gives");
        Err(refused(wallet.id.to_string()))
    }

    pub async fn wallets(
        &self,
        caller: &Caller,
        filter: &WalletFilter,
        after: Option<WalletId>,
        limit: u32,
    ) -> Result<Page<Wallet>, Error> {
        self.guard(caller.organization)?;
        let filter = rows::Filter {
            vault: filter.vault,
            state: filter.state,
        };
        let mut tx = self.0.db.read().await?;
        self.follow(&mut tx, caller.organization).await?;
        let found = rows::page(&mut tx, caller.organization, &filter, after, limit).await?;
        let full = found.len() == limit as usize;
        let mut page = Page {
            items: Vec::with_capacity(found.len()),
            refused: Vec::new(),
            next: None,
        };
        for found in found {
            let id = match &found {
                Ok(sealed) => sealed.value.id,
                Err((id, _)) => *id,
            };
            page.next = full.then_some(id);
            match self.open_wallet(&mut tx, found).await {
                Ok(wallet) => page.items.push(wallet),
                Err(Error::Integrity { .. }) => match self.wallet(caller, id).await {
                    Ok(wallet) => page.items.push(wallet),
                    Err(Error::Integrity { .. } | Error::NotFound { .. }) => {
                        page.refused.push(Refused { id })
                    }
                    Err(other) => return Err(other),
                },
                Err(other) => return Err(other),
            }
        }
        Ok(page)
    }

    /// Verifies what was found: seal, identity and version.
    pub(crate) async fn open_wallet(&self, tx: &mut Tx, found: Found) -> Result<Wallet, Error> {
        let sealed = found.map_err(|(id, _)| refused(id.to_string()))?;
        let wallet = self.0.seals.open(sealed, |wallet| wallet.id.to_string())?;
        if wallet.id != WalletId::of_index(wallet.vault, wallet.index) {
            return Err(refused(wallet.id.to_string()));
        }
        let latest = || {
            self.0
                .chains
                .wallet_version(wallet.organization, wallet.vault, wallet.index)
        };
        if latest() < wallet.version {
            self.0
                .chains
                .catch_up(tx, &self.0.seals, wallet.organization)
                .await?;
        }
        if latest() != wallet.version {
            return Err(refused(wallet.id.to_string()));
        }
        Ok(wallet)
    }
}
