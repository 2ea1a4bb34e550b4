//! The guarded client: signed POSTs with an end.

use std::error::Error as StdError;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};

use super::address::Forbidden;
use super::resolver::{Guard, NoSuchHost};
use super::signature::SignedHeaders;
use super::url::UrlRefusal;
use super::{NameResolver, Rules, Target};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From the first byte of the connection to the last of the answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Why there is no answer. Its text names no URL, which may hold a secret in its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendError {
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("the URL's name has no address")]
    NoSuchHost,
    #[error("no connection")]
    NoConnection,
    #[error("no trusted certificate for the URL's name")]
    Tls,
    #[error("no answer in time")]
    Timeout,
    #[error("the answer broke off")]
    BrokeOff,
    #[error("https cannot be set up on this server")]
    NoClient,
}

impl SendError {
    /// For metrics and the delivery log.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Forbidden(_) => "forbidden_address",
            Self::NoSuchHost => "no_such_host",
            Self::NoConnection => "no_connection",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::BrokeOff => "broke_off",
            Self::NoClient => "no_client",
        }
    }
}

/// What a receiver answered: as much of the body as was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Vec<u8>,
    /// The body was longer than that.
    pub(crate) cut: bool,
}

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct GuardedClient {
    rules: Arc<Rules>,
    resolver: Arc<dyn NameResolver>,
    /// Set up at the first call: a server that calls nobody needs no certificates.
    http: Arc<OnceLock<Option<reqwest::Client>>>,
}

impl GuardedClient {
    pub(super) fn new(rules: Rules, resolver: Arc<dyn NameResolver>) -> Self {
        Self {
            rules: Arc::new(rules),
            resolver,
            http: Arc::default(),
        }
    }

    /// Judges a URL; a name is judged again, with its addresses, at each connection.
    pub(crate) fn target(&self, url: &str) -> Result<Target, UrlRefusal> {
        Target::parse(&self.rules, url)
    }

    fn http(&self) -> Result<&reqwest::Client, SendError> {
        let client = self.http.get_or_init(|| {
            build(&self.rules, &self.resolver)
                .inspect_err(|error| tracing::error!(%error, "no outgoing calls can be made"))
                .ok()
        });
        client.as_ref().ok_or(SendError::NoClient)
    }

    /// Sends a signed JSON body, and reads at most `answer_bytes_max` of the answer.
    pub(crate) async fn post(
        &self,
        target: &Target,
        headers: SignedHeaders,
        (content_type, body): (&'static str, Bytes),
        answer_bytes_max: usize,
    ) -> Result<Answer, SendError> {
        let mut request = self
            .http()?
            .post(target.url().clone())
            .header(CONTENT_TYPE, HeaderValue::from_static(content_type));
        for (name, value) in headers.into_pairs() {
            request = request.header(name, value);
        }
        let mut response = request
            .body(body)
            .send()
            .await
            .map_err(|error| reason(&error))?;
        let mut answer = Answer {
            status: response.status().as_u16(),
            retry_after: retry_after(&response),
            body: Vec::new(),
            cut: false,
        };
        while let Some(piece) = response.chunk().await.map_err(|error| reason(&error))? {
            let room = answer_bytes_max - answer.body.len();
            answer
                .body
                .extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() > room {
                answer.cut = true;
                break;
            }
        }
        Ok(answer)
    }
}

fn retry_after(response: &reqwest::Response) -> Option<String> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    Some(value.chars().take(64).collect())
}

fn build(rules: &Arc<Rules>, resolver: &Arc<dyn NameResolver>) -> reqwest::Result<reqwest::Client> {
    // `reqwest` brings no cryptography of its own; without a provider it panics. One that the process has chosen
    // already stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let guard = Guard {
        rules: Arc::clone(rules),
        resolver: Arc::clone(resolver),
    };
    reqwest::Client::builder()
        .user_agent(concat!("Coffer/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(guard))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .build()
}

/// What went wrong, by the causes inside: the guard's own refusals come back through the client.
fn reason(error: &reqwest::Error) -> SendError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(forbidden) = inner.downcast_ref::<Forbidden>() {
            return SendError::Forbidden(*forbidden);
        }
        if inner.is::<NoSuchHost>() {
            return SendError::NoSuchHost;
        }
        if inner.is::<rustls::Error>() {
            return SendError::Tls;
        }
        cause = match inner
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            // An `io::Error` hides what it wraps from `source`.
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    if error.is_timeout() {
        SendError::Timeout
    } else if error.is_connect() {
        SendError::NoConnection
    } else {
        SendError::BrokeOff
    }
}
