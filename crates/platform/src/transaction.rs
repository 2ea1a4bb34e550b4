//! Running a write transaction again when it lost a race.

use std::time::Duration;

use coffer_store::{StoreError, Tx};

use crate::{Error, Platform};

/// Times that one transaction is tried in all.
pub(crate) const ATTEMPTS: u32 = 12;

/// What to do after a transaction's body ran.
pub(crate) enum Next<T> {
    Done(Result<T, Error>),
    Again,
}

/// Commits a body that succeeded; says whether to run it again when it, or its commit, lost a race.
pub(crate) async fn conclude<T>(
    platform: &Platform,
    mut tx: Tx,
    result: Result<T, Error>,
    attempt: u32,
) -> Next<T> {
    let result = match result {
        Ok(value) => {
            let appended = tx.take_appended();
            let begun_at = tx.begun_at().filter(|_| !tx.changes_versions()).cloned();
            let committed = tx.commit().await.map_err(Error::from);
            committed.map(|()| {
                platform.0.chains.take_own(&appended, &platform.0.seals);
                if let Some(begun_at) = begun_at {
                    platform.keep_through_commit(&begun_at, &appended);
                }
                value
            })
        }
        Err(error) => {
            drop(tx);
            Err(error)
        }
    };
    match result {
        Err(Error::Contended(_)) if attempt < ATTEMPTS => {
            tokio::time::sleep(Duration::from_millis(u64::from(attempt * attempt))).await;
            Next::Again
        }
        other => Next::Done(other),
    }
}

/// Whether the whole transaction should run again: it lost a race and left nothing behind.
pub(crate) fn lost_race(error: &StoreError) -> bool {
    use coffer_store::Constraint::{AuditSequence, ExternalId, IdempotencyKey};
    matches!(
        error,
        StoreError::Retry(_) | StoreError::Conflict(AuditSequence | IdempotencyKey | ExternalId)
    )
}

/// `reread!(read)` runs a read again, in a new snapshot, when an object changed under it.
macro_rules! reread {
    ($read:expr) => {{
        let mut attempt = 0;
        loop {
            attempt += 1;
            match $read.await {
                Err($crate::Error::Contended(_)) if attempt < $crate::transaction::ATTEMPTS => {
                    tokio::task::yield_now().await;
                }
                other => break other,
            }
        }
    }};
}
pub(crate) use reread;

/// `transact!(platform, tx, { … Ok(value) })` runs the block in a write transaction, from the start again
/// when it lost a race; the block must therefore not consume what it captures. A macro and not a
/// function, because a closure's future cannot borrow both its argument and its surroundings.
macro_rules! transact {
    ($platform:expr, $tx:ident, $body:block) => {{
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut transaction = match $platform.0.db.write().await {
                Ok(transaction) => transaction,
                Err(error) => break Err($crate::Error::from(error)),
            };
            let result: Result<_, $crate::Error> = {
                let $tx = &mut transaction;
                async { $body }.await
            };
            match $crate::transaction::conclude(&$platform, transaction, result, attempt).await {
                $crate::transaction::Next::Done(result) => {
                    if result.is_ok() {
                        $platform.0.feed.committed();
                    }
                    break result;
                }
                $crate::transaction::Next::Again => {}
            }
        }
    }};
}
pub(crate) use transact;
