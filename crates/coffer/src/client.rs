//! The one way to the server: JSON calls with a time limit, and streams without one.
//!
//! No redirect is followed and no proxy of the environment is used, so the API key goes to the server
//! that was named and to nobody else. Answers of ordinary calls are read up to a limit.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Method, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::error::{Failure, Kind};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Of an ordinary call, from its first byte to the answer's last.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two pieces of a stream.
const STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(120);
const ANSWER_LIMIT_BYTES: usize = 64 << 20;
const RATE_LIMIT_RETRIES: u32 = 10;
const RETRY_AFTER_MAX_SECONDS: u64 = 30;
const PROBLEM_LIMIT_BYTES: usize = 256 << 10;

pub(crate) struct Client {
    http: reqwest::Client,
    server: Url,
}

/// Parts of a path (each is escaped on its own) and the query.
#[derive(Clone, Copy)]
pub(crate) struct Resource<'a> {
    pub path: &'a [&'a str],
    pub query: &'a [(&'a str, &'a str)],
}

impl<'a> Resource<'a> {
    pub(crate) fn at(path: &'a [&'a str]) -> Self {
        Self { path, query: &[] }
    }

    pub(crate) fn with(path: &'a [&'a str], query: &'a [(&'a str, &'a str)]) -> Self {
        Self { path, query }
    }
}

