use axum::Json;
use axum::extract::State;
use coffer_platform::{Finding, Level, Scope};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::problem::Problem;

#[derive(Serialize, ToSchema)]
pub(crate) struct Diagnosis {
    findings: Vec<FindingView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Finding)]
pub(crate) struct FindingView {
    /// ok, warn or unsafe.
    level: &'static str,
    check: &'static str,
    detail: String,
    /// What to do; empty when there is nothing to do.
    advice: String,
}

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        Self {
            level: match finding.level {
                Level::Ok => "ok",
                Level::Warn => "warn",
                Level::Unsafe => "unsafe",
            },
            check: finding.check,
            detail: finding.detail,
            advice: finding.advice,
        }
    }
}

/// Look for unsafe settings
#[utoipa::path(get, path = "/v1/doctor", tag = "service", responses((status = 200, body = Diagnosis)))]
pub(crate) async fn doctor(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<Diagnosis>, Problem> {
    let findings = api.platform().doctor(&caller).await?;
    let findings = findings.into_iter().map(FindingView::from).collect();
    Ok(Json(Diagnosis { findings }))
}

pub(crate) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::Admin, routes!(doctor))
}
