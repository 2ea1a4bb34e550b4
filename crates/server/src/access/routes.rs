//! The table of endpoints, from which both the router and the OpenAPI document are made.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::MethodRouter;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{Operation, PathItem, Paths};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Ref, RefOr, ResponseBuilder};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::guard::Guard;
use coffer_platform::Scope;

use super::{Api, Open};

/// The name of the security scheme in the OpenAPI document.
pub(crate) const SECURITY_SCHEME: &str = "api_key";

/// Endpoints, each with the scope that it needs, or on the list of those that need none.
#[derive(Default)]
pub(crate) struct Routes {
    guarded: Vec<(Scope, UtoipaMethodRouter<Api>)>,
    open: Vec<UtoipaMethodRouter<Open>>,
}

impl Routes {
    pub(crate) fn guarded(mut self, scope: Scope, endpoint: UtoipaMethodRouter<Api>) -> Self {
        let (schemas, mut paths, methods) = endpoint;
        for operation in operations(&mut paths) {
            tell_problems(operation);
            require(operation, scope);
        }
        self.guarded.push((scope, (schemas, paths, methods)));
        self
    }

    /// For liveness, readiness, metrics and the documentation. A test holds this list.
    pub(crate) fn open(mut self, endpoint: UtoipaMethodRouter<Open>) -> Self {
        let (schemas, mut paths, methods) = endpoint;
        operations(&mut paths).for_each(tell_problems);
        self.open.push((schemas, paths, methods));
        self
    }

    /// The document's part that the endpoints give.
    pub(crate) fn describe(self, document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
        let mut router = OpenApiRouter::<()>::with_openapi(document);
        let guarded = self.guarded.into_iter().map(|(_, (s, p, _))| (s, p));
        let open = self.open.into_iter().map(|(s, p, _)| (s, p));
        for (schemas, paths) in guarded.chain(open) {
            router = router.routes((schemas, paths, MethodRouter::new()));
        }
        router.into_openapi()
    }

    pub(crate) fn into_router(self, api: &Api) -> Router {
        let mut router = Router::new();
        for (scope, (_, paths, methods)) in self.guarded {
            let guard = Guard {
                api: api.clone(),
                scope,
            };
            let methods = methods.with_state(api.clone()).route_layer(guard);
            router = add(router, &paths, &methods);
        }
        for (_, paths, methods) in self.open {
            router = add(router, &paths, &methods.with_state(Open::new(api.clone())));
        }
        router
    }
}

fn add(router: Router, paths: &Paths, methods: &MethodRouter) -> Router {
    paths
        .paths
        .keys()
        .fold(router, |router, path| router.route(path, methods.clone()))
}

fn operations(paths: &mut Paths) -> impl Iterator<Item = &mut Operation> {
    paths.paths.values_mut().flat_map(|item: &mut PathItem| {
        [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
            &mut item.head,
            &mut item.options,
            &mut item.trace,
        ]
        .into_iter()
        .flatten()
    })
}

/// Every refusal has the same shape, whatever the endpoint.
fn tell_problems(operation: &mut Operation) {
    let problem = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    let response = ResponseBuilder::new()
        .description("A refusal; `code` says which (RFC 9457)")
        .content("application/problem+json", problem)
        .build();
    let responses = &mut operation.responses.responses;
    for (status, response) in &mut *responses {
        // OpenAPI 3.1 wants a description; an endpoint gives its own where the status alone does not say it.
        let reason = StatusCode::from_bytes(status.as_bytes()).ok();
        if let (RefOr::T(response), Some(reason)) = (response, reason)
            && response.description.is_empty()
        {
            response.description = reason.canonical_reason().unwrap_or("Done").to_owned();
        }
    }
    responses.insert("default".to_owned(), response.into());
}

/// OpenAPI 3.1 lets the requirement of any scheme name the roles that it takes.
fn require(operation: &mut Operation, scope: Scope) {
    operation.security = Some(vec![SecurityRequirement::new(
        SECURITY_SCHEME,
        [scope.name()],
    )]);
    let text = operation.description.take().unwrap_or_default();
    operation.description = Some(
        format!("{text}\n\nScope: `{}`.", scope.name())
            .trim_start()
            .to_owned(),
    );
}
