//! The guard in front of an endpoint: key, rate, scope, in this order.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures_util::future::{BoxFuture, Either};
use tower::{Layer, Service};
use zeroize::Zeroizing;

use coffer_platform::{Mark, Scope};

use super::Api;
use super::token::token_of;
use crate::http::Peer;
use crate::problem::{Code, Problem};

/// Who calls. Made by the guard only, so a handler that takes one stands behind it.
#[derive(Clone)]
pub(crate) struct Caller {
    caller: Arc<coffer_platform::Caller>,
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

/// Puts the guard in front of a route that needs `scope`.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) api: Api,
    pub(super) scope: Scope,
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        let guard = self.clone();
        Guarded { guard, inner }
    }
}

#[derive(Clone)]
pub(super) struct Guarded<S> {
    guard: Guard,
    inner: S,
}

type Refused = Ready<Result<Response, Infallible>>;
type Later = BoxFuture<'static, Result<Response, Infallible>>;

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    /// Of a key that was verified before: the route's own answer, or a refusal. Of any other: both, later.
    type Future = Either<Either<S::Future, Refused>, Later>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let token = token_of(request.headers());
        let platform = self.guard.api.platform();
        let known = token
            .as_ref()
            .and_then(|token| platform.authenticate_at_once(token));
        if let Some((caller, mark)) = known {
            return Either::Left(match self.guard.admit(caller, Some(mark), &mut request) {
                Ok(()) => Either::Left(self.inner.call(request)),
                Err(problem) => Either::Right(ready(Ok(problem.into_response()))),
            });
        }
        // The one that is ready answers, and its clone waits for the next.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let guard = self.guard.clone();
        Either::Right(Box::pin(async move {
            let peer = request.extensions().get::<Peer>().copied();
            let admitted = match authenticate(&guard.api, token, peer).await {
                Ok((caller, mark)) => guard.admit(caller, mark, &mut request),
                Err(problem) => Err(problem),
            };
            match admitted {
                Ok(()) => inner.call(request).await,
                Err(problem) => Ok(problem.into_response()),
            }
        }))
    }
}

impl Guard {
    /// Rate and scope; then the request says who calls.
    fn admit(
        &self,
        caller: Arc<coffer_platform::Caller>,
        mark: Option<Mark>,
        request: &mut Request,
    ) -> Result<(), Problem> {
        tracing::Span::current().record("key", tracing::field::display(caller.key));
        self.api.rate_limits().request(caller.key)?;
        if !caller.may(self.scope) {
            let scope = self.scope.name();
            let text = format_args!("this call needs an API key with the scope {scope}");
            return Err(Problem::new(Code::Forbidden, text).with("scope", scope));
        }
        request.extensions_mut().insert(Caller { caller, mark });
        Ok(())
    }
}

async fn authenticate(
    api: &Api,
    token: Option<Zeroizing<String>>,
    peer: Option<Peer>,
) -> Result<(Arc<coffer_platform::Caller>, Option<Mark>), Problem> {
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
