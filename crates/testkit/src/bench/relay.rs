//! A backlog of events drained to NATS by `coffer serve`, beside the bare client of the same server in the same run.
//!
//! The backlog is made with no sink configured; then `coffer` is started with one. Its memory is looked at all the way, and
//! must not grow with the backlog. The bare client publishes bodies of the same size under the same promises (each with an
//! id, each confirmed, a thousand under way), before and after; the better of the two counts.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::machine;
use crate::serving::{Api, Programs, Server, Site, Template};
use crate::{BrokerServer, Engine};

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Of an envelope around a wallet's data.
const BODY_BYTES: usize = 700;
const UNDER_WAY: usize = 1000;
const BARE_EVENTS: usize = 100_000;
const WITHIN: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone)]
pub struct RelayOptions {
    pub programs: Programs,
    /// Of the backlog: one for each wallet of a batch.
    pub events: u32,
    /// A PostgreSQL server to make a database on; SQLite without one.
    pub server_url: Option<String>,
}

/// What draining took.
struct Drained {
    events: u64,
    seconds: f64,
    /// Resident memory in KiB when a tenth was through, and the most ever seen behind that.
    memory_early_kib: u64,
    memory_most_kib: u64,
}

/// Measures; the answer is a JSON object and its text for people.
///
/// # Errors
/// When a part fails.
pub async fn relay(options: &RelayOptions) -> Result<(Value, String)> {
    let (engine, name) = if options.server_url.is_some() {
        (Engine::Postgres, "PostgreSQL")
    } else {
        (Engine::Sqlite, "SQLite")
    };
    let template = Template::make(&options.programs, engine, options.server_url.as_deref()).await?;
    let site = template.copy().await?;
    make_backlog(options, &site).await?;
    let broker = BrokerServer::nats().await?;
    let address = format!("nats://{}", broker.address());
    let before = bare(&address, "before").await?;
    let drained = drain(options, &site, &address).await?;
    let after = bare(&address, "after").await?;
    let bare = before.max(after);
    let rate = drained.events as f64 / drained.seconds;
    let figures = json!({
        "engine": name, "events": drained.events, "seconds": drained.seconds, "events_per_second": rate,
        "bare_per_second": { "before": before, "after": after }, "ratio": rate / bare,
        "memory_kib": { "a_tenth_through": drained.memory_early_kib, "most": drained.memory_most_kib },
        "machine": machine(),
    });
    let text = format!(
        "relay to NATS, {}: {} events in {:.1} s, {rate:.0}/s; bare client {before:.0}/s before, {after:.0}/s after; ratio {:.2}\n\
         memory of coffer: {} MiB with a tenth through, {} MiB at most behind that\n",
        name,
        drained.events,
        drained.seconds,
        rate / bare,
        drained.memory_early_kib / 1024,
        drained.memory_most_kib / 1024,
    );
    template.discard(site).await;
    Ok((figures, text))
}

async fn make_backlog(options: &RelayOptions, site: &Site) -> Result<()> {
    let server = Server::start(&options.programs, site, None).await?;
    let api = Api::new(&server.url, &site.token)?;
    let mut csv = String::from("external_id\n");
    for number in 0..options.events {
        csv.push_str(&format!("customer-{number}\n"));
    }
    let batch = api.upload(csv.into_bytes(), "evm", "backlog").await?;
    let path = format!("/v1/batches/{}", batch["id"].as_str().context("an id")?);
    let deadline = Instant::now() + WITHIN;
    loop {
        let batch = api.get(&path).await?;
        if batch["state"] == "completed" {
            break;
        }
        ensure!(
            Instant::now() < deadline,
            "the backlog is not made: {batch}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    server.stop().await
}

async fn drain(options: &RelayOptions, site: &Site, address: &str) -> Result<Drained> {
    let config = site.folder().join("relay.toml");
    std::fs::write(
        &config,
        format!(
            "[[sinks]]\nname = \"bench\"\n[sinks.broker.nats]\nservers = [\"{address}\"]\nstream = \"RELAY\"\n\
             prefix = \"relay\"\ncreate_stream = true\n"
        ),
    )?;
    let arguments = ["--config".to_owned(), config.display().to_string()];
    let server = Server::start_with(&options.programs, site, &arguments).await?;
    let api = Api::new(&server.url, &site.token)?;
    let deadline = Instant::now() + WITHIN;
    let mut begun: Option<(Instant, u64)> = None;
    let (mut early, mut most) = (0, 0);
    loop {
        let sinks = api.get("/v1/sinks").await?;
        let sink = &sinks["items"][0];
        let published = sink["published"].as_u64().unwrap_or(0);
        let newest = sink["newest"].as_u64().unwrap_or(u64::MAX);
        let (start, first) = *begun.get_or_insert((Instant::now(), published));
        let memory = resident_kib(server.pid());
        if published < newest / 10 {
            early = memory;
        } else {
            most = most.max(memory);
        }
        if published == newest {
            let drained = Drained {
                events: newest - first,
                seconds: start.elapsed().as_secs_f64(),
                memory_early_kib: early,
                memory_most_kib: most,
            };
            server.stop().await?;
            return Ok(drained);
        }
        ensure!(
            Instant::now() < deadline,
            "the backlog is not drained: {sink}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Events a second of a client that knows nothing of Coffer.
async fn bare(address: &str, name: &str) -> Result<f64> {
    let client = async_nats::connect(address).await?;
    let jetstream = async_nats::jetstream::new(client);
    let config = async_nats::jetstream::stream::Config {
        name: format!("BARE-{name}"),
        subjects: vec![format!("bare.{name}.>")],
        ..async_nats::jetstream::stream::Config::default()
    };
    jetstream
        .create_stream(config)
        .await
        .map_err(|error| anyhow::anyhow!("no stream: {error}"))?;
    let body = Bytes::from(vec![b'e'; BODY_BYTES]);
    let start = Instant::now();
    for wave in 0..BARE_EVENTS / UNDER_WAY {
        let mut confirmations = Vec::with_capacity(UNDER_WAY);
        for number in 0..UNDER_WAY {
            let id = wave * UNDER_WAY + number;
            let message = PublishMessage::build()
                .message_id(format!("evt_{id:032}"))
                .payload(body.clone());
            let sent = jetstream
                .send_publish(format!("bare.{name}.wallet.wal_{id:032}"), message)
                .await?;
            confirmations.push(sent.into_future());
        }
        try_join_all(confirmations).await?;
    }
    Ok(BARE_EVENTS as f64 / start.elapsed().as_secs_f64())
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok())
        .unwrap_or(0)
}
