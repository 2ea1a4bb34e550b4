//! The documentation page: Swagger UI out of this binary. No script, style or font comes from elsewhere, and
//! the page's policy says so to the browser.

use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use utoipa_axum::routes;
use utoipa_swagger_ui::Config;

use crate::access::Routes;
use crate::http::PathId;
use crate::problem::{Code, Problem};

/// `unsafe-inline` for styles only: the page's drawings carry style attributes. Scripts must be files of ours.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn config() -> Arc<Config<'static>> {
    static CONFIG: OnceLock<Arc<Config<'static>>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let config = Config::from("/openapi.json")
            .validator_url("none")
            .persist_authorization(false)
            .try_it_out_enabled(true);
        Arc::new(config)
    });
    Arc::clone(config)
}

/// The documentation page
#[utoipa::path(get, path = "/docs", tag = "service",
    responses((status = 303, description = "To `/docs/`")))]
pub(crate) async fn docs() -> Redirect {
    Redirect::to("/docs/")
}

/// The documentation page itself
#[utoipa::path(get, path = "/docs/", tag = "service",
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn docs_page() -> Result<Response, Problem> {
    file("")
}

/// The page's scripts and styles
#[utoipa::path(get, path = "/docs/{file}", tag = "service", params(("file" = String, Path)),
    responses((status = 200), (status = 404, body = crate::problem::ProblemView)))]
pub(crate) async fn docs_file(PathId(name): PathId<String>) -> Result<Response, Problem> {
    file(&name)
}

fn file(name: &str) -> Result<Response, Problem> {
    let found = utoipa_swagger_ui::serve(name, config())
        .map_err(Problem::internal)?
        .ok_or_else(|| Problem::new(Code::NotFound, "the documentation has no such file"))?;
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_str(&found.content_type).map_err(Problem::internal)?,
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok((headers, found.bytes).into_response())
}

pub(super) fn route(routes: Routes) -> Routes {
    routes
        .open(routes!(docs))
        .open(routes!(docs_page))
        .open(routes!(docs_file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> String {
        let found = utoipa_swagger_ui::serve(name, config())
            .expect("readable")
            .expect(name);
        String::from_utf8(found.bytes.into_owned()).expect("UTF-8")
    }

    #[test]
    fn the_page_works_under_its_policy() {
        let page = text("");
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("\"//"));
        for script in page.split("<script").skip(1) {
            let (head, body) = script.split_once('>').expect("a closed tag");
            assert!(head.contains("src=\"./"), "{head}");
            assert!(body.trim_start().starts_with("</script>"), "{body}");
        }
        for attribute in ["src=\"./", "href=\"./"] {
            for name in page.split(attribute).skip(1) {
                let name = name.split('"').next().expect("a closed attribute");
                assert!(
                    utoipa_swagger_ui::serve(name, config()).is_ok_and(|found| found.is_some()),
                    "{name} is not in the binary"
                );
            }
        }
        assert!(text("swagger-initializer.js").contains("/openapi.json"));
    }
}
