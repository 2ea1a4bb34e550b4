//! Seals: MACs over stored objects under a key that the database does not hold.
//!
//! A seal covers the object's owner, its identity, every field and its version, each with its length, so a
//! row that was edited, swapped, or copied to another owner does not verify. That a verifying row is also
//! the *latest* version is what the audit chain says; see [`crate::audit`].
//! The same key material gives the key that encrypts account descriptors at rest and the secrets that sign
//! hook calls; each use has a key of its own by HKDF (RFC 5869).

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use coffer_domain::id::{VaultId, WebhookId};
use coffer_domain::wallet::Wallet;
use coffer_signing::SealKey;
use coffer_store::Sealed;
use coffer_store::allow_list::AllowedId;
use coffer_store::api_keys::ApiKeyRow;
use coffer_store::batches::BatchRow;
use coffer_store::chunks::StagedChunk;
use coffer_store::drills::Drill;
use coffer_store::pools::PoolEntry;
use coffer_store::vaults::VaultRow;
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::Error;

type HmacSha256 = Hmac<Sha256>;

/// The keys derived from the signer's seal key. In memory only; no `Debug`, no `Clone`.
pub(crate) struct SealKeys {
    rows: HmacSha256,
    audit: HmacSha256,
    descriptors: XChaCha20Poly1305,
    hooks: HmacSha256,
    webhooks: XChaCha20Poly1305,
}

/// Collects an object's fields, each with its length, so that no two objects have the same bytes.
pub(crate) struct Fields(HmacSha256);

impl Fields {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn int(&mut self, value: i64) -> &mut Self {
        self.0.update(&value.to_be_bytes());
        self
    }

    pub(crate) fn opt_text(&mut self, text: Option<&str>) -> &mut Self {
        self.int(i64::from(text.is_some()))
            .text(text.unwrap_or_default())
    }

    pub(crate) fn opt_int(&mut self, value: Option<i64>) -> &mut Self {
        self.int(i64::from(value.is_some()))
            .int(value.unwrap_or_default())
    }
}

/// An object that carries a seal in the database.
pub(crate) trait Sealable {
    /// Names the type and the version of its field list.
    const TAG: &'static str;

    fn fields(&self, fields: &mut Fields);
}

impl SealKeys {
    #[must_use]
    pub(crate) fn derive(seal_key: &SealKey) -> Self {
        let hkdf = Hkdf::<Sha256>::new(None, seal_key.expose());
        let key = |label: &str| {
            let mut key = Zeroizing::new([0; 32]);
            hkdf.expand(label.as_bytes(), key.as_mut())
                .expect("32 bytes are a length that HKDF gives");
            key
        };
        let mac = |label| {
            HmacSha256::new_from_slice(key(label).as_ref()).expect("HMAC takes a key of any length")
        };
        Self {
            rows: mac("coffer row seals v1"),
            audit: mac("coffer audit records v1"),
            descriptors: XChaCha20Poly1305::new(&Key::from(*key("coffer descriptors at rest v1"))),
            hooks: mac("coffer hook secrets v1"),
            webhooks: XChaCha20Poly1305::new(&Key::from(*key("coffer webhook secrets at rest v1"))),
        }
    }

    fn mac<T: Sealable>(&self, value: &T) -> HmacSha256 {
        let mut fields = Fields(self.rows.clone());
        fields.text(T::TAG);
        value.fields(&mut fields);
        fields.0
    }

    pub(crate) fn seal_of<T: Sealable>(&self, value: &T) -> [u8; 32] {
        self.mac(value).finalize().into_bytes().into()
    }

    pub(crate) fn seal<T: Sealable>(&self, value: T) -> Sealed<T> {
        let seal = self.seal_of(&value).to_vec();
        Sealed { value, seal }
    }

    /// Compares in constant time.
    pub(crate) fn verifies<T: Sealable>(&self, value: &T, seal: &[u8]) -> bool {
        self.mac(value).verify_slice(seal).is_ok()
    }

    /// The value, if its seal is right; else an alarm and a refusal that names `object`.
    pub(crate) fn open<T: Sealable>(
        &self,
        sealed: Sealed<T>,
        object: impl FnOnce(&T) -> String,
    ) -> Result<T, Error> {
        if self.verifies(&sealed.value, &sealed.seal) {
            return Ok(sealed.value);
        }
        Err(refused(object(&sealed.value)))
    }

    pub(crate) fn audit_mac(&self, hash: &[u8; 32]) -> [u8; 32] {
        self.audit
            .clone()
            .chain_update(hash)
            .finalize()
            .into_bytes()
            .into()
    }

    pub(crate) fn audit_verifies(&self, hash: &[u8; 32], mac: &[u8; 32]) -> bool {
        self.audit
            .clone()
            .chain_update(hash)
            .verify_slice(mac)
            .is_ok()
    }

