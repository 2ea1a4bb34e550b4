//! Restore drills: proof that the backup gives the vault's addresses again.
//!
//! `coffer` makes a challenge; `coffer-signer drill` answers it from the mnemonic alone; here the answer
//! is compared with what the vault's descriptors and issued wallets say. A passed drill opens the vault.

use coffer_domain::address::{
    AddressKind, AddressKinds, AddressPayload, SOLANA_INDEXES_PER_ACCOUNT,
};
use coffer_domain::event::EventType;
use coffer_domain::id::{DrillId, VaultId, WalletId};
use coffer_domain::vault::{Vault, VaultState};
use coffer_signing::{DrillChallenge, DrillProof, DrillSample, Signer};
use coffer_store::drills::{self as rows, Drill};
use coffer_store::{Tx, wallets};

use super::accounts::spec_of;
use super::{AccountKeys, Derivation};
use crate::audit::{Changes, Entry, append};
use crate::events::{Outgoing, VaultEventV1};
use crate::transaction::transact;
use crate::{Caller, Entropy, Error, Platform, blocking, clock};

const DEFAULT_SAMPLES: u32 = 20;
const MAX_SAMPLES: u32 = 500;
const VALID_FOR_MS: i64 = 60 * 60 * 1000;

/// A drill that was passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drilled {
    pub drill: DrillId,
    pub samples: usize,
}

/// A challenge over the first index and over indexes spread evenly below `next_index`, for every kind.
pub(crate) fn challenge(
    entropy: &dyn Entropy,
    now_ms: i64,
    vault: &Vault,
    indexes: u32,
) -> Result<DrillChallenge, Error> {
    let issued = vault.next_index.max(1);
    let wanted = indexes.min(issued);
    let mut samples = Vec::new();
    for position in 0..wanted {
        let index =
            u32::try_from(u64::from(position) * u64::from(issued) / u64::from(wanted)).unwrap_or(0);
        for kind in AddressKind::ALL {
            if kind != AddressKind::Solana || index < SOLANA_INDEXES_PER_ACCOUNT {
                samples.push(DrillSample { kind, index });
            }
        }
    }
    Ok(DrillChallenge {
        drill_id: DrillId::new_v7(u64::try_from(now_ms).unwrap_or(0), clock::random(entropy)?),
        vault_id: vault.id,
        nonce: clock::random(entropy)?,
        spec: spec_of(vault),
        samples,
    })
}

/// What the samples must be, derived from the vault's own descriptors and, for Solana, by the signer.
pub(crate) fn expected_payloads(
    derivation: &Derivation,
    signer: &dyn Signer,
    account: &AccountKeys,
    challenge: &DrillChallenge,
) -> Result<Vec<AddressPayload>, Error> {
    challenge
        .samples
        .iter()
        .map(|sample| {
            let kinds = AddressKinds::default().with(sample.kind);
            let derived = derivation.derive(signer, account, kinds, (sample.index, 1))?;
            let payload = derived
                .of(sample.index, kinds)
                .and_then(|payloads| payloads.into_iter().next());
            payload.ok_or_else(|| Error::Internal("a drill's sample was not derived".to_owned()))
        })
        .collect()
}

/// Compares a proof with what is expected; the message says what differs.
pub(crate) fn judge(
    challenge: &DrillChallenge,
    proof: &DrillProof,
    account: &AccountKeys,
    pinned: &[u8; 32],
    expected: &[AddressPayload],
) -> Result<(), Error> {
    let failed = |message: String| {
        Err(Error::StateConflict(format!(
            "the restore drill failed: {message}"
        )))
    };
    if proof.verify(challenge, pinned).is_err() {
        return failed(
            "the backup belongs to another key, or answers another challenge".to_owned(),
        );
    }
    if proof.descriptors_digest != account.digest() {
        return failed("the backup gives other account keys than the vault has".to_owned());
    }
    for (sample, (got, wanted)) in challenge
        .samples
        .iter()
        .zip(proof.payloads.iter().zip(expected))
    {
        if got != wanted {
            return failed(format!(
                "the backup gives another {} address at index {}",
                sample.kind, sample.index
            ));
        }
    }
    Ok(())
}

impl Platform {
    /// Starts a drill; the challenge is for `coffer-signer drill`.
    pub async fn start_drill(
        &self,
        caller: &Caller,
        vault: VaultId,
        indexes: Option<u32>,
    ) -> Result<DrillChallenge, Error> {
        self.guard(caller.organization)?;
        let indexes = indexes.unwrap_or(DEFAULT_SAMPLES);
        if indexes == 0 || indexes > MAX_SAMPLES {
            return Err(Error::validation(
                "samples",
                format!("give 1 to {MAX_SAMPLES}"),
            ));
        }
        let vault = self.vault(caller, vault).await?;
        let challenge = challenge(self.0.entropy.as_ref(), self.now_ms(), &vault, indexes)?;
        let drill = Drill {
            id: challenge.drill_id,
            vault: vault.id,
            challenge: challenge.to_json(),
            created_at_ms: self.now_ms(),
            passed_at_ms: None,
        };
        transact!(self, tx, {
            let sealed = self.0.seals.seal(drill.clone());
            Ok(rows::insert(tx, &sealed).await?)
        })?;
        Ok(challenge)
    }

