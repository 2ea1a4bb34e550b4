//! Choosing a vault's gate. Wallets that are pending keep waiting for whichever gate is in force.

use coffer_domain::event::EventType;
use coffer_domain::id::VaultId;
use coffer_domain::vault::{Gate, GateMode, Vault};
use coffer_domain::wallet::WalletState;
use coffer_store::{Tx, hook_jobs, wallets};
use zeroize::Zeroizing;

use crate::audit::{Changes, Entry, append};
use crate::events::{Outgoing, VaultEventV1};
use crate::outbound::GuardedClient;
use crate::outbound::signature::secret_text;
use crate::transaction::transact;
use crate::{Caller, Error, Platform};

/// The vault with its new gate and, for a hook, the secret under which its calls are signed.
pub struct GateSet {
    pub vault: Vault,
    /// `whsec_` and base64, as the Standard Webhooks specification writes it.
    pub hook_secret: Option<Zeroizing<String>>,
}

impl Platform {
    pub async fn set_gate(
        &self,
        caller: &Caller,
        vault: VaultId,
        gate: Gate,
    ) -> Result<GateSet, Error> {
        self.guard(caller.organization)?;
        validate(&self.0.hook_client, &gate)?;
        let vault = transact!(self, tx, {
            let mut row = self.lock_vault(tx, caller.organization, vault).await?;
            row.vault.gate = gate.clone();
            let vault = self.store_vault(tx, row).await?;
            if gate.mode == GateMode::Hook {
                self.ask_about_pending(tx, &vault).await?;
            }
            let entry = Entry {
                organization: caller.organization,
                at_ms: self.now_ms(),
                actor: &caller.actor(),
                action: "vault.gate_set",
                object: vault.id.to_string(),
                changes: Changes::version(vault.id, vault.version),
                data: serde_json::json!({ "mode": gate.mode.name(), "hook_url": gate.hook_url }),
                events: Outgoing::one(
                    EventType::VaultGateChanged,
                    vault.id,
                    &VaultEventV1::from(&vault),
                ),
            };
            append(tx, &self.0.seals, entry).await?;
            Ok(vault)
        })?;
        self.0.work.notify_one();
        let hook_secret = vault.gate.hook_url.as_ref().map(|url| {
            let secret = self.0.seals.hook_secret(vault.id, url);
            secret_text(secret.as_ref())
        });
        Ok(GateSet { vault, hook_secret })
    }

    /// A new hook is asked about the wallets that were pending before it.
    async fn ask_about_pending(&self, tx: &mut Tx, vault: &Vault) -> Result<(), Error> {
        let filter = wallets::Filter {
            vault: Some(vault.id),
            state: Some(WalletState::Pending),
        };
        let mut after = None;
        loop {
            let page = wallets::page(tx, vault.organization, &filter, after, 1000).await?;
            let ids: Vec<_> = page
                .iter()
                .map(|found| match found {
                    Ok(sealed) => sealed.value.id,
                    Err((id, _)) => *id,
                })
                .collect();
            for id in &ids {
                hook_jobs::remove(tx, *id).await?;
            }
            hook_jobs::add(tx, vault.id, &ids, self.now_ms()).await?;
            after = ids.last().copied();
            if ids.len() < 1000 {
                return Ok(());
            }
        }
    }
}

/// A hook must be https; plain http is for a service on this same host.
fn validate(client: &GuardedClient, gate: &Gate) -> Result<(), Error> {
    let refuse = |message: String| Err(Error::validation("hook_url", message));
    match (gate.mode, &gate.hook_url) {
        (GateMode::Hook, None) => refuse("a hook needs its URL".to_owned()),
        (GateMode::Hook, Some(url)) => match client.target(url) {
            Ok(_) => Ok(()),
            Err(error) => refuse(error.to_string()),
        },
        (_, Some(_)) => refuse("only the gate `hook` has a URL".to_owned()),
        (_, None) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hook_urls_are_https_or_local() {
        let client = crate::Outbound::default().gate_hook();
        let check = |mode, url: Option<&str>, good: bool| {
            let gate = Gate {
                mode,
                hook_url: url.map(str::to_owned),
            };
            assert_eq!(validate(&client, &gate).is_ok(), good, "{mode} {url:?}");
        };
        check(GateMode::Hook, Some("https://kyc.example/check"), true);
        check(GateMode::Hook, Some("http://127.0.0.1:9000/"), true);
        check(GateMode::Hook, Some("http://kyc.example/"), false);
        check(
            GateMode::Hook,
            Some("https://user:pass@kyc.example/"),
            false,
        );
        check(GateMode::Hook, Some("file:///etc/passwd"), false);
        check(GateMode::Hook, Some("kyc"), false);
        check(GateMode::Hook, None, false);
        check(GateMode::Manual, None, true);
        check(GateMode::Manual, Some("https://kyc.example/"), false);
    }
}
