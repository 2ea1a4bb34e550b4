//! The first organization, vault and API key, made by `coffer init` and applied to an empty database.
//!
//! `init` writes what it made to a file in the data folder, under a MAC; the embedded SQLite database gets
//! it at once, and a PostgreSQL database that `coffer serve` finds empty gets the same. The file holds no
//! secret: descriptors are encrypted, and of the API key there is only the hash.

use std::sync::Arc;

use coffer_domain::event::EventType;
use coffer_domain::id::{DrillId, OrganizationId};
use coffer_domain::vault::{Gate, Vault, VaultState};
use coffer_signing::{DrillChallenge, DrillProof, SignedDescriptor, Signer};
use coffer_store::api_keys::ApiKeyRow;
use coffer_store::organizations::{self, Organization};
use coffer_store::vaults::{self as vault_rows, VaultRow};
use coffer_store::{Db, Tx};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::audit::{Changes, Entry, append};
use crate::events::{Outgoing, VaultEventV1};
use crate::seal::{Fields, SealKeys, Sealable};
use crate::vaults::{
    AccountKeys, Derivation, challenge, created, describe, expected_payloads, judge, vault_row,
};
use crate::{Clock, Entropy, Error, NewApiKey, NewVault, OsEntropy, Scope, api_keys};

/// At `init` no index was issued; the challenge takes the first.
const SAMPLES: u32 = 1;
const VERSION: u32 = 1;

/// What `init` chooses.
#[derive(Debug, Clone)]
pub struct Choice {
    pub organization_name: String,
    pub vault: NewVault,
}

/// A vault described by the signer, before its first drill.
pub struct Draft {
    seals: SealKeys,
    organization: Organization,
    vault: Vault,
    descriptors: Vec<SignedDescriptor>,
    challenge: DrillChallenge,
}

/// All that an empty database needs, and the admin API key's token, which is shown once.
pub struct Made {
    /// The file's content.
    pub json: String,
    pub organization: OrganizationId,
    pub vault: Vault,
    pub token: Zeroizing<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    organization_id: String,
    organization_name: String,
    created_at: i64,
    vault: FileVault,
    drill_id: String,
    api_key: FileKey,
    /// HMAC-SHA256 under a key that the signer derives, over all fields above.
    mac: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileVault {
    name: String,
    tier: String,
    account: u32,
    bitcoin_network: String,
    attestation_public_key: String,
    encrypted_descriptors: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileKey {
    id: String,
    name: String,
    secret_sha256: String,
    scopes: String,
}

impl Sealable for File {
    const TAG: &'static str = "bootstrap v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .int(i64::from(self.version))
            .text(&self.organization_id)
            .text(&self.organization_name)
            .int(self.created_at)
            .text(&self.vault.name)
            .text(&self.vault.tier)
            .int(i64::from(self.vault.account))
            .text(&self.vault.bitcoin_network)
            .text(&self.vault.attestation_public_key)
            .text(&self.vault.encrypted_descriptors)
            .text(&self.drill_id)
            .text(&self.api_key.id)
            .text(&self.api_key.name)
            .text(&self.api_key.secret_sha256)
            .text(&self.api_key.scopes);
    }
}

/// Asks the signer for the account and makes the challenge of the first drill. Blocking.
pub fn draft(
    signer: &dyn Signer,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    choice: &Choice,
) -> Result<Draft, Error> {
    let now = clock.now_ms();
    let seals = SealKeys::derive(&signer.seal_key()?);
    let mut random = [0; 10];
    entropy.fill(&mut random)?;
    let id = OrganizationId::new_v7(u64::try_from(now).unwrap_or(0), random);
    let organization = Organization {
        id,
        name: choice.organization_name.clone(),
        created_at_ms: now,
    };
    let (vault, descriptors) = describe(signer, id, &choice.vault, now)?;
    let challenge = challenge(entropy, now, &vault, SAMPLES)?;
    Ok(Draft {
        seals,
        organization,
        vault,
        descriptors,
        challenge,
    })
}

impl Draft {
    /// What `coffer-signer drill` is to answer from the backup.
    #[must_use]
    pub fn challenge(&self) -> &DrillChallenge {
        &self.challenge
    }

