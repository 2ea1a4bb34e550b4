//! Answers kept under the callers' idempotency keys, in the transaction of the effect.

use coffer_domain::id::{ApiKeyId, OrganizationId};

use crate::{Param, Row, StoreError, Tx, bulk};

const COLUMNS: &str = "fingerprint, status, answer, seal";
/// Keys asked for in one statement.
const KEYS_PER_QUERY: usize = 500;

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
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<StoredAnswer, StoreError> {
    let status = row.int(1)?;
    Ok(StoredAnswer {
        fingerprint: row.bytes(0)?,
        status: u16::try_from(status)
            .map_err(|_| StoreError::Corrupt(format!("the HTTP status {status}")))?,
        answer: row.text(2)?,
        seal: row.blob(3)?,
    })
}

/// Like [`find`], for many scopes at once; in no order.
pub async fn find_many(
    tx: &mut Tx,
    scopes: &[IdempotencyScope],
) -> Result<Vec<(IdempotencyScope, StoredAnswer)>, StoreError> {
    let mut found = Vec::new();
    let same = |a: &IdempotencyScope, b: &IdempotencyScope| {
        (a.organization, a.caller, a.operation) == (b.organization, b.caller, b.operation)
    };
    for run in scopes.chunk_by(same) {
        for part in run.chunks(KEYS_PER_QUERY) {
            let of = &part[0];
            let mut keys: Vec<Param<'_>> = part.iter().map(|of| Param::Text(&of.key)).collect();
            let marks = bulk::placeholders(tx.engine(), &mut keys);
            let count = keys.len();
            keys.extend([
                Param::Blob(of.organization.as_bytes()),
                Param::Blob(of.caller.as_bytes()),
                Param::Text(of.operation),
            ]);
            let own = tx.engine().marks(count + 1, 3);
            let sql = format!(
                "SELECT {COLUMNS}, idempotency_key FROM idempotency_keys WHERE idempotency_key IN ({marks}) \
                 AND (organization_id, caller, operation) = ({own})"
            );
            for row in tx.fetch(sql, &keys).await? {
                let key = row.text(4)?;
                let scope = part.iter().find(|of| of.key == key);
                let scope = scope.ok_or_else(|| {
                    StoreError::Corrupt("an answer kept under another key".to_owned())
                })?;
                found.push((scope.clone(), read(&row)?));
            }
        }
    }
    Ok(found)
}

/// Like [`insert`], for many at once.
pub async fn insert_many(
    tx: &mut Tx,
    kept: &[(IdempotencyScope, StoredAnswer)],
    now_ms: i64,
) -> Result<(), StoreError> {
    let columns = [
        "organization_id",
        "caller",
        "operation",
        "idempotency_key",
        "fingerprint",
        "status",
        "answer",
        "created_at",
        "seal",
    ];
    let rows = kept.iter().map(|(scope, answer)| {
        vec![
            Param::Blob(scope.organization.as_bytes()),
            Param::Blob(scope.caller.as_bytes()),
            Param::Text(scope.operation),
            Param::Text(&scope.key),
            Param::Blob(&answer.fingerprint),
            Param::Int(i64::from(answer.status)),
            Param::Text(&answer.answer),
            Param::Int(now_ms),
            Param::Blob(&answer.seal),
        ]
    });
    bulk::insert(tx, "idempotency_keys", &columns, rows).await?;
    Ok(())
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
