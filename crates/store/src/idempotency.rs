//! Answers kept under the callers' idempotency keys, in the transaction of the effect.

use coffer_domain::id::{ApiKeyId, OrganizationId};

use crate::{Param, StoreError, Tx};

/// Who said which key to which operation; nothing else shares it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyScope {
    pub organization: OrganizationId,
    pub caller: ApiKeyId,
    pub operation: &'static str,
    pub key: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// SHA-256 over the request.
    pub fingerprint: [u8; 32],
    pub status: u16,
    pub answer: String,
    pub seal: Vec<u8>,
}

pub async fn find(
    tx: &mut Tx,
    scope: &IdempotencyScope,
) -> Result<Option<StoredAnswer>, StoreError> {
    let row = tx
        .fetch_optional(
            "SELECT fingerprint, status, answer, seal FROM idempotency_keys WHERE organization_id = $1 AND caller = $2 \
             AND operation = $3 AND idempotency_key = $4",
            &[
                Param::Blob(scope.organization.as_bytes()),
                Param::Blob(scope.caller.as_bytes()),
                Param::Text(scope.operation),
                Param::Text(&scope.key),
            ],
        )
        .await?;
    row.map(|row| {
        let status = row.int(1)?;
        Ok(StoredAnswer {
            fingerprint: row.bytes(0)?,
            status: u16::try_from(status)
                .map_err(|_| StoreError::Corrupt(format!("the HTTP status {status}")))?,
            answer: row.text(2)?,
            seal: row.blob(3)?,
        })
    })
    .transpose()
}

/// Keeps an answer. A key that is taken is a [`crate::Constraint::IdempotencyKey`] conflict.
pub async fn insert(
    tx: &mut Tx,
    scope: &IdempotencyScope,
    answer: &StoredAnswer,
    now_ms: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO idempotency_keys (organization_id, caller, operation, idempotency_key, fingerprint, status, answer, \
         created_at, seal) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            Param::Blob(scope.organization.as_bytes()),
            Param::Blob(scope.caller.as_bytes()),
            Param::Text(scope.operation),
            Param::Text(&scope.key),
            Param::Blob(&answer.fingerprint),
            Param::Int(i64::from(answer.status)),
            Param::Text(&answer.answer),
            Param::Int(now_ms),
            Param::Blob(&answer.seal),
        ],
    )
    .await?;
    Ok(())
}
