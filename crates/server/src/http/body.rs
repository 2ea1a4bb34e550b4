//! Request bodies under limits of bytes, silence and time.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::access::Api;
use crate::config::ServerConfig;
use crate::problem::{Code, Problem};

/// Time that an upload may take to gather speed.
const GRACE: Duration = Duration::from_secs(10);

/// Why a body did not arrive whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    TooLarge {
        limit: u64,
    },
    TooSlow,
    /// The client went away, or its framing is wrong.
    Broken(String),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TooLarge { limit } => Self::new(
                Code::BodyTooLarge,
                format_args!("at most {limit} bytes are taken; split the file"),
            )
            .with("limit_bytes", limit),
            Fault::TooSlow => Self::new(
                Code::RequestTimeout,
                "the body came too slowly, or stopped; nothing was accepted",
            ),
            Fault::Broken(reason) => Self::new(
                Code::BadRequest,
                format_args!("the body ended early, nothing was accepted: {reason}"),
            ),
        }
    }
}

/// The first fault of a body, for whoever sees only that its reader failed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults(Arc<OnceLock<Fault>>);

impl Faults {
    pub(crate) fn first(&self) -> Option<Fault> {
        self.0.get().cloned()
    }

    fn fail(&self, fault: Fault) -> io::Error {
        let kind = match fault {
            Fault::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            Fault::TooSlow => io::ErrorKind::TimedOut,
            Fault::Broken(_) => io::ErrorKind::UnexpectedEof,
        };
        let error = io::Error::new(kind, format!("{fault:?}"));
        let _ = self.0.set(fault);
        error
    }
}

/// A body that is handed on as it comes.
pub(crate) struct ClientBody {
    body: Body,
    limit_bytes: u64,
    idle_timeout: Duration,
    min_bytes_per_second: u64,
    faults: Faults,
}

impl ClientBody {
    fn new(body: Body, limit_bytes: u64, config: &ServerConfig) -> Self {
        Self {
            body,
            limit_bytes,
            idle_timeout: config.body_idle_timeout(),
            min_bytes_per_second: config.upload_min_bytes_per_second,
            faults: Faults::default(),
        }
    }

    pub(super) fn of_upload(request: Request, config: &ServerConfig) -> Result<Self, Fault> {
        declared_too_large(request.headers(), config.max_upload_bytes)?;
        Ok(Self::new(
            request.into_body(),
            config.max_upload_bytes,
            config,
        ))
    }

    pub(crate) fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// Chunks as they come. Only the time spent waiting for the client counts, not the reader's own.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let faults = self.faults;
        let mut chunks = self.body.into_data_stream();
        async_stream::try_stream! {
            let (mut received, mut waited) = (0_u64, Duration::ZERO);
            loop {
                let asked = Instant::now();
                let next = tokio::time::timeout(self.idle_timeout, chunks.next()).await;
                waited += asked.elapsed();
                let chunk = match next {
                    Err(_) => Err(faults.fail(Fault::TooSlow))?,
                    Ok(None) => break,
                    Ok(Some(Err(error))) => Err(faults.fail(Fault::Broken(error.to_string())))?,
                    Ok(Some(Ok(chunk))) => chunk,
                };
                received += chunk.len() as u64;
                if received > self.limit_bytes {
                    Err(faults.fail(Fault::TooLarge { limit: self.limit_bytes }))?;
                }
                if waited > GRACE && received < waited.as_secs().saturating_mul(self.min_bytes_per_second) {
                    Err(faults.fail(Fault::TooSlow))?;
                }
                yield chunk;
            }
        }
    }

    async fn collect(self, deadline: Duration) -> Result<Bytes, Fault> {
        let faults = self.faults();
        let mut stream = std::pin::pin!(self.into_stream());
        let whole = async {
            let mut whole = BytesMut::new();
            while let Some(chunk) = stream.try_next().await? {
                whole.extend_from_slice(&chunk);
            }
            Ok::<_, io::Error>(whole.freeze())
        };
        match tokio::time::timeout(deadline, whole).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) => Err(faults
                .first()
                .unwrap_or_else(|| Fault::Broken(error.to_string()))),
            Err(_) => Err(Fault::TooSlow),
        }
    }
}

