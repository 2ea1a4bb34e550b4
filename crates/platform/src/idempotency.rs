//! One effect per idempotency key: the first answer is kept in the transaction of the effect.

use std::sync::Arc;

use coffer_store::Tx;
use coffer_store::idempotency::{self as rows, IdempotencyScope, StoredAnswer};

use crate::seal::{Fields, Sealable, refused};
use crate::{Caller, Error, Platform};

/// A caller's wish that its request have one effect however often it is sent.
pub struct Once<'a, T> {
    pub key: &'a str,
    /// SHA-256 over all that makes the request what it is.
    pub fingerprint: [u8; 32],
    /// The answer to keep: HTTP status and body.
    pub render: &'a (dyn Fn(&T) -> (u16, String) + Send + Sync),
}

/// Makes of an effect the answer to keep: HTTP status and body.
pub type Render<T> = dyn Fn(&T) -> (u16, String) + Send + Sync;

/// A [`Once`] that outlives its call, for an effect that is committed together with those of others.
pub struct OwnedOnce<T> {
    pub key: String,
    pub fingerprint: [u8; 32],
    pub render: Arc<Render<T>>,
}

/// The answer to a request with an idempotency key.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// This call had the effect.
    Executed(T),
    /// An earlier call had it; this is what it was answered.
    Replayed { status: u16, body: String },
}

/// What is sealed of an answer: an edited one would tell a caller of another wallet's addresses.
struct Kept<'a> {
    scope: &'a IdempotencyScope,
    answer: &'a StoredAnswer,
}

impl Sealable for Kept<'_> {
    const TAG: &'static str = "kept answer v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.scope.organization.as_bytes())
            .bytes(self.scope.caller.as_bytes())
            .text(self.scope.operation)
            .text(&self.scope.key)
            .bytes(&self.answer.fingerprint)
            .int(i64::from(self.answer.status))
            .text(&self.answer.answer);
    }
}

impl Platform {
    /// The answer that an earlier call with the same key was given.
    pub(crate) async fn replay<T>(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        operation: &'static str,
        once: Option<&Once<'_, T>>,
    ) -> Result<Option<Answer<T>>, Error> {
        let Some(once) = once else { return Ok(None) };
        let scope = scope(caller, operation, once.key);
        match rows::find(tx, &scope).await? {
            None => Ok(None),
            Some(stored) => self.replayed(&scope, once.fingerprint, stored).map(Some),
        }
    }

    /// What was kept under a key, if it is whole and the request is the same.
    pub(crate) fn replayed<T>(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
        stored: StoredAnswer,
    ) -> Result<Answer<T>, Error> {
        let kept = Kept {
            scope,
            answer: &stored,
        };
        if !self.0.seals.verifies(&kept, &stored.seal) {
            return Err(refused(format!("the answer kept under {:?}", scope.key)));
        }
        if stored.fingerprint != fingerprint {
            let key = scope.key.clone();
            return Err(Error::IdempotencyConflict { key });
        }
        Ok(Answer::Replayed {
            status: stored.status,
            body: stored.answer,
        })
    }

    /// The same before slow work outside of a transaction; the one with the effect asks again.
    pub(crate) async fn replay_now<T>(
        &self,
        caller: &Caller,
        operation: &'static str,
        once: Option<&Once<'_, T>>,
    ) -> Result<Option<Answer<T>>, Error> {
        let mut tx = self.0.db.read().await?;
        self.replay(&mut tx, caller, operation, once).await
    }

    /// Keeps the answer of an effect, in its transaction.
    pub(crate) async fn keep<T>(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        operation: &'static str,
        once: Option<&Once<'_, T>>,
        value: &T,
    ) -> Result<(), Error> {
        let Some(once) = once else { return Ok(()) };
        let scope = scope(caller, operation, once.key);
        let stored = self.answer_to_keep(&scope, once.fingerprint, (once.render)(value));
        rows::insert(tx, &scope, &stored, self.now_ms()).await?;
        Ok(())
    }

    /// An answer with its seal.
    pub(crate) fn answer_to_keep(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
        (status, answer): (u16, String),
    ) -> StoredAnswer {
        let mut stored = StoredAnswer {
            fingerprint,
            status,
            answer,
            seal: Vec::new(),
        };
        let kept = Kept {
            scope,
            answer: &stored,
        };
        stored.seal = self.0.seals.seal_of(&kept).to_vec();
        stored
    }
}

pub(crate) fn scope(caller: &Caller, operation: &'static str, key: &str) -> IdempotencyScope {
    IdempotencyScope {
        organization: caller.organization,
        caller: caller.key,
        operation,
        key: key.to_owned(),
    }
}
