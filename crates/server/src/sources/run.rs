//! The loop of a source: receive, work, and settle in the order that loses nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coffer_brokers::{BrokerError, IncomingMessage, Source};
use coffer_domain::id::OrganizationId;
use coffer_platform::{Clock, Error, Parking, Platform};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::SourceSettings;
use super::work::{Verdict, Work};
use crate::problem::Problem;

const EXTEND_EVERY: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A message waits so long when it should be parked and there is no room, or parking fails.
const NO_ROOM_DELAY: Duration = Duration::from_secs(60);
const REPLY_TO_BYTES_MAX: usize = 1024;

struct Attendant {
    platform: Platform,
    clock: Arc<dyn Clock>,
    settings: SourceSettings,
    bytes_max: u64,
    organization: OrganizationId,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Platform(#[from] Error),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("{0}")]
    Settings(String),
}

/// Works on messages until `stop`; what is in hand is ended first.
pub(crate) async fn run(
    platform: Platform,
    clock: Arc<dyn Clock>,
    settings: SourceSettings,
    bytes_max: u64,
    stop: CancellationToken,
) {
    let name = settings.name.clone();
    let mut pause = FIRST_PAUSE;
    while !stop.is_cancelled() {
        let attended = async {
            let organization = owner(&platform, &settings).await?;
            let attendant = Attendant {
                platform: platform.clone(),
                clock: Arc::clone(&clock),
                settings: settings.clone(),
                bytes_max,
                organization,
            };
            attendant.attend(&stop, &mut pause).await
        }
        .await;
        metrics::gauge!("coffer_source_connected", "source" => name.clone()).set(0.0);
        if let Err(fault) = attended {
            metrics::counter!("coffer_source_failures_total", "source" => name.clone())
                .increment(1);
            tracing::warn!(source = name, error = %fault, again_ms = pause.as_millis(), "a source does not receive");
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// The organization of the senders' keys; all must be of one.
async fn owner(platform: &Platform, settings: &SourceSettings) -> Result<OrganizationId, Fault> {
    let mut owner = None;
    for sender in &settings.senders {
        let found = platform.owner_of_key(sender.key).await?;
        let found =
            found.ok_or_else(|| Fault::Settings(format!("there is no API key {}", sender.key)))?;
        if *owner.get_or_insert(found) != found {
            return Err(Fault::Settings(
                "its API keys are of several organizations".into(),
            ));
        }
    }
    owner.ok_or_else(|| Fault::Settings("it has no senders".into()))
}

impl Attendant {
    async fn attend(&self, stop: &CancellationToken, pause: &mut Duration) -> Result<(), Fault> {
        let connecting = self.settings.connector.connect();
        let mut source = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .unwrap_or_else(|_| {
                Err(BrokerError::Unavailable("connecting takes too long".into()))
            })?;
        metrics::gauge!("coffer_source_connected", "source" => self.settings.name.clone()).set(1.0);
        self.tell_parked().await?;
        loop {
            let received = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                // One at a time: none waits in this process while another is worked on.
                received = source.receive(1) => received?,
            };
            for message in received {
                self.settle(&mut *source, &message).await?;
                *pause = FIRST_PAUSE;
            }
        }
    }

    async fn settle(
        &self,
        source: &mut dyn Source,
        message: &IncomingMessage,
    ) -> Result<(), Fault> {
        let work = Work {
            platform: &self.platform,
            clock: &*self.clock,
            settings: &self.settings,
            bytes_max: self.bytes_max,
        };
        let working = work.on(message);
        tokio::pin!(working);
        let verdict = loop {
            tokio::select! {
                verdict = &mut working => break verdict,
                () = tokio::time::sleep(EXTEND_EVERY) => source.extend(message).await?,
            }
        };
        match verdict {
            Verdict::Done {
                key,
                status,
                body,
                again,
            } => {
                self.count(if again { "replayed" } else { "accepted" });
                self.reply(source, message, &done(&key, status, &body))
                    .await?;
                source.acknowledge(message).await?;
            }
            Verdict::Park { key, problem } => self.park(source, message, key, &problem).await?,
            Verdict::PutBack { after, why } => {
                self.count("put_back");
                tracing::info!(
                    source = self.settings.name,
                    subject = message.subject,
                    why,
                    "a message was put back"
                );
                source.put_back(message, after).await?;
            }
        }
        Ok(())
    }

    async fn park(
        &self,
        source: &mut dyn Source,
        message: &IncomingMessage,
        key: Option<String>,
        problem: &Problem,
    ) -> Result<(), Fault> {
        let name = self.settings.name.as_str();
        let parking = Parking {
            organization: self.organization,
            source: name,
            subject: &message.subject,
            code: problem.code().name(),
            reason: problem.detail(),
            body: &message.body,
        };
        let room = self.platform.parked_count(self.organization, name).await?;
        let parked = if room < self.settings.parked_max {
            self.platform.park_message(parking).await.map(Some)
        } else {
            Ok(None)
        };
        match parked {
            Ok(Some(id)) => {
                self.count("parked");
                tracing::warn!(source = name, subject = message.subject, %id, code = problem.code().name(), "a message was parked");
                self.tell_parked().await?;
                self.reply(source, message, &refused(key.as_deref(), problem))
                    .await?;
                source.acknowledge(message).await?;
            }
            Ok(None) => {
                self.count("put_back");
                tracing::error!(
                    source = name,
                    "no message can be parked any more: discard some"
                );
                source.put_back(message, NO_ROOM_DELAY).await?;
            }
            Err(error) => {
                self.count("put_back");
                tracing::warn!(source = name, %error, "a message could not be parked");
                source.put_back(message, NO_ROOM_DELAY).await?;
            }
        }
        Ok(())
    }

    /// Answers where the sender asked for it and the configuration allows it.
    async fn reply(
        &self,
        source: &mut dyn Source,
        message: &IncomingMessage,
        body: &str,
    ) -> Result<(), BrokerError> {
        if !may_reply(
            self.settings.reply_prefix.as_deref(),
            message.reply_to.as_deref(),
        ) {
            return Ok(());
        }
        source.reply(message, Bytes::from(body.to_owned())).await
    }

    async fn tell_parked(&self) -> Result<(), Error> {
        let name = self.settings.name.clone();
        let parked = self.platform.parked_count(self.organization, &name).await?;
        #[expect(clippy::cast_precision_loss, reason = "a count stays below 2^53")]
        metrics::gauge!("coffer_source_parked", "source" => name).set(parked as f64);
        Ok(())
    }

    fn count(&self, result: &'static str) {
        metrics::counter!("coffer_source_messages_total",
            "source" => self.settings.name.clone(), "result" => result)
        .increment(1);
    }
}

fn may_reply(prefix: Option<&str>, reply_to: Option<&str>) -> bool {
    let (Some(prefix), Some(to)) = (prefix, reply_to) else {
        return false;
    };
    to.starts_with(prefix)
        && to.len() <= REPLY_TO_BYTES_MAX
        && to
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'*' && byte != b'>')
}

#[derive(serde::Serialize)]
struct Done<'a> {
    idempotency_key: &'a str,
    status: u16,
    batch: &'a RawValue,
}

fn done(key: &str, status: u16, batch: &str) -> String {
    let batch: &RawValue = serde_json::from_str(batch).unwrap_or(RawValue::NULL);
    let answer = Done {
        idempotency_key: key,
        status,
        batch,
    };
    serde_json::to_string(&answer).expect("texts and numbers are JSON")
}

fn refused(key: Option<&str>, problem: &Problem) -> String {
    let status = problem.code().status().as_u16();
    serde_json::json!({ "idempotency_key": key, "status": status, "problem": problem.to_json() })
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    #[test]
    fn answers_go_only_where_the_configuration_allows() {
        let check = |prefix: Option<&str>, to: Option<&str>, allowed: bool| {
            assert_eq!(may_reply(prefix, to), allowed, "{prefix:?} {to:?}");
        };
        check(Some("replies."), Some("replies.erp"), true);
        check(Some("replies."), Some("coffer.org_1.deposit"), false);
        check(Some("replies."), Some("replies.>"), false);
        check(Some("replies."), Some("replies.a b"), false);
        check(Some("replies."), None, false);
        check(None, Some("replies.erp"), false);
    }

    #[test]
    fn an_answer_is_the_batch_or_the_problem() {
        let told: serde_json::Value =
            serde_json::from_str(&done("k", 202, r#"{"id":"bat_1"}"#)).expect("JSON");
        assert_eq!(
            told,
            serde_json::json!({"idempotency_key": "k", "status": 202, "batch": {"id": "bat_1"}})
        );
        let problem = Problem::new(Code::Forbidden, "no");
        let told: serde_json::Value = serde_json::from_str(&refused(None, &problem)).expect("JSON");
        assert_eq!(told["problem"]["code"], "forbidden");
        assert_eq!(told["status"], 403);
    }
}
