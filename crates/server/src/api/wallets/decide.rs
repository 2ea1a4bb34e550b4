//! What activating and rejecting share.

use axum::http::StatusCode;
use axum::response::Response;
use coffer_domain::id::WalletId;
use coffer_domain::wallet::{Decision, Wallet};

use super::WalletView;
use crate::access::{Api, Caller};
use crate::api::once::{once, rendered, reply};
use crate::http::IdempotencyKey;
use crate::problem::Problem;

/// Decides, and answers with the wallet as it is then; `print` is the request's fingerprint.
pub(super) async fn decide(
    api: &Api,
    caller: &Caller,
    id: WalletId,
    (decision, reason): (Decision, Option<String>),
    (key, print): (&IdempotencyKey, [u8; 32]),
) -> Result<Response, Problem> {
    let wallet = api.platform().wallet(caller, id).await?;
    let vault = api.platform().vault(caller, wallet.vault).await?;
    let render = move |wallet: &Wallet| rendered(StatusCode::OK, &WalletView::of(wallet, &vault));
    let once = once(key, print, &render);
    let answer = api
        .platform()
        .decide_wallet(caller, id, decision, reason, once)
        .await?;
    reply(answer, &render)
}
