//! Single calls over HTTP: wallets from the pool at a given rate, as fast as it goes and many in a call; addresses looked
//! up; the same address again and again.
//!
//! Each has a baseline in the same run, asked by the same client: a server of this program that answers the same bytes and
//! does nothing else; a route of the measured server that asks nothing (`/healthz`); and, for what is durable, a
//! page made sure of on the same disk. The client takes its part of the processor in all of them alike.

mod load;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use coffer_store::Db;
use coffer_store::wallets::look_by_address;
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use self::load::{Latencies, fast, fsyncs, fsyncs_at_rate, steady};
use super::{LOOK_EVERY, machine};
use crate::Engine;
use crate::loopback;
use crate::serving::{Api, Programs, Server, Site, Template};

/// Calls that are under way at once when it is to go as fast as it can.
const AT_ONCE: u32 = 16;
const MANY_AT_ONCE: u32 = 64;
const READS: u32 = 5_000;
/// Rounds of which the middle one counts, each with the baseline beside it.
const ROUNDS: usize = 5;
const FILLED_WITHIN: Duration = Duration::from_secs(300);
const FSYNCS: u32 = 500;
const BULK_CALLS: u32 = 20;
const BULK_SIZE: u32 = 1_000;

#[derive(Debug, Clone)]
pub struct ApiOptions {
    pub programs: Programs,
    /// Wallets a second of the steady part.
    pub rate: u32,
    pub seconds: u32,
    /// A PostgreSQL server to make a database on; SQLite without one.
    pub server_url: Option<String>,
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
    let disk = Disk {
        page: fsyncs(site.folder(), FSYNCS)?,
        steady: fsyncs_at_rate(site.folder(), options.rate, options.rate * options.seconds).await?,
    };
    let server = Server::start_with(&options.programs, &site, &unlimited(&site)?).await?;
    let api = Arc::new(Api::new(&server.url, &site.token)?);
    let made = wallets(&api, options).await?;
    let addresses = bulk_addresses(&made.bulk);
    let db = Db::open(&site.database_url).await?;
    let read = reads(&api, &db, &addresses).await?;
    db.close().await;
    server.stop().await?;
    template.discard(site).await;
    Ok(report(options, engine, &disk, &made, &read))
}

/// What the disk alone takes.
struct Disk {
    page: Latencies,
    /// As much as the wallets of the steady part write, at their rate.
    steady: Latencies,
}

/// What making wallets came to.
struct Made {
    steady: Latencies,
    fast: (Latencies, f64),
    many: (Latencies, f64),
    bulk: Vec<Value>,
    bulk_rate: f64,
}

async fn wallets(api: &Arc<Api>, options: &ApiOptions) -> Result<Made> {
    let steady_calls = options.rate * options.seconds;
    let needed = 5 * steady_calls + BULK_CALLS * BULK_SIZE;
    fill(api, needed.min(1_000_000)).await?;
    let create = |prefix: &'static str| {
        let api = Arc::clone(api);
        move |number: u32| {
            let api = Arc::clone(&api);
            async move {
                let name = format!("{prefix}-{number}");
                let body = json!({ "external_id": name, "chains": ["evm"] });
                api.post("/v1/wallets", &name, &body).await?;
                Ok(())
            }
        }
    };
    let steady = steady(options.rate, steady_calls, create("steady")).await?;
    let fast_at_16 = fast(AT_ONCE, 2 * steady_calls, create("fast")).await?;
    let many = fast(MANY_AT_ONCE, 2 * steady_calls, create("many")).await?;
    let started = Instant::now();
    let calls = (0..BULK_CALLS).map(|call| bulk(api, call));
    // Two at once: one is read, checked and written as JSON while the other is stored.
    let mut answers = Vec::new();
    let mut calls = futures_util::StreamExt::buffered(futures_util::stream::iter(calls), 2);
    while let Some(answer) = futures_util::StreamExt::next(&mut calls).await {
        answers.push(answer?);
    }
    let bulk_rate = f64::from(BULK_CALLS * BULK_SIZE) / started.elapsed().as_secs_f64();
    Ok(Made {
        steady,
        fast: fast_at_16,
        many,
        bulk: answers,
        bulk_rate,
    })
}

async fn bulk(api: &Api, call: u32) -> Result<Value> {
    let customers: Vec<Value> = (0..BULK_SIZE)
        .map(|number| json!({ "external_id": format!("bulk-{call}-{number}") }))
        .collect();
    let body = json!({ "chains": ["evm"], "wallets": customers });
    let key = format!("bulk-{call}");
    Ok(api.post("/v1/wallets/bulk", &key, &body).await?)
}

fn bulk_addresses(answers: &[Value]) -> Vec<String> {
    let wallets = answers
        .iter()
        .filter_map(|answer| answer["data"].as_array());
    let address = |wallet: &Value| Some(wallet["addresses"][0]["address"].as_str()?.to_owned());
    wallets.flatten().filter_map(address).collect()
}

/// What reading came to.
struct Read {
    /// Addresses that were not asked for before, one after the other.
    address: Latencies,
    /// One address that was asked for before, one call after the other.
    kept: Latencies,
    /// The row of each address, read from the database by this process, neither verified nor answered.
    row: Latencies,
    bare: Latencies,
    /// Calls a second of the middle round: the same address, the route that asks nothing, the bare server.
    again: f64,
    route: f64,
    bare_rate: f64,
    /// The middle of the rounds' ratios of the first two.
    ratio: f64,
}