impl Client {
    pub(crate) fn new(
        server: Url,
        api_key: Option<&Zeroizing<String>>,
        ca_file: Option<&Path>,
    ) -> Result<Self, Failure> {
        install_cryptography();
        let mut headers = HeaderMap::new();
        if let Some(key) = api_key {
            let text = Zeroizing::new(format!("Bearer {}", key.as_str()));
            let mut value = HeaderValue::from_str(&text).map_err(|_| {
                Failure::usage(
                    "the API key holds a character that no key has",
                    "give the key as `coffer init` or `coffer key create` printed it",
                )
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let builder = reqwest::Client::builder()
            .user_agent(concat!("coffer/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(Duration::from_secs(30));
        let builder = match ca_file {
            Some(file) => builder.tls_certs_only(certificates(file)?),
            // Without https no system certificates are read: a machine without any can still talk http.
            None if server.scheme() == "http" => builder.tls_certs_only([]),
            None => builder,
        };
        let http = builder.build().map_err(|error| {
            Failure::usage(
                format!("https cannot be set up: {}", chain(&error)),
                "install the system's certificates (ca-certificates), or name some with --ca-file",
            )
        })?;
        Ok(Self { http, server })
    }

    /// Plain http to another machine lets everybody on the way read the API key.
    pub(crate) fn is_exposed(&self) -> bool {
        let loopback = match self.server.host() {
            Some(url_host) => {
                let host = url_host.to_string();
                let bare = host.trim_matches(['[', ']']);
                host == "localhost"
                    || bare
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|ip| ip.is_loopback())
            }
            None => false,
        };
        self.server.scheme() == "http" && !loopback
    }

    pub(crate) async fn get(&self, resource: Resource<'_>) -> Result<Value, Failure> {
        self.get_as(resource).await
    }

    /// A reader that runs into its rate limit waits as long as it is told to; a writer is told so.
    pub(crate) async fn get_as<T: DeserializeOwned>(
        &self,
        resource: Resource<'_>,
    ) -> Result<T, Failure> {
        for _ in 0..RATE_LIMIT_RETRIES {
            let request = self.request(Method::GET, resource);
            let failure = match self.call_bytes(request).await {
                Ok(bytes) => return decode(&bytes),
                Err(failure) => failure,
            };
            match (failure.code(), failure.retry_after()) {
                ("rate_limited", Some(seconds)) if seconds <= RETRY_AFTER_MAX_SECONDS => {
                    tokio::time::sleep(Duration::from_secs(seconds.max(1))).await;
                }
                _ => return Err(failure),
            }
        }
        decode(&self.call_bytes(self.request(Method::GET, resource)).await?)
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        resource: Resource<'_>,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let request = self.request(method, resource);
        self.call(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    pub(crate) fn request(&self, method: Method, resource: Resource<'_>) -> RequestBuilder {
        let mut url = self.server.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(resource.path);
        }
        if !resource.query.is_empty() {
            url.query_pairs_mut().extend_pairs(resource.query);
        }
        self.http.request(method, url)
    }

    /// An ordinary call: answered within its time, in JSON or (204) with nothing.
    pub(crate) async fn call(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let response = self.open(request.timeout(CALL_TIMEOUT)).await?;
        self.read_json(response).await
    }

    pub(crate) async fn read_json(&self, response: Response) -> Result<Value, Failure> {
        let bytes = self.read(response, ANSWER_LIMIT_BYTES).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        decode(&bytes)
    }

    pub(crate) async fn call_bytes(&self, request: RequestBuilder) -> Result<Vec<u8>, Failure> {
        let response = self.open(request.timeout(CALL_TIMEOUT)).await?;
        self.read(response, ANSWER_LIMIT_BYTES).await
    }

    /// The answer's head; its body is read with [`Self::next_piece`]. No limit of time on the request's
    /// own body, which may be a long upload.
    pub(crate) async fn open(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let body = self
            .read(response, PROBLEM_LIMIT_BYTES)
            .await
            .unwrap_or_default();
        let problem: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
        let failure = Failure::answered(status.as_u16(), problem);
        Err(match retry_after {
            Some(seconds) => failure.with("retry_after", seconds),
            None => failure,
        })
    }

    pub(crate) async fn next_piece(
        &self,
        response: &mut Response,
    ) -> Result<Option<impl AsRef<[u8]> + use<>>, Failure> {
        match tokio::time::timeout(STREAM_IDLE_TIMEOUT, response.chunk()).await {
            Ok(piece) => piece.map_err(|error| self.unreachable(&error)),
            Err(_) => Err(self.silent(STREAM_IDLE_TIMEOUT)),
        }
    }

    async fn read(&self, mut response: Response, limit: usize) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(piece) = self.next_piece(&mut response).await? {
            body.extend_from_slice(piece.as_ref());
            if body.len() > limit {
                return Err(Failure::unexpected(
                    format!("the answer is longer than {limit} bytes"),
                    "is --server the address of a Coffer server?",
                ));
            }
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        if error.is_timeout() && !error.is_connect() {
            return self.silent(CALL_TIMEOUT);
        }
        let doing = if error.is_connect() {
            "cannot reach"
        } else {
            "lost the connection to"
        };
        Failure::new(
            Kind::Unreachable,
            format!("{doing} {}: {}", self.server, chain(error)),
            "check that `coffer serve` runs and that --server names it",
        )
    }

    fn silent(&self, waited: Duration) -> Failure {
        Failure::new(
            Kind::Unreachable,
            format!(
                "{} did not answer within {} s",
                self.server,
                waited.as_secs()
            ),
            "look at the server's log and load, then try again",
        )
    }
}

/// Before any https client is made, of this program or of the server's hooks; once is enough.
pub(crate) fn install_cryptography() {
    // Fails only when a provider is there already, which then is the one to use.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::unexpected(
            format!("the answer cannot be read: {error}"),
            "is --server the address of a Coffer server of this version?",
        )
        .with_code("unreadable_answer")
    })
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, Failure> {
    let pem = std::fs::read(file).map_err(|error| Failure::file("read", file, &error))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(Failure::usage(
            format!("{} holds no certificate in PEM form", file.display()),
            "name a file of certificates that begin with -----BEGIN CERTIFICATE-----",
        )),
    }
}

/// The innermost cause says what happened; the outer ones only where.
fn chain(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(server: &str) -> Client {
        let url = Url::parse(server).expect("an address");
        Client::new(url, None, None).expect("a client")
    }

    #[test]
    fn a_path_is_joined_part_by_part() {
        let check = |server: &str, path: &[&str], query: &[(&str, &str)], expected: &str| {
            let request = client(server).request(Method::GET, Resource::with(path, query));
            let url = request.build().expect("a request").url().to_string();
            assert_eq!(url, expected);
        };
        check("http://h:1", &["batches"], &[], "http://h:1/v1/batches");
        check(
            "http://h/base/",
            &["wallets", "wal_0"],
            &[],
            "http://h/base/v1/wallets/wal_0",
        );
        check(
            "http://h/base",
            &["a b/c"],
            &[],
            "http://h/base/v1/a%20b%2Fc",
        );
        check(
            "http://h",
            &["wallets"],
            &[("external_id", "a&b=c+李")],
            "http://h/v1/wallets?external_id=a%26b%3Dc%2B%E6%9D%8E",
        );
    }

    #[test]
    fn only_loopback_is_safe_without_tls() {
        for safe in [
            "http://127.0.0.1:8420",
            "http://[::1]:1",
            "http://localhost",
            "https://x.example",
        ] {
            assert!(!client(safe).is_exposed(), "{safe}");
        }
        for exposed in [
            "http://10.0.0.7",
            "http://coffer.example",
            "http://localhost.example",
        ] {
            assert!(client(exposed).is_exposed(), "{exposed}");
        }
    }

    #[test]
    fn a_key_with_a_line_break_is_refused_and_not_shown() {
        let url = Url::parse("http://127.0.0.1:1").expect("an address");
        let key = Zeroizing::new("cfr_00\r\nX: 1".to_owned());
        let failure = Client::new(url, Some(&key), None).err().expect("refused");
        assert_eq!(failure.kind(), Kind::Usage);
        assert!(!failure.to_string().contains("cfr_00"));
    }
}
