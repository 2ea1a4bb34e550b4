//! The gate of a vault: who decides that a pending wallet becomes active.
//!
//! `automatic` at birth; `allow-list` at birth, or when the id is added; `manual` by a caller (see
//! `wallets::decide`); `hook` by the customer's own service, asked with a signed call. No answer means
//! pending, never active.

mod allow_list;
mod hook;
mod set;

use std::collections::HashSet;

use coffer_domain::id::{OrganizationId, VaultId};
use coffer_domain::vault::{GateMode, Vault};
use coffer_domain::wallet::{Wallet, WalletState};
use coffer_store::allow_list::AllowedId;
use coffer_store::{Sealed, Tx, hook_jobs};

pub use allow_list::AllowListChange;
pub use set::GateSet;

use crate::seal::refused;
use crate::{Error, Platform};

impl Platform {
    /// Which of `keys` an allow-list gate lets through; empty for every other gate.
    pub(crate) async fn allowed_at_birth(
        &self,
        tx: &mut Tx,
        vault: &Vault,
        keys: &[[u8; 16]],
    ) -> Result<HashSet<[u8; 16]>, Error> {
        if vault.gate.mode != GateMode::AllowList {
            return Ok(HashSet::new());
        }
        let mut allowed = HashSet::new();
        for sealed in coffer_store::allow_list::among(tx, vault.id, keys).await? {
            let id = self.open_allowed(vault.organization, sealed)?;
            allowed.insert(id.external_key);
        }
        Ok(allowed)
    }

    /// Seal and generation of an entry; one from before a removal, put back, is refused.
    pub(crate) fn open_allowed(
        &self,
        organization: OrganizationId,
        sealed: Sealed<AllowedId>,
    ) -> Result<AllowedId, Error> {
        let name = |id: &AllowedId| format!("the allow-list entry {:?}", id.external_id);
        let id = self.0.seals.open(sealed, name)?;
        let removals = self
            .0
            .chains
            .object_version(organization, &removals_of(id.vault, &id.external_key));
        if id.generation == removals {
            Ok(id)
        } else {
            Err(refused(name(&id)))
        }
    }

    /// Queues the hook's question about each wallet that was just born pending.
    pub(crate) async fn queue_hooks(
        &self,
        tx: &mut Tx,
        vault: &Vault,
        born: &[Sealed<Wallet>],
    ) -> Result<(), Error> {
        if vault.gate.mode != GateMode::Hook {
            return Ok(());
        }
        let ids: Vec<_> = born
            .iter()
            .filter(|sealed| sealed.value.state == WalletState::Pending)
            .map(|sealed| sealed.value.id)
            .collect();
        Ok(hook_jobs::add(tx, vault.id, &ids, self.now_ms()).await?)
    }
}

/// Under this name the audit chain counts how often an id was removed from a vault's list.
pub(crate) fn removals_of(vault: VaultId, external_key: &[u8; 16]) -> String {
    format!("allow-list:{vault}:{}", hex::encode(external_key))
}

pub(crate) fn state_at_birth(mode: GateMode, allowed: bool) -> WalletState {
    match mode {
        GateMode::Automatic => WalletState::Active,
        GateMode::AllowList if allowed => WalletState::Active,
        GateMode::AllowList | GateMode::Manual | GateMode::Hook => WalletState::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_automatic_and_the_listed_are_born_active() {
        let table = [
            (GateMode::Automatic, false, WalletState::Active),
            (GateMode::AllowList, false, WalletState::Pending),
            (GateMode::AllowList, true, WalletState::Active),
            (GateMode::Manual, true, WalletState::Pending),
            (GateMode::Hook, true, WalletState::Pending),
        ];
        for (mode, allowed, expected) in table {
            assert_eq!(state_at_birth(mode, allowed), expected, "{mode} {allowed}");
        }
    }
}
