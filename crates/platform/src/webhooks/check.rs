//! A signed test event, sent at once: whether anybody answers at a URL.

use bytes::Bytes;
use coffer_domain::id::WebhookId;
use coffer_domain::time::rfc3339;
use coffer_store::webhooks::WebhookRow;

use super::send::{EVENT_CONTENT_TYPE, excerpt};
use crate::outbound::signature::{SigningKey, sign};
use crate::outbound::{SendError, Target};
use crate::{Caller, Error, Platform, clock};

/// What a receiver made of the test event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// Of the answer, where there was one.
    pub status: Option<u16>,
    /// What kept an answer from coming.
    pub error: Option<&'static str>,
    pub latency_ms: u64,
    /// The beginning of an answer that was not a success.
    pub excerpt: Option<String>,
}

impl CheckResult {
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status
            .is_some_and(|status| (200..300).contains(&status))
    }
}

impl Platform {
    /// Sends a webhook its test event. It is no event of the organization, and no delivery.
    pub async fn test_webhook(&self, caller: &Caller, id: WebhookId) -> Result<CheckResult, Error> {
        self.guard(caller.organization)?;
        let row = {
            let mut tx = self.0.db.read().await?;
            self.webhook_row(&mut tx, caller.organization, id).await?
        };
        let keys = self.signing_keys(&row, self.now_ms())?;
        let target = self.webhook_target(&row.webhook.url)?;
        match self.send_test(&row, &target, &keys).await? {
            Ok(result) => Ok(result),
            Err((error, latency_ms)) => Ok(CheckResult {
                status: None,
                error: Some(error.kind()),
                latency_ms,
                excerpt: None,
            }),
        }
    }

    pub(super) fn webhook_target(&self, url: &str) -> Result<Target, Error> {
        let target = self.0.webhook_client.target(url);
        target.map_err(|error| Error::validation("url", error))
    }

    /// The outer error is ours, the inner one the receiver's.
    pub(super) async fn send_test(
        &self,
        row: &WebhookRow,
        target: &Target,
        keys: &[SigningKey],
    ) -> Result<Result<CheckResult, (SendError, u64)>, Error> {
        let random: [u8; 16] = clock::random(self.0.entropy.as_ref())?;
        let id = format!("test_{}", hex::encode(random));
        let now = self.now_ms();
        let body = serde_json::json!({
            "specversion": "1.0",
            "id": id,
            "source": format!("/organizations/{}", row.webhook.organization),
            "type": "coffer.webhook.test",
            "subject": row.webhook.id.to_string(),
            "time": rfc3339(now),
            "datacontenttype": "application/json",
            "data": { "webhook_id": row.webhook.id.to_string() },
        });
        let body = Bytes::from(body.to_string());
        let headers = sign(keys, &id, now, &body);
        let began = tokio::time::Instant::now();
        let answer = self
            .0
            .webhook_client
            .post(
                target,
                headers,
                (EVENT_CONTENT_TYPE, body),
                super::send::ANSWER_BYTES_MAX,
            )
            .await;
        let latency_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(answer.map_err(|error| (error, latency_ms)).map(|answer| {
            let success = (200..300).contains(&answer.status);
            CheckResult {
                status: Some(answer.status),
                error: None,
                latency_ms,
                excerpt: (!success).then(|| excerpt(&answer.body)).flatten(),
            }
        }))
    }
}
