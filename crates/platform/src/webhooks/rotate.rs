//! A new secret for a webhook; the one before it signs as well for a while.

use coffer_domain::id::WebhookId;
use coffer_store::webhooks::PreviousSecret;
use zeroize::Zeroizing;

use crate::outbound::signature::secret_text;
use crate::transaction::transact;
use crate::{Answer, Caller, Error, Once, Platform, clock};

const OPERATION: &str = "webhooks.rotate";
pub const OVERLAP_HOURS_DEFAULT: u32 = 24;
pub const OVERLAP_HOURS_MAX: u32 = 30 * 24;
const HOUR_MS: i64 = 60 * 60 * 1000;

/// The new secret, which is shown this once.
pub struct RotatedSecret {
    pub webhook: WebhookId,
    /// `whsec_` and base64.
    pub secret: Zeroizing<String>,
    /// Until then both sign.
    pub previous_until_ms: i64,
}

impl Platform {
    /// With an overlap of 0 the old secret signs nothing more, but for what a running notifier sends before it looks at the
    /// webhook again, a second at most. The answer that is kept under an idempotency key
    /// must not hold the secret.
    pub async fn rotate_webhook_secret(
        &self,
        caller: &Caller,
        id: WebhookId,
        overlap_hours: u32,
        once: Option<Once<'_, RotatedSecret>>,
    ) -> Result<Answer<RotatedSecret>, Error> {
        self.guard(caller.organization)?;
        if overlap_hours > OVERLAP_HOURS_MAX {
            let text = format!("at most {OVERLAP_HOURS_MAX} hours");
            return Err(Error::validation("overlap_hours", text));
        }
        let secret = Zeroizing::new(clock::random::<32>(self.0.entropy.as_ref())?);
        let nonce = clock::random(self.0.entropy.as_ref())?;
        let encrypted = self.0.seals.encrypt_webhook_secret(id, nonce, &secret);
        let until_ms = self.now_ms() + i64::from(overlap_hours) * HOUR_MS;
        let rotated = RotatedSecret {
            webhook: id,
            secret: secret_text(secret.as_ref()),
            previous_until_ms: until_ms,
        };
        let replayed = transact!(self, tx, {
            if let Some(answer) = self.replay(tx, caller, OPERATION, once.as_ref()).await? {
                return Ok(Some(answer));
            }
            let mut row = self.lock_webhook(tx, caller.organization, id).await?;
            let old = std::mem::replace(&mut row.secret, encrypted.clone());
            row.previous = (overlap_hours > 0).then_some(PreviousSecret {
                secret: old,
                until_ms,
            });
            let row = self.store_webhook(tx, row).await?;
            self.keep(tx, caller, OPERATION, once.as_ref(), &rotated)
                .await?;
            self.record_webhook(tx, &row, "webhook.secret_rotated", &caller.actor())
                .await?;
            Ok(None)
        })?;
        self.0.webhooks_changed.notify_one();
        Ok(replayed.unwrap_or(Answer::Executed(rotated)))
    }
}