    /// Encrypts a vault's account descriptors; the vault's id is bound in.
    pub(crate) fn encrypt_descriptors(
        &self,
        vault: VaultId,
        nonce: [u8; 24],
        plain: &[u8],
    ) -> Vec<u8> {
        encrypt(&self.descriptors, vault.as_bytes(), nonce, plain)
    }

    pub(crate) fn decrypt_descriptors(
        &self,
        vault: VaultId,
        stored: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        decrypt(&self.descriptors, vault.as_bytes(), stored)
            .ok_or_else(|| refused(format!("the account descriptors of {vault}")))
    }

    /// Encrypts a secret under which a webhook's events are signed; the webhook's id is bound in.
    pub(crate) fn encrypt_webhook_secret(
        &self,
        webhook: WebhookId,
        nonce: [u8; 24],
        secret: &[u8; 32],
    ) -> Vec<u8> {
        encrypt(&self.webhooks, webhook.as_bytes(), nonce, secret)
    }

    pub(crate) fn decrypt_webhook_secret(
        &self,
        webhook: WebhookId,
        stored: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        decrypt(&self.webhooks, webhook.as_bytes(), stored)
            .ok_or_else(|| refused(format!("the secret of {webhook}")))
    }

    /// The secret under which hook calls of a vault are signed. Derived, never stored.
    pub(crate) fn hook_secret(&self, vault: VaultId, url: &str) -> Zeroizing<[u8; 32]> {
        let mac = self
            .hooks
            .clone()
            .chain_update(vault.as_bytes())
            .chain_update(url.as_bytes());
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

/// The nonce, then the text under the cipher; whose it is is bound in.
fn encrypt(cipher: &XChaCha20Poly1305, owner: &[u8; 16], nonce: [u8; 24], plain: &[u8]) -> Vec<u8> {
    let payload = Payload {
        msg: plain,
        aad: owner,
    };
    let sealed = cipher.encrypt(&XNonce::from(nonce), payload);
    let mut out = nonce.to_vec();
    out.extend(sealed.expect("a few kilobytes are within the cipher's limit"));
    out
}

fn decrypt(
    cipher: &XChaCha20Poly1305,
    owner: &[u8; 16],
    stored: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = stored.split_first_chunk::<24>()?;
    let payload = Payload {
        msg: sealed,
        aad: owner,
    };
    let plain = cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
    Some(Zeroizing::new(plain))
}

/// Counts and logs a refusal. The object's content is not logged.
pub(crate) fn refused(object: String) -> Error {
    metrics::counter!("coffer_seal_failures_total").increment(1);
    crate::alarms::note(&object);
    tracing::error!(
        object,
        alarm = "integrity",
        "a stored object was changed outside Coffer and is refused"
    );
    Error::Integrity { object }
}

impl Sealable for Wallet {
    const TAG: &'static str = "wallet v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.id.as_bytes())
            .bytes(self.organization.as_bytes())
            .bytes(self.vault.as_bytes())
            .int(i64::from(self.index))
            .text(self.external_id.as_str())
            .opt_text(self.label.as_deref())
            .opt_text(self.metadata.as_deref())
            .text(self.state.name())
            .opt_text(self.reason.as_deref())
            .int(i64::from(self.kinds().bits()));
        for payload in &self.payloads {
            fields.bytes(payload.bytes());
        }
        fields
            .bytes(
                self.batch
                    .as_ref()
                    .map_or(&[][..], |batch| batch.as_bytes()),
            )
            .bytes(self.created_by.as_bytes())
            .int(self.created_at_ms)
            .int(i64::from(self.version));
    }
}

impl Sealable for VaultRow {
    const TAG: &'static str = "vault v1";

    fn fields(&self, fields: &mut Fields) {
        let vault = &self.vault;
        fields
            .bytes(vault.id.as_bytes())
            .bytes(vault.organization.as_bytes())
            .text(&vault.name)
            .text(vault.tier.name())
            .int(i64::from(vault.account))
            .text(vault.bitcoin_network.name())
            .text(vault.state.name())
            .text(vault.gate.mode.name())
            .opt_text(vault.gate.hook_url.as_deref())
            .bytes(&vault.attestation_public_key)
            .bytes(&self.encrypted_descriptors)
            .int(i64::from(vault.next_index))
            .int(vault.created_at_ms)
            .opt_int(vault.drilled_at_ms)
            .int(i64::from(vault.version));
    }
}

impl Sealable for ApiKeyRow {
    const TAG: &'static str = "api key v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.id.as_bytes())
            .bytes(self.organization.as_bytes())
            .text(&self.name)
            .bytes(&self.secret_hash)
            .text(&self.scopes)
            .int(self.created_at_ms)
            .opt_int(self.expires_at_ms)
            .opt_int(self.revoked_at_ms)
            .int(i64::from(self.version));
    }
}

