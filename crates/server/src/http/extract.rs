//! Ids in paths, query strings and the idempotency key, with refusals in the API's own shape.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::{Code, Problem};

/// The path's one parameter. What is not an id of the wanted kind names nothing: 404.
#[derive(Debug)]
pub(crate) struct PathId<T>(pub(crate) T);

/// The path's two parameters.
#[derive(Debug)]
pub(crate) struct PathIds<A, B>(pub(crate) A, pub(crate) B);

fn no_such(text: &str) -> Problem {
    let shown: String = text.chars().take(80).collect();
    Problem::new(
        Code::NotFound,
        format_args!("there is no {shown:?} in your organization"),
    )
}

async fn parameters(parts: &mut Parts) -> Result<Vec<String>, Problem> {
    let raw = RawPathParams::from_request_parts(parts, &())
        .await
        .map_err(|_| Problem::new(Code::NotFound, "the path is not UTF-8"))?;
    Ok(raw.iter().map(|(_, value)| value.to_owned()).collect())
}

fn parsed<T: FromStr>(text: Option<&String>) -> Result<T, Problem> {
    let text =
        text.ok_or_else(|| Problem::internal("a route has fewer parameters than its handler"))?;
    text.parse().map_err(|_| no_such(text))
}

impl<T: FromStr, S: Sync> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let texts = parameters(parts).await?;
        parsed(texts.first()).map(Self)
    }
}

impl<A: FromStr, B: FromStr, S: Sync> FromRequestParts<S> for PathIds<A, B> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let texts = parameters(parts).await?;
        Ok(Self(parsed(texts.first())?, parsed(texts.get(1))?))
    }
}

/// The query string as a `T`; the `T`s here refuse names that they do not know.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| {
                let reason = std::error::Error::source(&error).map(ToString::to_string);
                let reason = reason.unwrap_or_else(|| error.to_string());
                Problem::new(Code::Validation, format_args!("the query: {reason}"))
            })
    }
}

/// The header `Idempotency-Key`, when it is there.
#[derive(Debug)]
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let visible = value.as_bytes().iter().all(u8::is_ascii_graphic);
        match value.to_str() {
            Ok(key) if visible && (1..=255).contains(&key.len()) && values.next().is_none() => {
                Ok(Self(Some(key.to_owned())))
            }
            _ => Err(Problem::new(
                Code::Validation,
                "Idempotency-Key takes 1 to 255 visible ASCII characters, once",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Page {
        limit: Option<u32>,
    }

    async fn parts(uri: &str, keys: &[&str]) -> Parts {
        let mut request = Request::get(uri);
        for key in keys {
            request = request.header("idempotency-key", *key);
        }
        request.body(()).expect("request").into_parts().0
    }

    #[tokio::test]
    async fn queries_are_typed_and_typos_refused() {
        let query = async |uri: &str| {
            Query::<Page>::from_request_parts(&mut parts(uri, &[]).await, &()).await
        };
        assert_eq!(query("/?limit=7").await.expect("valid").0.limit, Some(7));
        for uri in [
            "/?limit=-1",
            "/?limit=99999999999",
            "/?limt=7",
            "/?limit=1&limit=2",
        ] {
            let problem = query(uri).await.expect_err(uri);
            assert_eq!(problem.code(), Code::Validation);
        }
    }

    #[tokio::test]
    async fn idempotency_keys_are_short_visible_and_single() {
        let key = async |keys: &[&str]| {
            IdempotencyKey::from_request_parts(&mut parts("/", keys).await, &())
                .await
                .map(|key| key.0)
        };
        assert_eq!(key(&[]).await.expect("optional"), None);
        assert_eq!(
            key(&["order-7"]).await.expect("valid").as_deref(),
            Some("order-7")
        );
        let long = "k".repeat(256);
        for refused in [&[""][..], &["a b"], &["é"], &["a", "b"], &[&long]] {
            assert!(key(refused).await.is_err(), "{refused:?}");
        }
    }
}