    /// Judges a proof; the first drill that passes opens the vault.
    pub async fn finish_drill(
        &self,
        caller: &Caller,
        vault: VaultId,
        drill: DrillId,
        proof: &DrillProof,
    ) -> Result<Drilled, Error> {
        self.guard(caller.organization)?;
        let row = self.read_vault(vault).await?;
        let row = row.filter(|row| row.vault.organization == caller.organization);
        let row = row.ok_or_else(|| Error::not_found("vault", vault))?;
        let mut tx = self.0.db.read().await?;
        let stored = rows::by_id(&mut tx, drill).await?;
        let stored = stored.ok_or_else(|| Error::not_found("drill", drill))?;
        let stored = self.0.seals.open(stored, |drill| drill.id.to_string())?;
        if stored.vault != vault {
            return Err(Error::not_found("drill", drill));
        }
        // A drill that was passed and put back would let an old proof stand for a backup lost since.
        let passed = self
            .0
            .chains
            .object_version(caller.organization, &drill.to_string())
            > 0;
        if passed
            || stored.passed_at_ms.is_some()
            || self.now_ms() > stored.created_at_ms + VALID_FOR_MS
        {
            return Err(Error::StateConflict(
                "this drill is over; start a new one".to_owned(),
            ));
        }
        let challenge = DrillChallenge::from_json(&stored.challenge)
            .map_err(|error| Error::Internal(error.to_string()))?;
        let account = self.account_keys(&row)?;
        let (platform, asked, keys) = (self.clone(), challenge.clone(), account.clone());
        let expected = blocking(move || {
            expected_payloads(
                &platform.0.derivation,
                platform.0.signer.as_ref(),
                &keys,
                &asked,
            )
        })
        .await??;
        self.compare_with_wallets(&mut tx, &row.vault, &challenge, &expected)
            .await?;
        drop(tx);
        judge(
            &challenge,
            proof,
            &account,
            &row.vault.attestation_public_key,
            &expected,
        )?;
        self.pass(caller, vault, drill, challenge.samples.len())
            .await
    }

    /// The samples that were issued must be what the wallets' sealed rows say.
    async fn compare_with_wallets(
        &self,
        tx: &mut Tx,
        vault: &Vault,
        challenge: &DrillChallenge,
        expected: &[AddressPayload],
    ) -> Result<(), Error> {
        let mut ids: Vec<WalletId> = challenge
            .samples
            .iter()
            .map(|sample| WalletId::of_index(vault.id, sample.index))
            .collect();
        ids.dedup();
        for found in wallets::by_ids(tx, &ids).await? {
            let wallet = self.open_wallet(tx, found).await?;
            for payload in &wallet.payloads {
                let position = challenge
                    .samples
                    .iter()
                    .position(|s| s.kind == payload.kind() && s.index == wallet.index);
                if position.is_some_and(|position| expected[position] != *payload) {
                    return Err(crate::seal::refused(wallet.id.to_string()));
                }
            }
        }
        Ok(())
    }

    async fn pass(
        &self,
        caller: &Caller,
        vault: VaultId,
        drill: DrillId,
        samples: usize,
    ) -> Result<Drilled, Error> {
        let now = self.now_ms();
        transact!(self, tx, {
            let mut row = self.lock_vault(tx, caller.organization, vault).await?;
            if !rows::mark_passed(tx, drill, now).await? {
                return Err(Error::StateConflict(
                    "this drill is over; start a new one".to_owned(),
                ));
            }
            row.vault.state = VaultState::Open;
            row.vault.drilled_at_ms = Some(now);
            let vault = self.store_vault(tx, row).await?;
            let entry = Entry {
                organization: caller.organization,
                at_ms: now,
                actor: &caller.actor(),
                action: "vault.drilled",
                object: vault.id.to_string(),
                changes: Changes::version(vault.id, vault.version).and(drill, 1),
                data: serde_json::json!({ "drill": drill.to_string(), "samples": samples }),
                events: Outgoing::one(
                    EventType::VaultDrilled,
                    vault.id,
                    &VaultEventV1::from(&vault),
                ),
            };
            append(tx, &self.0.seals, entry).await?;
            Ok(())
        })?;
        Ok(Drilled { drill, samples })
    }
}
