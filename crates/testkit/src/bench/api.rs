//! Single calls over HTTP: a wallet from the pool at a given rate and as fast as it goes, and an address looked up.
//!
//! The baseline in the same run is a server of this program that answers the same bytes and does nothing else,
//! asked by the same client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{LOOK_EVERY, machine};
use crate::Engine;
use crate::loopback;
use crate::serving::{Api, Programs, Server, Site, Template};

/// Calls that are under way at once when it is to go as fast as it can.
const AT_ONCE: u32 = 16;
const READS: u32 = 5_000;
const FILLED_WITHIN: Duration = Duration::from_secs(300);

#[derive(Debug, Clone)]
pub struct ApiOptions {
    pub programs: Programs,
    /// Wallets a second of the steady part.
    pub rate: u32,
    pub seconds: u32,
    /// A PostgreSQL server to make a database on; SQLite without one.
    pub server_url: Option<String>,
}

/// Milliseconds of many calls.
struct Latencies(Vec<f64>);

impl Latencies {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times.iter().map(|time| time.as_secs_f64() * 1e3).collect())
    }

    fn at(&self, permille: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get(last * permille / 1000).copied().unwrap_or(0.0)
    }

    fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len().max(1) as f64
    }

    fn json(&self) -> Value {
        json!({ "calls": self.0.len(), "mean_ms": self.mean(), "p50_ms": self.at(500), "p99_ms": self.at(990), "max_ms": self.at(1000) })
    }

    fn text(&self, name: &str) -> String {
        format!(
            "{name:36} {:>8.3} ms mean {:>8.3} p50 {:>8.3} p99 {:>8.3} max\n",
            self.mean(),
            self.at(500),
            self.at(990),
            self.at(1000)
        )
    }
}

/// Measures; the answer is a JSON object and its text for people.
///
/// # Errors
/// When a part fails, or a call is refused.
pub async fn api(options: &ApiOptions) -> Result<(Value, String)> {
    let server_url = options.server_url.as_deref();
    let engine = match server_url {
        Some(_) => Engine::Postgres,
        None => Engine::Sqlite,
    };
    let template = Template::make(&options.programs, engine, server_url).await?;
    let site = template.copy().await?;
    let server = Server::start_with(&options.programs, &site, &unlimited(&site)?).await?;
    let api = Arc::new(Api::new(&server.url, &site.token)?);
    let steady_calls = options.rate * options.seconds;
    fill(&api, (3 * steady_calls).min(1_000_000)).await?;
    let steady = steady(&api, options.rate, steady_calls).await?;
    let (fast, fast_rate) = fast(&api, "fast", 2 * steady_calls).await?;
    let (reading, bytes) = read(&api).await?;
    let (bare, bare_rate) = bare(bytes).await?;
    server.stop().await?;
    template.discard(site).await;
    let text = format!(
        "{}\n{engine:?}\n{}{}{}{}{:36} {fast_rate:>8.0}/s, {AT_ONCE} at once\n{:36} {bare_rate:>8.0}/s, {AT_ONCE} at once\n\
         an address costs {:.3} ms more than a server that does nothing\n",
        machine(),
        steady.text(&format!("a wallet, {} a second", options.rate)),
        fast.text("a wallet, as fast as it goes"),
        reading.text("an address looked up"),
        bare.text("a server that does nothing"),
        "wallets",
        "a server that does nothing",
        reading.mean() - bare.mean(),
    );
    let json = json!({
        "machine": machine(),
        "engine": format!("{engine:?}").to_lowercase(),
        "rate": options.rate,
        "wallet_steady": steady.json(),
        "wallet_fast": fast.json(),
        "wallets_per_second": fast_rate,
        "address": reading.json(),
        "bare": bare.json(),
        "bare_per_second": bare_rate,
    });
    Ok((json, text))
}

