//! The exchange itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coffer_domain::block::BlockHeight;
use futures_util::StreamExt;
use serde_json::Value;
use serde_json::value::RawValue;

use super::batch::BatchSize;
use super::error::{RpcError, shortened};
use super::health::{Health, pause};
use super::message::{self, Answer, Call};
use super::{Limits, Random};
use crate::{NodeError, NodeStatus};

/// Which node of which network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) network: String,
    /// From 1.
    pub(crate) number: u32,
}

/// A client of one node. Cheap to ask from many tasks at once.
pub(crate) struct Node {
    pub(crate) place: Place,
    host: String,
    url: reqwest::Url,
    client: reqwest::Client,
    limits: Limits,
    random: Random,
    next_id: AtomicU64,
    state: Mutex<State>,
}

struct State {
    health: Health,
    batch: BatchSize,
    head: Option<BlockHeight>,
    /// Whether chain id and genesis were seen to be right since the last cut.
    is_on_chain: bool,
    /// `None` until it was asked.
    offers_traces: Option<bool>,
}

/// Ids go up by so many for each request, so that an answer to an older one is never taken for this one's.
const IDS_PER_REQUEST: u64 = 1 << 16;

const REST_WAITED_FOR_MAX: Duration = Duration::from_millis(500);

impl Node {
    pub(crate) fn open(
        place: Place,
        url: &str,
        limits: Limits,
        random: Random,
    ) -> Result<Self, NodeError> {
        let refused =
            |why: &str| NodeError::Configuration(format!("the URL of node {} {why}", place.number));
        let url = reqwest::Url::parse(url).map_err(|_| refused("is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(refused("must begin with http:// or https://"));
        }
        // `reqwest` brings no cryptography of its own. A provider that the process has chosen already stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(limits.request_timeout)
            .build()
            .map_err(|_| refused("cannot be asked: no TLS"))?;
        Ok(Self {
            host: origin(&url),
            place,
            url,
            client,
            limits,
            random,
            next_id: AtomicU64::new(1),
            state: Mutex::new(State {
                health: Health::default(),
                batch: BatchSize::new(limits.batch_calls_max),
                head: None,
                is_on_chain: false,
                offers_traces: None,
            }),
        })
    }

    pub(crate) async fn call(&self, method: &'static str, params: Value) -> Answer {
        let calls = [Call::new(method, params)];
        let mut answers = self.repeat(&calls).await?;
        answers.pop().unwrap_or(Err(RpcError::Missing))
    }

    /// Each call has an answer or an error of its own; in requests of a size that the node can take.
    pub(crate) async fn batch(&self, calls: &[Call]) -> Result<Vec<Answer>, RpcError> {
        let mut answers: Vec<Answer> = Vec::with_capacity(calls.len());
        while answers.len() < calls.len() {
            let rest = &calls[answers.len()..];
            let size = self.state().batch.get().min(rest.len());
            match self.repeat(&rest[..size]).await {
                Ok(some) => {
                    answers.extend(some);
                    self.state().batch.grow();
                }
                Err(error) if size > 1 && error.is_eased_by_less() => {
                    self.state().batch.shrink(size);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(answers)
    }

    /// Asks again, after growing pauses, what may be answered then.
    async fn repeat(&self, calls: &[Call]) -> Result<Vec<Answer>, RpcError> {
        let mut failures = 0;
        loop {
            let rest = self.state().health.rest(Instant::now());
            match rest {
                // Paced: a short rest is shorter than doing without the node.
                Some(rest) if rest <= REST_WAITED_FOR_MAX => tokio::time::sleep(rest).await,
                Some(rest) => return Err(RpcError::Resting(rest)),
                None => {}
            }
            let started = Instant::now();
            let exchanged = self.exchange(calls).await;
            let error = match exchanged {
                Ok(answers) => {
                    self.state().health.succeed(started.elapsed());
                    return Ok(answers);
                }
                Err(error) => error,
            };
            self.failed(&error);
            failures += 1;
            if failures >= self.limits.attempts_max || !error.is_worth_repeating() {
                return Err(error);
            }
            let pause = pause(&self.limits, failures, self.jitter());
            // Paced: a node that is asked again at once most often fails again.
            tokio::time::sleep(pause).await;
        }
    }

    async fn exchange(&self, calls: &[Call]) -> Result<Vec<Answer>, RpcError> {
        let first_id = self.next_id.fetch_add(IDS_PER_REQUEST, Ordering::Relaxed);
        let body = message::request(calls, first_id);
        let exchange = async {
            let sent = self
                .client
                .post(self.url.clone())
                .header("content-type", "application/json")
                .body(body)
                .send();
            let response = sent.await.map_err(|error| transport(&error))?;
            self.read(response).await
        };
        let body = tokio::time::timeout(self.limits.request_timeout, exchange)
            .await
            .map_err(|_| RpcError::Timeout)??;
        message::answers(&body, first_id, calls.len())
    }

    async fn read(&self, response: reqwest::Response) -> Result<Vec<u8>, RpcError> {
        let headers = response.headers();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if !response.status().is_success() {
            // Some nodes answer an error in JSON-RPC with a status of its own; what it says does not matter.
            let seconds = text("retry-after").and_then(|text| text.trim().parse().ok());
            return Err(RpcError::Status {
                status: response.status().as_u16(),
                retry_after: seconds.map(Duration::from_secs),
            });
        }
        if text("content-encoding").is_some_and(|encoding| encoding != "identity") {
            return Err(RpcError::NotJson("it is compressed, unasked".to_owned()));
        }
        let limit = self.limits.body_bytes_max;
        let announced = response.content_length().unwrap_or(0);
        if announced > limit as u64 {
            return Err(RpcError::TooLarge(limit));
        }
        let mut body = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| transport(&error))?;
            if body.len() + chunk.len() > limit {
                return Err(RpcError::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failed(&self, error: &RpcError) {
        self.count(error.kind());
        let jitter = self.jitter();
        let mut state = self.state();
        state
            .health
            .fail(error, Instant::now(), &self.limits, jitter);
        if error.is_a_cut() {
            state.is_on_chain = false;
        }
        drop(state);
        tracing::debug!(network = %self.place.network, node = self.place.number, host = %self.host, %error, "a node failed");
    }

    fn count(&self, kind: &'static str) {
        let labels = [
            ("network", self.place.network.clone()),
            ("node", self.place.number.to_string()),
            ("kind", kind.to_owned()),
        ];
        metrics::counter!("coffer_node_errors_total", &labels).increment(1);
    }

    /// Counts an answer that was well-formed and wrong.
    pub(crate) fn blame(&self, error: &RpcError) {
        self.count(error.kind());
        self.state().health.blame(&error.to_string());
    }

    fn jitter(&self) -> f64 {
        // 53 bits are what a float holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let uniform = ((self.random)() >> 11) as f64;
        uniform / 9_007_199_254_740_992.0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_on_chain(&self) -> bool {
        self.state().is_on_chain
    }

    pub(crate) fn set_on_chain(&self, is_on_chain: bool) {
        self.state().is_on_chain = is_on_chain;
    }

    pub(crate) fn offers_traces(&self) -> Option<bool> {
        self.state().offers_traces
    }

    pub(crate) fn set_offers_traces(&self, offers: bool) {
        self.state().offers_traces = Some(offers);
    }

    pub(crate) fn set_head(&self, head: BlockHeight) {
        self.state().head = Some(head);
    }

    pub(crate) fn health(&self) -> f64 {
        self.state().health.score
    }

    pub(crate) fn status(&self) -> NodeStatus {
        let state = self.state();
        let labels = [
            ("network", self.place.network.clone()),
            ("node", self.place.number.to_string()),
        ];
        metrics::gauge!("coffer_node_health", &labels).set(state.health.score);
        NodeStatus {
            number: self.place.number,
            host: self.host.clone(),
            head: state.head,
            health: state.health.score,
            latency_ms: state.health.latency_ms,
            last_error: state.health.last_error.clone(),
        }
    }
}

/// Scheme, host and port: a path or a query may be a provider's key.
fn origin(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

/// The innermost cause: the outer ones repeat the URL.
fn transport(error: &reqwest::Error) -> RpcError {
    if error.is_timeout() {
        return RpcError::Timeout;
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if std::ptr::eq(
        std::ptr::from_ref(cause).cast::<u8>(),
        std::ptr::from_ref(error).cast::<u8>(),
    ) {
        return RpcError::Transport("the exchange broke off".to_owned());
    }
    RpcError::Transport(shortened(&cause.to_string()))
}

/// A result as a type of its own.
pub(crate) fn decode<'a, T: serde::Deserialize<'a>>(value: &'a RawValue) -> Result<T, RpcError> {
    serde_json::from_str(value.get())
        .map_err(|error| RpcError::Unbelievable(shortened(&error.to_string())))
}