impl Sealable for BatchRow {
    const TAG: &'static str = "batch v1";

    fn fields(&self, fields: &mut Fields) {
        let batch = &self.batch;
        fields
            .bytes(batch.id.as_bytes())
            .bytes(batch.organization.as_bytes())
            .bytes(batch.vault.as_bytes())
            .text(batch.state.name())
            .int(i64::from(batch.kinds.bits()))
            .text(batch.on_error.name())
            .int(i64::from(batch.first_index))
            .int(i64::from(batch.rows_total))
            .int(i64::from(batch.rows_created))
            .int(i64::from(batch.rows_existing))
            .int(i64::from(batch.rows_failed))
            .int(i64::from(batch.chunks_total))
            .int(i64::from(batch.chunks_done))
            .bytes(&batch.content_sha256)
            .bytes(batch.created_by.as_bytes())
            .int(batch.created_at_ms)
            .opt_int(batch.started_at_ms)
            .opt_int(batch.finished_at_ms)
            .int(i64::from(self.version));
    }
}

impl Sealable for Drill {
    const TAG: &'static str = "drill v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.id.as_bytes())
            .bytes(self.vault.as_bytes())
            .text(&self.challenge)
            .int(self.created_at_ms);
    }
}

impl Sealable for PoolEntry {
    const TAG: &'static str = "pool entry v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.vault.as_bytes())
            .int(i64::from(self.index))
            .bytes(&self.payloads);
    }
}

impl Sealable for AllowedId {
    const TAG: &'static str = "allowed id v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.vault.as_bytes())
            .bytes(&self.external_key)
            .text(&self.external_id)
            .int(i64::from(self.generation));
    }
}

/// The rows of a chunk. The seal itself is a field of the chunk and not covered.
impl Sealable for StagedChunk {
    const TAG: &'static str = "batch chunk v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.batch.as_bytes())
            .int(i64::from(self.number))
            .int(i64::from(self.first_row))
            .int(i64::from(self.row_count))
            .bytes(&self.rows_json);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(byte: u8) -> SealKeys {
        SealKeys::derive(&SealKey::from_bytes([byte; 32]))
    }

    fn entry() -> PoolEntry {
        PoolEntry {
            vault: VaultId::of_key(&[1; 32], 0),
            index: 7,
            payloads: vec![1, 2, 3],
        }
    }

    #[test]
    fn a_seal_verifies_for_its_object_and_key_alone() {
        let sealed = keys(1).seal(entry());
        assert!(keys(1).verifies(&sealed.value, &sealed.seal));
        assert!(!keys(2).verifies(&sealed.value, &sealed.seal));
        let edited = PoolEntry {
            index: 8,
            ..entry()
        };
        assert!(!keys(1).verifies(&edited, &sealed.seal));
        assert!(matches!(
            keys(1).open(
                Sealed {
                    value: edited,
                    seal: sealed.seal
                },
                |_| "entry".into()
            ),
            Err(Error::Integrity { .. })
        ));
    }

    #[test]
    fn descriptors_open_only_for_their_vault_and_key() {
        let (one, other) = (VaultId::of_key(&[1; 32], 0), VaultId::of_key(&[1; 32], 1));
        let stored = keys(1).encrypt_descriptors(one, [9; 24], b"xpub");
        assert_eq!(
            keys(1)
                .decrypt_descriptors(one, &stored)
                .expect("opens")
                .as_slice(),
            b"xpub"
        );
        assert!(keys(1).decrypt_descriptors(other, &stored).is_err());
        assert!(keys(2).decrypt_descriptors(one, &stored).is_err());
        assert!(keys(1).decrypt_descriptors(one, &stored[..10]).is_err());
    }

    #[test]
    fn webhook_secrets_open_only_for_their_webhook_and_use() {
        let (one, other) = (
            WebhookId::from_bytes([1; 16]),
            WebhookId::from_bytes([2; 16]),
        );
        let stored = keys(1).encrypt_webhook_secret(one, [9; 24], &[7; 32]);
        let opened = keys(1).decrypt_webhook_secret(one, &stored).expect("opens");
        assert_eq!(opened.as_slice(), [7; 32]);
        assert!(!stored.windows(8).any(|window| window == [7; 8]));
        assert!(keys(1).decrypt_webhook_secret(other, &stored).is_err());
        assert!(keys(2).decrypt_webhook_secret(one, &stored).is_err());
        let as_descriptors = VaultId::from_bytes([1; 16]);
        assert!(
            keys(1)
                .decrypt_descriptors(as_descriptors, &stored)
                .is_err()
        );
    }
}
