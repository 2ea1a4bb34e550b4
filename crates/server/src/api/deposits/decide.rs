//! What releasing and rejecting share.

use axum::http::StatusCode;
use axum::response::Response;
use coffer_domain::deposit::Deposit;
use coffer_domain::id::DepositId;
use coffer_platform::DepositDecision;

use super::{DepositDecisionBody, DepositView};
use crate::access::{Api, Caller};
use crate::api::once::{json_fingerprint, once, rendered, reply};
use crate::http::IdempotencyKey;
use crate::problem::Problem;

/// Decides, and answers with the deposit as it is then.
pub(super) async fn decide(
    api: &Api,
    caller: &Caller,
    (id, decision): (DepositId, DepositDecision),
    body: &DepositDecisionBody,
    key: &IdempotencyKey,
) -> Result<Response, Problem> {
    let print = json_fingerprint(&id.to_string(), body);
    let shown = api.platform().deposit(caller, id).await?;
    let render = move |deposit: &Deposit| {
        let mut view = shown.clone();
        view.deposit = deposit.clone();
        rendered(StatusCode::OK, &DepositView::from(&view))
    };
    let once = once(key, print, &render);
    let answer = api
        .platform()
        .decide_deposit(caller, id, (decision, &body.reason), once)
        .await?;
    reply(answer, &render)
}
