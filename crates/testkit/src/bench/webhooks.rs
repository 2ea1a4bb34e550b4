//! Events delivered to a receiver on this host, beside a bare HTTP client that sends bodies of the same size to the
//! same receiver and does nothing else.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{LOOK_EVERY, machine};
use crate::Engine;
use crate::crash::Input;
use crate::serving::{Api, Programs, Server, Site, Template};

/// Sends under way at once, of Coffer and of the bare client alike.
const AT_ONCE: u32 = 64;
const WITHIN: Duration = Duration::from_secs(3600);
/// Bodies that the bare client sends in turn.
const BODIES: usize = 1000;

#[derive(Debug, Clone)]
pub struct WebhookOptions {
    pub programs: Programs,
    /// Each is the creation of a wallet.
    pub events: u32,
    /// A PostgreSQL server to make a database on; SQLite without one.
    pub server_url: Option<String>,
}

/// Answers 200 to everything, and counts.
#[derive(Default)]
struct Sink {
    requests: AtomicU64,
    ids: Mutex<HashSet<[u8; 16]>>,
    bodies: Mutex<Vec<Bytes>>,
}

impl Sink {
    async fn listen() -> Result<(Arc<Self>, String)> {
        let sink = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let shared = Arc::clone(&sink);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sink = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(move |request| take(request, Arc::clone(&sink)));
                    let connection = hyper::server::conn::http1::Builder::new();
                    // An error is a client that went away.
                    let _ = connection
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok((sink, url))
    }

    fn distinct(&self) -> u64 {
        self.ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len() as u64
    }
}

async fn take(
    request: Request<Incoming>,
    sink: Arc<Sink>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let id = request.headers().get("webhook-id");
    let id = id.and_then(|id| hex::decode(id.as_bytes().strip_prefix(b"evt_")?).ok());
    let id: Option<[u8; 16]> = id.and_then(|id| id.try_into().ok());
    if let Ok(body) = request.into_body().collect().await {
        let mut bodies = sink.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        if bodies.len() < BODIES && id.is_some() {
            bodies.push(body.to_bytes());
        }
    }
    if let Some(id) = id {
        sink.requests.fetch_add(1, Ordering::Relaxed);
        let mut ids = sink.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.insert(id);
    }
    Ok(Response::new(Full::new(Bytes::from_static(b"ok"))))
}

/// Measures; the answer is a JSON object and its text for people.
///
/// # Errors
/// When a part fails, or an event does not arrive.
pub async fn webhooks(options: &WebhookOptions) -> Result<(Value, String)> {
    let server_url = options.server_url.as_deref();
    let engine = match server_url {
        Some(_) => Engine::Postgres,
        None => Engine::Sqlite,
    };
    let template = Template::make(&options.programs, engine, server_url).await?;
    let site = template.copy().await?;
    let server = Server::start_with(&options.programs, &site, &to_this_host(&site)?).await?;
    let api = Api::new(&server.url, &site.token)?;
    let events = fill(&api, options.events).await?;
    let (memory_before, _) = server.peak_memory_kib();
    let (sink, url) = Sink::listen().await?;
    let started = Instant::now();
    let body = json!({ "url": url, "after": 0, "concurrency": AT_ONCE });
    let webhook = api.post("/v1/webhooks", "bench", &body).await?;
    let path = format!("/v1/webhooks/{}", webhook["id"].as_str().context("an id")?);
    while sink.distinct() < events {
        ensure!(
            started.elapsed() < WITHIN,
            "only {} of {events} arrive",
            sink.distinct()
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    let told = loop {
        let shown = api.get(&path).await?;
        if shown["progress"]["lag"] == 0 {
            break started.elapsed().as_secs_f64();
        }
        ensure!(
            started.elapsed() < WITHIN,
            "it is not written down: {shown}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let (memory, _) = server.peak_memory_kib();
    let requests = sink.requests.load(Ordering::Relaxed);
    server.stop().await?;
    template.discard(site).await;
    let bodies = std::mem::take(&mut *sink.bodies.lock().unwrap_or_else(PoisonError::into_inner));
    let bare = bare(&url, bodies, events.min(200_000)).await?;
    let rate = events as f64 / seconds;
    let text = format!(
        "{}\n{events} events to one receiver on {engine:?}, {AT_ONCE} at once\n\
         {:36} {rate:>9.0}/s ({seconds:.1} s; all written down after {told:.1} s; {requests} requests)\n\
         {:36} {bare:>9.0}/s; Coffer has {:.2} of it\n\
         peak resident memory of coffer: {} MiB before, {} MiB after\n",
        machine(),
        "deliveries",
        "a bare client, the same bodies",
        rate / bare,
        memory_before / 1024,
        memory / 1024,
    );
    let json = json!({
        "machine": machine(),
        "engine": format!("{engine:?}").to_lowercase(),
        "events": events,
        "requests": requests,
        "seconds": seconds,
        "deliveries_per_second": rate,
        "bare_per_second": bare,
        "ratio": rate / bare,
        "peak_memory_mib": { "before": memory_before / 1024, "after": memory / 1024 },
    });
    Ok((json, text))
}

fn to_this_host(site: &Site) -> Result<Vec<String>> {
    let path = site.folder().join("bench.toml");
    let text = "[rate_limit]\nrequests_per_second = 0\n\
        [webhooks]\nallow = [\"127.0.0.0/8\"]\nhttp = true\nports = [\"1024-65535\"]\n";
    std::fs::write(&path, text)?;
    Ok(vec!["--config".to_owned(), path.display().to_string()])
}

/// Makes as many wallets, each of which is an event; answers the number of the newest event.
async fn fill(api: &Api, events: u32) -> Result<u64> {
    let batch = api.upload(Input::clean(events).csv, "evm", "bench").await?;
    let path = format!("/v1/batches/{}", batch["id"].as_str().context("an id")?);
    loop {
        if !api.get(&path).await?["finished_at"].is_null() {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    // The last page of the outbox tells the newest number.
    let mut cursor = u64::from(events.saturating_sub(1));
    loop {
        let page = api
            .get(&format!("/v1/events?limit=1000&cursor={cursor}"))
            .await?;
        let next = page["next_cursor"].as_str().context("a cursor")?;
        cursor = next.parse()?;
        if page["more"] != true {
            return Ok(cursor);
        }
    }
}

/// Sends the same bodies by a plain client; answers the rate.
async fn bare(url: &str, bodies: Vec<Bytes>, count: u64) -> Result<f64> {
    ensure!(!bodies.is_empty(), "no body was kept");
    let client = reqwest::Client::builder().no_proxy().build()?;
    let (bodies, next) = (Arc::new(bodies), Arc::new(AtomicU64::new(0)));
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (client, bodies, next, url) = (
            client.clone(),
            Arc::clone(&bodies),
            Arc::clone(&next),
            url.to_owned(),
        );
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<_, anyhow::Error>(());
                }
                let body = bodies[usize::try_from(number)? % bodies.len()].clone();
                let answer = client.post(&url).body(body).send().await?;
                answer.error_for_status()?.bytes().await?;
            }
        });
    }
    for ended in tasks.join_all().await {
        ended?;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}
