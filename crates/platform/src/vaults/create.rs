//! Making a vault from what the signer says of an account.

use coffer_domain::address::BitcoinNetwork;
use coffer_domain::event::EventType;
use coffer_domain::id::{OrganizationId, VaultId};
use coffer_domain::vault::{Gate, Tier, Vault, VaultState};
use coffer_signing::{AccountSpec, SignedDescriptor, Signer};
use coffer_store::vaults::{self as rows, VaultRow};

use super::AccountKeys;
use super::accounts::pack;
use crate::audit::{Changes, Entry, append};
use crate::events::{Outgoing, VaultEventV1};
use crate::seal::SealKeys;
use crate::transaction::transact;
use crate::{Caller, Entropy, Error, Platform, blocking, clock};

#[derive(Debug, Clone)]
pub struct NewVault {
    pub name: String,
    pub tier: Tier,
    /// The hardened account number; each vault of a signer has its own.
    pub account: u32,
    pub bitcoin_network: BitcoinNetwork,
}

/// The vault that `signer` serves at an account, still awaiting its drill.
pub(crate) fn describe(
    signer: &dyn Signer,
    organization: OrganizationId,
    new: &NewVault,
    now_ms: i64,
) -> Result<(Vault, Vec<SignedDescriptor>), Error> {
    let attestation_public_key = signer.identity()?.attestation_public_key;
    let spec = AccountSpec {
        account: new.account,
        bitcoin_network: new.bitcoin_network,
    };
    let descriptors = signer.account_descriptors(spec)?;
    let vault = Vault {
        id: VaultId::of_key(&attestation_public_key, new.account),
        organization,
        name: new.name.clone(),
        tier: new.tier,
        account: new.account,
        bitcoin_network: new.bitcoin_network,
        state: VaultState::AwaitingDrill,
        gate: Gate::AUTOMATIC,
        attestation_public_key,
        next_index: 0,
        created_at_ms: now_ms,
        drilled_at_ms: None,
        version: 1,
    };
    AccountKeys::from_signed(&vault, &descriptors)?;
    Ok((vault, descriptors))
}

/// The vault with its descriptors encrypted, as the database holds it.
pub(crate) fn vault_row(
    seals: &SealKeys,
    entropy: &dyn Entropy,
    vault: Vault,
    descriptors: &[SignedDescriptor],
) -> Result<VaultRow, Error> {
    let nonce = clock::random::<24>(entropy)?;
    let encrypted_descriptors = seals.encrypt_descriptors(vault.id, nonce, &pack(descriptors));
    Ok(VaultRow {
        vault,
        encrypted_descriptors,
    })
}

impl Platform {
    /// Makes a vault at another account of the signer's key. It issues nothing before its drill.
    pub async fn create_vault(&self, caller: &Caller, new: NewVault) -> Result<Vault, Error> {
        self.guard(caller.organization)?;
        let (signer, organization, now) =
            (self.0.signer.clone(), caller.organization, self.now_ms());
        let (vault, descriptors) =
            blocking(move || describe(signer.as_ref(), organization, &new, now)).await??;
        let row = vault_row(&self.0.seals, self.0.entropy.as_ref(), vault, &descriptors)?;
        transact!(self, tx, {
            rows::insert(tx, &self.0.seals.seal(row.clone())).await?;
            append(tx, &self.0.seals, created(&row.vault, &caller.actor())).await?;
            Ok(())
        })?;
        Ok(row.vault)
    }
}

/// The audit record of a vault's creation.
pub(crate) fn created<'a>(vault: &Vault, actor: &'a str) -> Entry<'a, serde_json::Value> {
    Entry {
        organization: vault.organization,
        at_ms: vault.created_at_ms,
        actor,
        action: "vault.created",
        object: vault.id.to_string(),
        changes: Changes::version(vault.id, 1),
        data: serde_json::json!({
            "name": vault.name,
            "tier": vault.tier.name(),
            "account": vault.account,
            "bitcoin_network": vault.bitcoin_network.name(),
            "attestation_public_key": hex::encode(vault.attestation_public_key),
        }),
        events: Outgoing::one(
            EventType::VaultCreated,
            vault.id,
            &VaultEventV1::from(vault),
        ),
    }
}