/// Refuses a declared length before a byte of the body is read.
fn declared_too_large(headers: &HeaderMap, limit: u64) -> Result<(), Fault> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    match declared {
        Some(length) if length > limit => Err(Fault::TooLarge { limit }),
        _ => Ok(()),
    }
}

impl FromRequest<Api> for ClientBody {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        Ok(Self::of_upload(request, api.config())?)
    }
}

/// A JSON body as a value of `T`. Duplicate and unknown members are refused where `T` says so.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Api> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let bytes = json_bytes(request, api.config()).await?;
        parse(&bytes).map(Self)
    }
}

/// A JSON body that may be left out: an empty one is `T::default()`.
#[derive(Debug)]
pub(crate) struct OptionalJsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned + Default> FromRequest<Api> for OptionalJsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let has_type = request.headers().contains_key(header::CONTENT_TYPE);
        let bytes = if has_type {
            json_bytes(request, api.config()).await?
        } else {
            limited_bytes(request, api.config()).await?
        };
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        parse(&bytes).map(Self)
    }
}

async fn json_bytes(request: Request, config: &ServerConfig) -> Result<Bytes, Problem> {
    let media_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(
            Code::UnsupportedFormat,
            "send Content-Type: application/json",
        ));
    }
    limited_bytes(request, config).await
}

async fn limited_bytes(request: Request, config: &ServerConfig) -> Result<Bytes, Problem> {
    declared_too_large(request.headers(), config.max_body_bytes)?;
    let body = ClientBody::new(request.into_body(), config.max_body_bytes, config);
    Ok(body.collect(config.body_read_timeout()).await?)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::new(Code::Validation, format_args!("the JSON body: {error}"))
            .with("line", error.line())
            .with("column", error.column())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(chunks: Vec<&'static str>, limit: u64, idle_ms: u64) -> ClientBody {
        let config = ServerConfig {
            body_idle_timeout_ms: idle_ms,
            ..ServerConfig::default()
        };
        let chunks = futures_util::stream::iter(chunks.into_iter().map(Ok::<_, io::Error>));
        ClientBody::new(Body::from_stream(chunks), limit, &config)
    }

    #[tokio::test]
    async fn a_body_is_whole_or_a_fault() {
        let minute = Duration::from_secs(60);
        let whole = body(vec!["ab", "cd"], 4, 1000).collect(minute).await;
        assert_eq!(whole.as_deref(), Ok(&b"abcd"[..]));
        let large = body(vec!["ab", "cde"], 4, 1000).collect(minute).await;
        assert_eq!(large, Err(Fault::TooLarge { limit: 4 }));
    }

    #[tokio::test]
    async fn a_silent_client_is_a_fault() {
        let config = ServerConfig {
            body_idle_timeout_ms: 10,
            ..ServerConfig::default()
        };
        let silent = futures_util::stream::pending::<Result<Bytes, io::Error>>();
        let body = ClientBody::new(Body::from_stream(silent), 100, &config);
        assert_eq!(
            body.collect(Duration::from_secs(60)).await,
            Err(Fault::TooSlow)
        );
    }

    #[test]
    fn duplicate_members_are_refused() {
        #[derive(serde::Deserialize, Debug)]
        #[serde(deny_unknown_fields)]
        struct One {
            #[expect(dead_code, reason = "only parsed")]
            a: u8,
        }
        assert!(parse::<One>(b"{\"a\":1}").is_ok());
        for text in [
            "{\"a\":1,\"a\":2}",
            "{\"a\":1,\"b\":2}",
            "{\"a\":1} x",
            "{\"a\":1e400}",
            "[",
        ] {
            let problem = parse::<One>(text.as_bytes()).expect_err(text);
            assert_eq!(problem.code(), Code::Validation);
        }
    }
}
