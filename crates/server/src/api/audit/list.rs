use axum::Json;
use axum::extract::State;
use coffer_platform::Scope;
use coffer_platform::audit::AuditRecord;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::Query;
use crate::problem::Problem;

/// A record may be as large as the request it tells of, so a page ends early once it holds this much.
const PAGE_BYTES: usize = 4 << 20;
/// Records read at once.
const STEP: u32 = 20;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Begin behind this record; 0 or left out: with the first.
    after: Option<u64>,
    /// At most; a page of large records may have fewer and still not be the last.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AuditPage {
    data: Vec<AuditRecordView>,
    /// `after` of the next page; null at the end.
    next_after: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AuditRecord)]
pub(crate) struct AuditRecordView {
    /// From 1, without gaps.
    seq: u64,
    /// Unix milliseconds, as hashed.
    at: i64,
    /// An API key's id, `system`, or a gate.
    actor: String,
    #[schema(example = "wallet.activated")]
    action: String,
    object: String,
    /// JSON text, exactly as hashed.
    payload: String,
    prev_hash: String,
    hash: String,
}

impl From<AuditRecord> for AuditRecordView {
    fn from(record: AuditRecord) -> Self {
        Self {
            seq: record.seq,
            at: record.at_ms,
            actor: record.actor,
            action: record.action,
            object: record.object,
            payload: record.payload,
            prev_hash: hex::encode(record.prev_hash),
            hash: hex::encode(record.hash),
        }
    }
}

/// Read the audit log, oldest first
///
/// `hash` is SHA-256 over `coffer audit v1`, the organization's 16 bytes, `seq` (u64, big-endian), `at` (i64,
/// big-endian), then actor, action, object and payload each as length (u32, big-endian) and bytes, then
/// `prev_hash`; the first record's is 32 zero bytes. `coffer audit verify` computes it anew. A log that is
/// broken is still answered here.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(AuditQuery), responses((status = 200, body = AuditPage)))]
pub(crate) async fn list_audit(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    let limit = page::limit(query.limit)?;
    let mut after = query.after.unwrap_or(0);
    let (mut data, mut left, mut bytes) = (Vec::new(), limit, 0);
    let mut is_end = false;
    while left > 0 && bytes < PAGE_BYTES && !is_end {
        let wanted = left.min(STEP);
        let records = api.platform().audit_records(&caller, after, wanted).await?;
        is_end = records.len() < wanted as usize;
        for record in records {
            (after, left, bytes) = (record.seq, left - 1, bytes + record.payload.len());
            data.push(AuditRecordView::from(record));
        }
    }
    let next_after = (!is_end).then_some(after);
    Ok(Json(AuditPage { data, next_after }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::AuditRead, routes!(list_audit))
}
