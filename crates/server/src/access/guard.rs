//! The guard in front of an endpoint: key, rate, scope, in this order.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;

use super::{Api, ApiToken, Scope};
use crate::http::Peer;
use crate::platform::Actor;
use crate::problem::{Code, Problem};

/// Who calls. Made by the guard only, so a handler that takes one stands behind it.
#[derive(Clone)]
pub(crate) struct Caller(Actor);

impl Caller {
    pub(crate) fn actor(&self) -> &Actor {
        &self.0
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
    let token = ApiToken::from_headers(request.headers());
    let peer = request.extensions().get::<Peer>().copied();
    let actor = authenticate(&guard.api, token, peer).await?;
    tracing::Span::current().record("key", tracing::field::display(actor.key));
    guard.api.rate_limits().request(actor.key)?;
    if !actor.may(guard.scope) {
        return Err(Problem::new(
            Code::Forbidden,
            format_args!("this call needs an API key with the scope {}", guard.scope),
        )
        .with("scope", guard.scope.name()));
    }
    request.extensions_mut().insert(Caller(actor));
    Ok(next.run(request).await)
}

async fn authenticate(
    api: &Api,
    token: Option<ApiToken>,
    peer: Option<Peer>,
) -> Result<Actor, Problem> {
    let actor = match &token {
        Some(token) => api.platform().authenticate(token).await?,
        None => None,
    };
    match actor {
        Some(actor) => Ok(actor),
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
