//! One message: who sent it, what it asks for, and what became of it.

use std::time::Duration;

use bytes::Bytes;
use coffer_brokers::IncomingMessage;
use coffer_domain::batch::Batch;
use coffer_domain::vault::Vault;
use coffer_platform::batches::parse::{Format, Limits, UploadError};
use coffer_platform::batches::{Upload, UploadStream};
use coffer_platform::{Answer, Caller, Clock, Error, Once, Platform, Scope};
use sha2::{Digest, Sha256};

use super::SourceSettings;
use super::command::{Command, Content};
use super::{file, sender};
use crate::api::batches::{accepted, upload_fingerprint};
use crate::api::page;
use crate::problem::{Code, Problem};

/// Deliveries after which a failure of ours that waiting did not cure parks the message.
const DELIVERIES_MAX: u64 = 20;
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// What became of a message.
pub(super) enum Verdict {
    /// Its batch is durable; the answer is that of the HTTP call.
    Done {
        key: String,
        status: u16,
        body: String,
        again: bool,
    },
    /// It can never be worked on.
    Park {
        key: Option<String>,
        problem: Problem,
    },
    /// Waiting may help.
    PutBack { after: Duration, why: String },
}

pub(super) struct Work<'a> {
    pub(super) platform: &'a Platform,
    pub(super) clock: &'a dyn Clock,
    pub(super) settings: &'a SourceSettings,
    pub(super) bytes_max: u64,
}

/// Why a message has no answer.
enum Refused {
    ForGood(Problem),
    ForNow(String),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::ForGood(problem)
    }
}

impl Work<'_> {
    pub(super) async fn on(&self, message: &IncomingMessage) -> Verdict {
        let mut key = None;
        match self.batch(message, &mut key).await {
            Ok((Answer::Executed(batch), now_ms)) => {
                let (status, body) = accepted(&batch, now_ms);
                Verdict::Done {
                    key: key.unwrap_or_default(),
                    status,
                    body,
                    again: false,
                }
            }
            Ok((Answer::Replayed { status, body }, _)) => Verdict::Done {
                key: key.unwrap_or_default(),
                status,
                body,
                again: true,
            },
            Err(Refused::ForGood(problem)) => Verdict::Park { key, problem },
            Err(Refused::ForNow(why)) => Verdict::PutBack {
                after: delay(message.deliveries),
                why,
            },
        }
    }

    async fn batch(
        &self,
        message: &IncomingMessage,
        key: &mut Option<String>,
    ) -> Result<(Answer<Batch>, i64), Refused> {
        let deliveries = message.deliveries;
        let judged = |error: Error| judge(error, deliveries);
        if message.body.len() as u64 > self.bytes_max {
            return Err(Problem::new(Code::BodyTooLarge, "the message is too large").into());
        }
        let sender = sender::identify(&self.settings.senders, message, self.clock.now_ms())?;
        let known = self.platform.caller_of_key(sender.key).await;
        let caller = known.map_err(judged)?.ok_or_else(|| {
            let text = "the API key of this subject is revoked, expired or unknown";
            Problem::new(Code::Unauthorized, text)
        })?;
        if !caller.may(Scope::BatchesWrite) {
            let text = format!(
                "the API key of this subject lacks {}",
                Scope::BatchesWrite.name()
            );
            return Err(Problem::new(Code::Forbidden, text).into());
        }
        let command = Command::parse(&message.body)?;
        *key = Some(command.idempotency_key.clone());
        let vault = self
            .vault(&caller, command.vault.as_deref(), deliveries)
            .await?;
        let (format, gzip, content_sha256) = match &command.content {
            Content::Rows(rows) => (Format::Json, false, Sha256::digest(rows).into()),
            Content::File(file) => (file.format, file.gzip, file.sha256),
        };
        let upload = Upload {
            vault: vault.id,
            format,
            gzip,
            kinds: command.kinds,
            on_error: command.on_error,
            limits: Limits::default(),
        };
        let now_ms = self.clock.now_ms();
        let render = move |batch: &Batch| accepted(batch, now_ms);
        let once = || Once {
            key: &command.idempotency_key,
            fingerprint: upload_fingerprint(&upload),
            render: &render,
        };
        // Before the file is opened: it may be gone once its batch was made.
        let before = self
            .platform
            .batch_answer(&caller, content_sha256, &once())
            .await;
        if let Some(answer) = before.map_err(judged)? {
            return Ok((answer, now_ms));
        }
        let body = self.content(&message.body, &command.content).await?;
        let made = self
            .platform
            .create_announced_batch(
                &caller,
                upload.clone(),
                Some(content_sha256),
                body,
                Some(once()),
            )
            .await;
        Ok((made.map_err(judged)?, now_ms))
    }

    async fn vault(
        &self,
        caller: &Caller,
        named: Option<&str>,
        deliveries: u64,
    ) -> Result<Vault, Refused> {
        let id = match named {
            Some(text) => page::parsed("vault", text)?,
            None => self
                .platform
                .default_vault(caller)
                .await
                .map_err(|error| judge(error, deliveries))?,
        };
        let vault = self.platform.vault(caller, id).await;
        vault.map_err(|error| judge(error, deliveries))
    }

    async fn content(&self, body: &Bytes, content: &Content<'_>) -> Result<UploadStream, Refused> {
        let file = match content {
            Content::Rows(rows) => {
                let rows = body.slice_ref(rows.as_bytes());
                return Ok(Box::pin(futures_util::stream::iter([Ok(rows)])));
            }
            Content::File(file) => file,
        };
        let Some(folder) = &self.settings.files else {
            return Err(page::invalid("file", "this source takes no files").into());
        };
        match file::open(folder, &file.name, self.bytes_max).await {
            Ok(stream) => Ok(stream),
            Err(error) => {
                let text = format!("{} cannot be read: {error}", file.name);
                Err(page::invalid("file", text).into())
            }
        }
    }
}