async fn reads(api: &Arc<Api>, db: &Db, addresses: &[String]) -> Result<Read> {
    let path = |address: &str| format!("/v1/addresses/{address}");
    let last = addresses.last().context("wallets were made in bulk")?;
    let text = String::from_utf8(api.get_bytes(&path(last)).await?)?;
    let (bare_api, bare_server) = bare(text).await?;
    let (mut address, mut kept) = (Vec::new(), Vec::new());
    let (mut row, mut bare) = (Vec::new(), Vec::new());
    for asked in addresses.iter().take(READS as usize) {
        let started = Instant::now();
        api.get_bytes(&path(asked)).await?;
        address.push(started.elapsed());
        let started = Instant::now();
        api.get_bytes(&path(last)).await?;
        kept.push(started.elapsed());
        let payload = coffer_chains::parse(asked)?.payload;
        let started = Instant::now();
        let found = look_by_address(db, &payload).await?;
        row.push(started.elapsed());
        ensure!(matches!(found, Some(Ok(_))), "{asked} is not stored");
        let started = Instant::now();
        bare_api.get_bytes("/").await?;
        bare.push(started.elapsed());
    }
    let get = |api: &Arc<Api>, path: String| {
        let api = Arc::clone(api);
        move |_| {
            let (api, path) = (Arc::clone(&api), path.clone());
            async move {
                api.get_bytes(&path).await?;
                Ok(())
            }
        }
    };
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (_, again) = fast(AT_ONCE, READS, get(api, path(last))).await?;
        let (_, route) = fast(AT_ONCE, READS, get(api, "/healthz".to_owned())).await?;
        let (_, bare) = fast(AT_ONCE, READS, get(&bare_api, "/".to_owned())).await?;
        rounds.push((again / route, again, route, bare));
    }
    bare_server.abort();
    rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (ratio, again, route, bare_rate) = rounds[ROUNDS / 2];
    Ok(Read {
        address: Latencies::of(address),
        kept: Latencies::of(kept),
        row: Latencies::of(row),
        bare: Latencies::of(bare),
        again,
        route,
        bare_rate,
        ratio,
    })
}

fn report(
    options: &ApiOptions,
    engine: Engine,
    disk: &Disk,
    made: &Made,
    read: &Read,
) -> (Value, String) {
    let added_us = (read.address.mean() - read.bare.mean()) * 1e3;
    let read_us = (read.address.mean() - read.kept.mean()) * 1e3;
    let verified_us = read_us - read.row.mean() * 1e3;
    let text = format!(
        "{}\n{engine:?}\n{}{}{}{}{}{}{}{}{}\
         {:44} {:>8.0}/s at {AT_ONCE} at once, {:.0}/s at {MANY_AT_ONCE}\n\
         {:44} {:>8.0}/s, {BULK_SIZE} a call\n\
         {:44} {added_us:>8.0} µs more than a server that does nothing\n\
         {:44} {read_us:>8.0} µs more than the same answer given again\n\
         {:44} {verified_us:>8.0} µs of it, without its row's reading (goal 100)\n\
         {:44} {:>8.0}/s, {:.2} of a route that asks nothing (goal 0.80)\n\
         {:44} {:>8.0}/s\n{:44} {:>8.0}/s\n",
        machine(),
        disk.page.text("a page made sure of on this disk"),
        disk.steady.text(&format!(
            "a wallet's pages alone, {} a second",
            options.rate
        )),
        made.steady
            .text(&format!("a wallet, {} a second (goal p99 2)", options.rate)),
        made.fast.0.text("a wallet, 16 at once"),
        made.many.0.text("a wallet, 64 at once"),
        read.address.text("an address looked up, never the same"),
        read.kept.text("the same address again, one at a time"),
        read.row.text("its row, read and not verified"),
        read.bare.text("a server that does nothing"),
        "wallets by single calls",
        made.fast.1,
        made.many.1,
        "wallets in bulk (goal 20,000)",
        made.bulk_rate,
        "an address costs",
        "to read, verify and derive it",
        "to verify, derive and write it out",
        "the same address again",
        read.again,
        read.ratio,
        "a route that asks nothing, same program",
        read.route,
        "a server that does nothing",
        read.bare_rate,
    );
    let json = json!({
        "machine": machine(),
        "engine": format!("{engine:?}").to_lowercase(),
        "rate": options.rate,
        "fsync": disk.page.json(),
        "fsync_steady": disk.steady.json(),
        "wallet_steady": made.steady.json(),
        "wallet_steady_p99_of_disk": made.steady.at(990) / disk.steady.at(990),
        "wallet_fast": made.fast.0.json(),
        "wallets_per_second": made.fast.1,
        "wallets_per_second_64": made.many.1,
        "bulk_wallets_per_second": made.bulk_rate,
        "address": read.address.json(),
        "bare": read.bare.json(),
        "address_kept": read.kept.json(),
        "address_row": read.row.json(),
        "address_added_us": added_us,
        "address_read_us": read_us,
        "address_verified_us": verified_us,
        "cached_per_second": read.again,
        "route_per_second": read.route,
        "bare_per_second": read.bare_rate,
        "cached_of_route": read.ratio,
    });
    (json, text)
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
            // Taken down again, or the pool would be filled while wallets are measured.
            api.put(&path, &json!({ "low": 0, "high": entries }))
                .await?;
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the pool does not fill: {pool}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A server of this program that answers `text` and does nothing.
async fn bare(text: String) -> Result<(Arc<Api>, tokio::task::JoinHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let answer = |text: Arc<String>, _: Bytes| async move {
        loopback::whole(StatusCode::OK, text.as_ref().clone())
    };
    let server = tokio::spawn(loopback::serve(listener, Arc::new(text), answer));
    Ok((Arc::new(Api::new(&url, "")?), server))
}
