//! API keys: made once, shown once, revoked for good.

mod create;
mod list;
mod revoke;

use coffer_platform::ApiKey;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Routes;
use coffer_domain::time::rfc3339;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = create::route(routes);
    let routes = list::route(routes);
    revoke::route(routes)
}

#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct ApiKeyView {
    #[schema(example = "key_019376f2a8c07c5b8f1e2d3c4b5a6978")]
    id: String,
    name: String,
    scopes: Vec<&'static str>,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
}

impl From<&ApiKey> for ApiKeyView {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            scopes: key.scopes.iter().map(|scope| scope.name()).collect(),
            created_at: rfc3339(key.created_at_ms),
            expires_at: key.expires_at_ms.map(rfc3339),
            revoked_at: key.revoked_at_ms.map(rfc3339),
        }
    }
}