/// Whether waiting may cure it. A defect or a broken row is given many chances, since a person may mend it meanwhile.
fn judge(error: Error, deliveries: u64) -> Refused {
    let waits = error.is_transient()
        || matches!(
            error,
            Error::IdempotencyInProgress { .. }
                | Error::AuditBroken { .. }
                | Error::Upload(UploadError::Stopped)
        );
    let ours = matches!(
        error,
        Error::Internal(_) | Error::Integrity { .. } | Error::Ledger(_) | Error::Signer(_)
    );
    if waits || (ours && deliveries < DELIVERIES_MAX) {
        return Refused::ForNow(error.to_string());
    }
    Refused::ForGood(error.into())
}

/// 1 s, 2 s, 4 s and so on.
fn delay(deliveries: u64) -> Duration {
    let exponent = u32::try_from(deliveries.saturating_sub(1))
        .unwrap_or(u32::MAX)
        .min(6);
    Duration::from_secs(1 << exponent).min(LONGEST_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_minute() {
        let found: Vec<_> = [0, 1, 2, 6, 7, 1000].map(|n| delay(n).as_secs()).to_vec();
        assert_eq!(found, [1, 1, 2, 32, 60, 60]);
    }

    #[test]
    fn waiting_is_for_what_it_may_cure() {
        let check = |error: Error, deliveries: u64, waits: bool| {
            let text = error.to_string();
            let found = matches!(judge(error, deliveries), Refused::ForNow(_));
            assert_eq!(found, waits, "{text}");
        };
        check(Error::StoreUnavailable("down".into()), 10_000, true);
        check(Error::Contended("race".into()), 10_000, true);
        check(
            Error::IdempotencyInProgress { id: "bat".into() },
            10_000,
            true,
        );
        check(Error::Internal("a defect".into()), 1, true);
        check(Error::Internal("a defect".into()), DELIVERIES_MAX, false);
        check(Error::IdempotencyConflict { key: "k".into() }, 1, false);
        check(Error::Upload(UploadError::Empty), 1, false);
    }
}
