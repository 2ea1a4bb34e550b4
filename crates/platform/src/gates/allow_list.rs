//! The external ids that an allow-list gate lets through.

use std::collections::BTreeSet;

use coffer_domain::external_id::ExternalId;
use coffer_domain::id::{OrganizationId, VaultId};
use coffer_domain::vault::GateMode;
use coffer_domain::wallet::{Decision, Wallet, WalletState};
use coffer_store::allow_list::{self as rows, AllowedId};
use coffer_store::{Tx, wallets};

use super::removals_of;
use crate::audit::{Changes, Entry, append};
use crate::events::Outgoing;
use crate::transaction::transact;
use crate::{Caller, Error, Platform};

const MAX_IDS: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AllowListChange {
    /// Ids added or removed.
    pub changed: u32,
    /// Pending wallets that the addition activated.
    pub activated: u32,
}

impl Platform {
    /// Adds ids; pending wallets of theirs become active in the same transaction.
    pub async fn allow(
        &self,
        caller: &Caller,
        vault: VaultId,
        ids: &[ExternalId],
    ) -> Result<AllowListChange, Error> {
        self.guard(caller.organization)?;
        check_count(ids)?;
        let ids: BTreeSet<&ExternalId> = ids.iter().collect();
        let ids: Vec<ExternalId> = ids.into_iter().cloned().collect();
        transact!(self, tx, {
            let mode = self
                .lock_vault(tx, caller.organization, vault)
                .await?
                .vault
                .gate
                .mode;
            let mut change = AllowListChange::default();
            let mut waiting = Vec::new();
            for id in &ids {
                let key = id.key(caller.organization);
                let removals = removals_of(vault, &key);
                let allowed = AllowedId {
                    vault,
                    external_key: key,
                    external_id: id.as_str().to_owned(),
                    generation: self.0.chains.object_version(caller.organization, &removals),
                };
                change.changed += u32::from(rows::add(tx, &self.0.seals.seal(allowed)).await?);
                if mode == GateMode::AllowList {
                    waiting.extend(
                        self.waiting_for_list(tx, caller.organization, vault, id)
                            .await?,
                    );
                }
            }
            // Every wallet was read before the first record is appended: see `Chains::catch_up`.
            for wallet in waiting {
                let reason = Some("on the vault's allow-list".to_owned());
                self.apply_decision(tx, wallet, Decision::Activate, reason, "gate:allow-list")
                    .await?;
                change.activated += 1;
            }
            let entry = ("allow_list.added", &ids[..], Changes::default());
            self.record_list(tx, caller, vault, entry).await?;
            Ok(change)
        })
    }

    /// The pending wallet of a listed id, if there is one in this vault.
    async fn waiting_for_list(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        vault: VaultId,
        id: &ExternalId,
    ) -> Result<Option<Wallet>, Error> {
        let Some(found) = wallets::by_external_id(tx, organization, id).await? else {
            return Ok(None);
        };
        let wallet = self.open_wallet(tx, found).await?;
        Ok(Some(wallet)
            .filter(|wallet| wallet.vault == vault && wallet.state == WalletState::Pending))
    }

    /// Removes ids; wallets that are active stay so.
    pub async fn disallow(
        &self,
        caller: &Caller,
        vault: VaultId,
        ids: &[ExternalId],
    ) -> Result<AllowListChange, Error> {
        self.guard(caller.organization)?;
        check_count(ids)?;
        transact!(self, tx, {
            self.lock_vault(tx, caller.organization, vault).await?;
            let mut change = AllowListChange::default();
            let mut changes = Changes::default();
            for id in ids {
                let key = id.key(caller.organization);
                if rows::remove(tx, vault, &key).await? {
                    let removals = removals_of(vault, &key);
                    let before = self.0.chains.object_version(caller.organization, &removals);
                    changes = changes.and(removals, before + 1);
                    change.changed += 1;
                }
            }
            let entry = ("allow_list.removed", ids, changes);
            self.record_list(tx, caller, vault, entry).await?;
            Ok(change)
        })
    }

    async fn record_list(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        vault: VaultId,
        (action, ids, changes): (&'static str, &[ExternalId], Changes),
    ) -> Result<(), Error> {
        let ids: Vec<&str> = ids.iter().map(ExternalId::as_str).collect();
        let entry = Entry {
            organization: caller.organization,
            at_ms: self.now_ms(),
            actor: &caller.actor(),
            action,
            object: vault.to_string(),
            changes,
            data: serde_json::json!({ "external_ids": ids }),
            events: Outgoing::none(),
        };
        Ok(append(tx, &self.0.seals, entry).await?)
    }

    /// One page of the list; `after` and the answer's keys are opaque to the caller.
    pub async fn allow_list(
        &self,
        caller: &Caller,
        vault: VaultId,
        after: [u8; 16],
        limit: u32,
    ) -> Result<Vec<([u8; 16], String)>, Error> {
        self.guard(caller.organization)?;
        self.vault(caller, vault).await?;
        let mut tx = self.0.db.read().await?;
        let mut page = Vec::new();
        for sealed in rows::page(&mut tx, vault, after, limit).await? {
            let allowed = self.open_allowed(caller.organization, sealed)?;
            page.push((allowed.external_key, allowed.external_id));
        }
        Ok(page)
    }
}

fn check_count(ids: &[ExternalId]) -> Result<(), Error> {
    if ids.is_empty() || ids.len() > MAX_IDS {
        return Err(Error::validation(
            "external_ids",
            format!("give 1 to {MAX_IDS} ids"),
        ));
    }
    Ok(())
}
