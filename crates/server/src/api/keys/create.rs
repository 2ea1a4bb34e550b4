use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use coffer_platform::{NewApiKey, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::ApiKeyView;
use crate::access::{Api, Caller, Routes};
use crate::http::{IdempotencyKey, JsonBody};
use crate::problem::{Code, Problem};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKeyBody {
    #[schema(example = "reporting", max_length = 100)]
    name: String,
    /// Scopes that the caller has itself.
    #[schema(example = json!(["wallets:read"]), min_items = 1)]
    scopes: Vec<String>,
    /// Left out: until it is revoked.
    #[schema(minimum = 1, maximum = 3650)]
    expires_in_days: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct IssuedKey {
    #[serde(flatten)]
    key: ApiKeyView,
    /// The key itself, shown this once.
    api_key: String,
}

/// Create an API key
///
/// The answer holds the key itself, which is nowhere kept: who loses it creates another. For the same reason no
/// answer could be given again, and an `Idempotency-Key` is refused.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", request_body = NewKeyBody,
    responses((status = 201, body = IssuedKey)))]
pub(crate) async fn create_key(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<NewKeyBody>,
) -> Result<(StatusCode, Json<IssuedKey>), Problem> {
    if key.0.is_some() {
        return Err(Problem::new(
            Code::Validation,
            "an API key is shown once, so creating one cannot be answered again: send no Idempotency-Key",
        ));
    }
    let scopes: Result<Vec<Scope>, String> = body.scopes.iter().map(|name| name.parse()).collect();
    let new = NewApiKey {
        name: body.name,
        scopes: scopes
            .map_err(|reason| Problem::new(Code::Validation, reason).with("field", "scopes"))?,
        expires_in_days: body.expires_in_days,
    };
    let issued = api.platform().create_api_key(&caller, new).await?;
    let view = IssuedKey {
        key: ApiKeyView::from(&issued.key),
        api_key: issued.token.as_str().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(view)))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::KeysWrite, routes!(create_key))
}
