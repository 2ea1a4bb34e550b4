//! Messages from brokers that can never be worked on: kept with their reason, seen, and discarded by a person.
//!
//! A message is known by source, subject and body, so that one delivered five times is parked once and counted five times.
//! Kept here and not at the broker, so that losing a broker loses none, and one place shows those of all brokers.

use coffer_domain::id::{OrganizationId, ParkedMessageId};
use coffer_store::Sealed;
use coffer_store::parked_messages as rows;
pub use coffer_store::parked_messages::ParkedMessage;
use sha2::{Digest, Sha256};

use crate::audit::{Changes, Entry, append};
use crate::events::Outgoing;
use crate::seal::{Fields, Sealable, refused};
use crate::transaction::transact;
use crate::{Caller, Error, Platform};

/// What is kept of a body.
const BODY_BYTES_MAX: usize = 64 << 10;
const TEXT_BYTES_MAX: usize = 1000;

/// A message that is to be parked.
#[derive(Debug, Clone, Copy)]
pub struct Parking<'a> {
    pub organization: OrganizationId,
    pub source: &'a str,
    pub subject: &'a str,
    /// Stable; that of a problem.
    pub code: &'a str,
    pub reason: &'a str,
    pub body: &'a [u8],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedPage {
    pub items: Vec<ParkedMessage>,
    pub next: Option<ParkedMessageId>,
}

impl Sealable for ParkedMessage {
    const TAG: &'static str = "parked message v1";

    fn fields(&self, fields: &mut Fields) {
        let int = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        fields
            .bytes(self.id.as_bytes())
            .bytes(self.organization.as_bytes())
            .text(&self.source)
            .text(&self.subject)
            .text(&self.code)
            .text(&self.reason)
            .bytes(&self.body)
            .bytes(&self.body_sha256)
            .int(int(self.body_bytes))
            .int(int(self.times))
            .int(self.first_at_ms)
            .int(self.last_at_ms)
            .int(int(self.version));
    }
}

impl Parking<'_> {
    fn id(&self) -> ParkedMessageId {
        let mut digest = Sha256::new_with_prefix(b"coffer parked message v1");
        digest.update(self.organization.as_bytes());
        for part in [self.source.as_bytes(), self.subject.as_bytes(), self.body] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        ParkedMessageId::from_digest(&digest.finalize().into())
    }

    fn first(&self, now_ms: i64) -> ParkedMessage {
        ParkedMessage {
            id: self.id(),
            organization: self.organization,
            source: self.source.to_owned(),
            subject: shortened(self.subject),
            code: self.code.to_owned(),
            reason: shortened(self.reason),
            body: self.body[..self.body.len().min(BODY_BYTES_MAX)].to_vec(),
            body_sha256: Sha256::digest(self.body).into(),
            body_bytes: self.body.len() as u64,
            times: 1,
            first_at_ms: now_ms,
            last_at_ms: now_ms,
            version: 1,
        }
    }
}

/// Without NUL, which PostgreSQL's texts cannot hold.
fn shortened(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].replace('\0', "\u{fffd}")
}

impl Platform {
    /// Keeps a message that cannot be worked on; one that is kept already is counted.
    pub async fn park_message(&self, parking: Parking<'_>) -> Result<ParkedMessageId, Error> {
        self.guard(parking.organization)?;
        let id = parking.id();
        transact!(self, tx, {
            let now = self.now_ms();
            let found = rows::lock(tx, id).await?;
            let parked = match found {
                Some(sealed) => {
                    let before = self.open_parked(parking.organization, sealed)?;
                    ParkedMessage {
                        times: before.times + 1,
                        first_at_ms: before.first_at_ms,
                        version: before.version + 1,
                        ..parking.first(now)
                    }
                }
                None => parking.first(now),
            };
            let first = parked.times == 1;
            rows::put(tx, &self.0.seals.seal(parked)).await?;
            if first {
                let entry = Entry {
                    organization: parking.organization,
                    at_ms: now,
                    actor: "system",
                    action: "message.parked",
                    object: id.to_string(),
                    changes: Changes::default(),
                    data: serde_json::json!({ "source": parking.source, "code": parking.code }),
                    events: Outgoing::none(),
                };
                append(tx, &self.0.seals, entry).await?;
            }
            Ok(())
        })?;
        Ok(id)
    }

    fn open_parked(
        &self,
        organization: OrganizationId,
        sealed: Sealed<ParkedMessage>,
    ) -> Result<ParkedMessage, Error> {
        let parked = self.0.seals.open(sealed, |parked| parked.id.to_string())?;
        if parked.organization == organization {
            Ok(parked)
        } else {
            Err(refused(parked.id.to_string()))
        }
    }

    /// How many messages of a source are parked.
    pub async fn parked_count(
        &self,
        organization: OrganizationId,
        source: &str,
    ) -> Result<u64, Error> {
        let mut tx = self.0.db.read().await?;
        Ok(rows::count(&mut tx, organization, source).await?)
    }

    pub async fn parked_messages(
        &self,
        caller: &Caller,
        source: Option<&str>,
        after: Option<ParkedMessageId>,
        limit: u32,
    ) -> Result<ParkedPage, Error> {
        self.guard(caller.organization)?;
        let mut tx = self.0.db.read().await?;
        let found = rows::page(&mut tx, caller.organization, source, after, limit + 1).await?;
        let items: Result<Vec<_>, Error> = found
            .into_iter()
            .map(|sealed| self.open_parked(caller.organization, sealed))
            .collect();
        let mut items = items?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let last = items.last().map(|parked| parked.id);
        Ok(ParkedPage {
            items,
            next: last.filter(|_| more),
        })
    }

    /// Forgets a parked message; one that is not there (any more) is not found.
    pub async fn discard_parked(&self, caller: &Caller, id: ParkedMessageId) -> Result<(), Error> {
        self.guard(caller.organization)?;
        transact!(self, tx, {
            let found = rows::lock(tx, id).await?;
            let mine = found.filter(|sealed| sealed.value.organization == caller.organization);
            let sealed = mine.ok_or_else(|| Error::not_found("parked message", id))?;
            let parked = self.open_parked(caller.organization, sealed)?;
            rows::remove(tx, id).await?;
            let entry = Entry {
                organization: caller.organization,
                at_ms: self.now_ms(),
                actor: &caller.actor(),
                action: "message.discarded",
                object: id.to_string(),
                changes: Changes::default(),
                data: serde_json::json!({
                    "source": parked.source,
                    "code": parked.code,
                    "body_sha256": hex::encode(parked.body_sha256),
                }),
                events: Outgoing::none(),
            };
            append(tx, &self.0.seals, entry).await?;
            Ok(())
        })
    }
}
