//! One effect per idempotency key: the first answer is kept in the transaction of the effect.

use coffer_store::Tx;
use coffer_store::idempotency::{self as rows, IdempotencyScope, StoredAnswer};

use crate::{Caller, Error, Platform};

/// A caller's wish that its request have one effect however often it is sent.
pub struct Once<'a, T> {
    pub key: &'a str,
    /// SHA-256 over all that makes the request what it is.
    pub fingerprint: [u8; 32],
    /// The answer to keep: HTTP status and body.
    pub render: &'a (dyn Fn(&T) -> (u16, String) + Send + Sync),
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
        match rows::find(tx, &scope(caller, operation, once.key)).await? {
            None => Ok(None),
            Some(stored) if stored.fingerprint != once.fingerprint => {
                Err(Error::IdempotencyConflict {
                    key: once.key.to_owned(),
                })
            }
            Some(stored) => Ok(Some(Answer::Replayed {
                status: stored.status,
                body: stored.answer,
            })),
        }
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
        let (status, answer) = (once.render)(value);
        let stored = StoredAnswer {
            fingerprint: once.fingerprint,
            status,
            answer,
        };
        rows::insert(
            tx,
            &scope(caller, operation, once.key),
            &stored,
            self.now_ms(),
        )
        .await?;
        Ok(())
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
