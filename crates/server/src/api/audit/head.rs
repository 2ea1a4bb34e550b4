use axum::Json;
use axum::extract::State;
use coffer_platform::Scope;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::problem::Problem;

#[derive(Serialize, ToSchema)]
pub(crate) struct AuditHeadView {
    organization_id: String,
    /// Of the last record; 0 when there is none.
    seq: u64,
    hash: String,
    /// Unix milliseconds, of the last record.
    at: Option<i64>,
}

/// The audit log's end
///
/// Kept elsewhere, it is an anchor: a log whose tail was cut no longer contains it.
#[utoipa::path(get, path = "/v1/audit/head", tag = "audit", responses((status = 200, body = AuditHeadView)))]
pub(crate) async fn audit_head(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<AuditHeadView>, Problem> {
    let head = api.platform().audit_head(&caller).await?;
    let last = match head.seq.checked_sub(1) {
        Some(before) => api
            .platform()
            .audit_records(&caller, before, 1)
            .await?
            .pop(),
        None => None,
    };
    Ok(Json(AuditHeadView {
        organization_id: head.organization.to_string(),
        seq: head.seq,
        hash: hex::encode(head.hash),
        at: last.map(|record| record.at_ms),
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::AuditRead, routes!(audit_head))
}
