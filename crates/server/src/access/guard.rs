//! The guard in front of an endpoint: key, rate, scope, in this order.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use zeroize::Zeroizing;

use coffer_platform::{Mark, Scope};

use super::Api;
use super::token::token_of;
use crate::http::Peer;
use crate::problem::{Code, Problem};

/// Who calls. Made by the guard only, so a handler that takes one stands behind it.
#[derive(Clone)]
pub(crate) struct Caller {
    caller: coffer_platform::Caller,
    mark: Option<Mark>,
}

impl Caller {
    /// The state of the database when the call began, or later.
    pub(crate) fn mark(&self) -> Option<&Mark> {
        self.mark.as_ref()
    }
}

impl Deref for Caller {
    type Target = coffer_platform::Caller;

    fn deref(&self) -> &coffer_platform::Caller {
        &self.caller
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Problem::internal("a guarded handler was called without its guard"))
    }
}

#[derive(Clone)]
pub(super) struct Guard {
    pub(super) api: Api,
    pub(super) scope: Scope,
}

pub(super) async fn guard(
    State(guard): State<Guard>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let token = token_of(request.headers());
    let peer = request.extensions().get::<Peer>().copied();
    let (caller, mark) = authenticate(&guard.api, token, peer).await?;
    tracing::Span::current().record("key", tracing::field::display(caller.key));
    guard.api.rate_limits().request(caller.key)?;
    if !caller.may(guard.scope) {
        let scope = guard.scope.name();
        let text = format_args!("this call needs an API key with the scope {scope}");
        return Err(Problem::new(Code::Forbidden, text).with("scope", scope));
    }
    request.extensions_mut().insert(Caller { caller, mark });
    Ok(next.run(request).await)
}

async fn authenticate(
    api: &Api,
    token: Option<Zeroizing<String>>,
    peer: Option<Peer>,
) -> Result<(coffer_platform::Caller, Option<Mark>), Problem> {
    let caller = match &token {
        Some(token) => api.platform().authenticate_at(token).await?,
        None => None,
    };
    match caller {
        Some(caller) => Ok(caller),
        None => {
            let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
            metrics::counter!("coffer_http_unauthorized_total").increment(1);
            api.rate_limits().failure(address)?;
            Err(Problem::new(
                Code::Unauthorized,
                "send Authorization: Bearer with an API key that is neither revoked nor expired",
            ))
        }
    }
}