/// A configuration without limits of rate, which would be measured otherwise.
fn unlimited(site: &Site) -> Result<Vec<String>> {
    let path = site.folder().join("bench.toml");
    std::fs::write(&path, "[rate_limit]\nrequests_per_second = 0\n")?;
    Ok(vec!["--config".to_owned(), path.display().to_string()])
}

/// Until the pool holds so many entries.
async fn fill(api: &Api, entries: u32) -> Result<()> {
    let vaults = api.get("/v1/vaults").await?;
    let id = vaults["data"][0]["id"]
        .as_str()
        .context("there is a vault")?;
    let path = format!("/v1/pools/{id}");
    api.put(&path, &json!({ "low": entries, "high": entries }))
        .await?;
    let deadline = Instant::now() + FILLED_WITHIN;
    loop {
        let pool = api.get(&path).await?;
        if pool["level"].as_u64() >= Some(u64::from(entries)) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the pool does not fill: {pool}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn create(api: &Api, name: &str) -> Result<Duration> {
    let body = json!({ "external_id": name, "chains": ["evm"] });
    let started = Instant::now();
    api.post("/v1/wallets", name, &body).await?;
    Ok(started.elapsed())
}

/// Calls that begin at their time whether the ones before have ended or not, as customers do.
async fn steady(api: &Arc<Api>, rate: u32, calls: u32) -> Result<Latencies> {
    let mut clock = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut tasks = tokio::task::JoinSet::new();
    for call in 0..calls {
        clock.tick().await;
        let api = Arc::clone(api);
        tasks.spawn(async move { create(&api, &format!("steady-{call}")).await });
    }
    let times: Result<Vec<Duration>> = tasks.join_all().await.into_iter().collect();
    Ok(Latencies::of(times?))
}

async fn fast(api: &Arc<Api>, prefix: &str, calls: u32) -> Result<(Latencies, f64)> {
    let next = Arc::new(AtomicU32::new(0));
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (api, next, prefix) = (Arc::clone(api), Arc::clone(&next), prefix.to_owned());
        tasks.spawn(async move {
            let mut times = Vec::new();
            loop {
                let call = next.fetch_add(1, Ordering::Relaxed);
                if call >= calls {
                    return Ok::<_, anyhow::Error>(times);
                }
                times.push(create(&api, &format!("{prefix}-{call}")).await?);
            }
        });
    }
    let times: Result<Vec<_>> = tasks.join_all().await.into_iter().collect();
    let rate = f64::from(calls) / started.elapsed().as_secs_f64();
    Ok((Latencies::of(times?.concat()), rate))
}

/// One after the other, as a customer's program that waits; answers what was read, too.
async fn read(api: &Api) -> Result<(Latencies, Vec<u8>)> {
    let body = json!({ "external_id": "fast-0", "chains": ["evm"] });
    let wallet = api.post("/v1/wallets", "read", &body).await?;
    let address = wallet["addresses"][0]["address"].as_str();
    let path = format!("/v1/addresses/{}", address.context("it has an address")?);
    let mut times = Vec::with_capacity(READS as usize);
    let mut bytes = Vec::new();
    for _ in 0..READS {
        let started = Instant::now();
        bytes = api.get_bytes(&path).await?;
        times.push(started.elapsed());
    }
    Ok((Latencies::of(times), bytes))
}

async fn bare(bytes: Vec<u8>) -> Result<(Latencies, f64)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let text = Arc::new(String::from_utf8(bytes)?);
    let answer = |text: Arc<String>, _: Bytes| async move {
        loopback::whole(StatusCode::OK, text.as_ref().clone())
    };
    let server = tokio::spawn(loopback::serve(listener, text, answer));
    let api = Arc::new(Api::new(&url, "")?);
    let mut times = Vec::with_capacity(READS as usize);
    for _ in 0..READS {
        let started = Instant::now();
        api.get_bytes("/").await?;
        times.push(started.elapsed());
    }
    let (_, rate) = fast(&api, "bare", READS).await?;
    server.abort();
    Ok((Latencies::of(times), rate))
}