    /// Judges the first drill; only a backup that gives the vault again lets the vault be made. Blocking.
    pub fn finish(
        self,
        signer: &dyn Signer,
        entropy: &dyn Entropy,
        proof: &DrillProof,
    ) -> Result<Made, Error> {
        let account = AccountKeys::from_signed(&self.vault, &self.descriptors)?;
        let derivation = Derivation::new(Arc::new(OsEntropy));
        let expected = expected_payloads(&derivation, signer, &account, &self.challenge)?;
        judge(
            &self.challenge,
            proof,
            &account,
            &self.vault.attestation_public_key,
            &expected,
        )?;
        let new = NewApiKey {
            name: "admin (from init)".to_owned(),
            scopes: vec![Scope::Admin],
            expires_in_days: None,
        };
        let (key, token) = api_keys::issue(
            entropy,
            self.organization.created_at_ms,
            self.organization.id,
            &new,
        )?;
        let row = vault_row(&self.seals, entropy, self.vault, &self.descriptors)?;
        let mut file = File {
            version: VERSION,
            organization_id: self.organization.id.to_string(),
            organization_name: self.organization.name,
            created_at: self.organization.created_at_ms,
            vault: FileVault {
                name: row.vault.name.clone(),
                tier: row.vault.tier.name().to_owned(),
                account: row.vault.account,
                bitcoin_network: row.vault.bitcoin_network.name().to_owned(),
                attestation_public_key: hex::encode(row.vault.attestation_public_key),
                encrypted_descriptors: hex::encode(&row.encrypted_descriptors),
            },
            drill_id: self.challenge.drill_id.to_string(),
            api_key: FileKey {
                id: key.id.to_string(),
                name: key.name,
                secret_sha256: hex::encode(key.secret_hash),
                scopes: key.scopes,
            },
            mac: String::new(),
        };
        file.mac = hex::encode(self.seals.seal_of(&file));
        let json = serde_json::to_string_pretty(&file)
            .map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Made {
            json,
            organization: self.organization.id,
            vault: row.vault,
            token,
        })
    }
}

/// Applies the file to a database without organizations; `false` when it has one already.
pub async fn apply(db: &Db, signer: Arc<dyn Signer>, json: &str) -> Result<bool, Error> {
    let seal_key = crate::blocking(move || signer.seal_key()).await??;
    let seals = SealKeys::derive(&seal_key);
    let mut tx = db.write().await?;
    if !organizations::all(&mut tx).await?.is_empty() {
        return Ok(false);
    }
    let file: File =
        serde_json::from_str(json).map_err(|error| Error::validation("bootstrap.json", error))?;
    let mac = hex::decode(&file.mac).unwrap_or_default();
    if !seals.verifies(&file, &mac) {
        return Err(crate::seal::refused(
            "bootstrap.json (it was edited, or belongs to another key file)".to_owned(),
        ));
    }
    write(&mut tx, &seals, &file).await?;
    tx.commit().await?;
    Ok(true)
}

async fn write(tx: &mut Tx, seals: &SealKeys, file: &File) -> Result<(), Error> {
    let now = file.created_at;
    let (organization, row, key) =
        read(file).ok_or_else(|| Error::validation("bootstrap.json", "a field cannot be read"))?;
    let id = organization.id;
    organizations::insert(tx, &organization).await?;
    let founded = Entry {
        organization: id,
        at_ms: now,
        actor: "init",
        action: "organization.created",
        object: id.to_string(),
        changes: Changes::default(),
        data: serde_json::json!({ "name": organization.name }),
        events: Outgoing::none(),
    };
    append(tx, seals, founded).await?;
    append(tx, seals, created(&row.vault, "init")).await?;
    let mut row = row;
    row.vault.state = VaultState::Open;
    row.vault.drilled_at_ms = Some(now);
    row.vault.version = 2;
    let sealed = seals.seal(row);
    vault_rows::insert(tx, &sealed).await?;
    let vault = &sealed.value.vault;
    let drilled = Entry {
        organization: id,
        at_ms: now,
        actor: "init",
        action: "vault.drilled",
        object: vault.id.to_string(),
        changes: Changes::version(vault.id, vault.version),
        data: serde_json::json!({ "drill": file.drill_id }),
        events: Outgoing::one(
            EventType::VaultDrilled,
            vault.id,
            &VaultEventV1::from(vault),
        ),
    };
    append(tx, seals, drilled).await?;
    api_keys::insert(tx, seals, key, "init").await
}

fn read(file: &File) -> Option<(Organization, VaultRow, ApiKeyRow)> {
    let id: OrganizationId = file.organization_id.parse().ok()?;
    let _: DrillId = file.drill_id.parse().ok()?;
    let attestation_public_key = hex::decode(&file.vault.attestation_public_key)
        .ok()?
        .try_into()
        .ok()?;
    let vault = Vault {
        id: coffer_domain::id::VaultId::of_key(&attestation_public_key, file.vault.account),
        organization: id,
        name: file.vault.name.clone(),
        tier: file.vault.tier.parse().ok()?,
        account: file.vault.account,
        bitcoin_network: file.vault.bitcoin_network.parse().ok()?,
        state: VaultState::AwaitingDrill,
        gate: Gate::AUTOMATIC,
        attestation_public_key,
        next_index: 0,
        created_at_ms: file.created_at,
        drilled_at_ms: None,
        version: 1,
    };
    let key = ApiKeyRow {
        id: file.api_key.id.parse().ok()?,
        organization: id,
        name: file.api_key.name.clone(),
        secret_hash: hex::decode(&file.api_key.secret_sha256)
            .ok()?
            .try_into()
            .ok()?,
        scopes: file.api_key.scopes.clone(),
        created_at_ms: file.created_at,
        expires_at_ms: None,
        revoked_at_ms: None,
        version: 1,
    };
    let organization = Organization {
        id,
        name: file.organization_name.clone(),
        created_at_ms: file.created_at,
    };
    Some((
        organization,
        VaultRow {
            vault,
            encrypted_descriptors: hex::decode(&file.vault.encrypted_descriptors).ok()?,
        },
        key,
    ))
}
