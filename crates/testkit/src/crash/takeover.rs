//! A server stopped (SIGSTOP) in the middle of its work for longer than a lease, and another that takes over.
//!
//! One of its chunks is derived and not yet written: it wakes up with a chunk that is no longer its own, and the fencing token
//! must refuse what it then tries to write. Another one is half sent to the database, which keeps that chunk's row locked
//! until somebody ends the transaction. The server must go on living.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use super::dead_wire::DeadWire;
use super::input::Input;
use super::work::CHAINS;
use crate::serving::{Api, ApiError, Programs, Server, Site};

const WITHIN: Duration = Duration::from_secs(150);
const PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn run(programs: &Programs, site: &Site, input: &Input) -> Result<Vec<u8>> {
    let wire = DeadWire::to(&site.database_url).await?;
    let mut first_site = site.second_host()?;
    first_site.database_url.clone_from(&wire.url);
    // The second chunk stalls until long after the stop, which so finds a lease held and work in hand; the time
    // spent stopped counts.
    let mut first =
        Server::start(programs, &first_site, Some("chunk.verified:2:sleep=20000")).await?;
    let api = Api::new(&first.url, &site.token)?;
    let batch = api
        .upload(input.csv.clone(), CHAINS, "the-one-upload")
        .await?;
    let id = batch["id"]
        .as_str()
        .context("a batch has an id")?
        .to_owned();
    let path = format!("/v1/batches/{id}");
    wait(&api, &path, |batch| {
        batch["chunks_done"].as_u64() >= Some(1) && wire.is_dead()
    })
    .await?;
    first.signal(Signal::STOP);
    let second = Server::start(programs, site, None).await?;
    let other = Api::new(&second.url, &site.token)?;
    let before = other.get(&path).await?;
    ensure!(
        before["finished_at"].is_null(),
        "the batch was done before the stop; give it more rows"
    );
    let done = wait(&other, &path, |batch| !batch["finished_at"].is_null()).await;
    first.signal(Signal::CONT);
    done?;
    // The one that woke up sees the same, and answers.
    wait(&api, &path, |batch| !batch["finished_at"].is_null()).await?;
    let losses = lease_losses(&api).await?;
    ensure!(
        losses > 0,
        "the server that woke up was refused nothing; the stop found no lease"
    );
    let (here, there) = (api.results(&id).await?, other.results(&id).await?);
    ensure!(here == there, "the two servers give different results");
    first.stop().await?;
    second.stop().await?;
    Ok(here)
}

async fn wait(
    api: &Api,
    path: &str,
    ready: impl Fn(&serde_json::Value) -> bool,
) -> Result<serde_json::Value> {
    let deadline = Instant::now() + WITHIN;
    loop {
        let batch = match api.get(path).await {
            Ok(batch) => batch,
            // A server that was stopped found its idle connections timed out.
            Err(ApiError::NoAnswer(_)) if Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if ready(&batch) {
            return Ok(batch);
        }
        if Instant::now() > deadline {
            bail!("not so after {} s: {batch}", WITHIN.as_secs());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How often this server found a lease gone, once it has found out.
async fn lease_losses(api: &Api) -> Result<u64> {
    for _ in 0..500 {
        let text = api.get_bytes("/metrics").await?;
        let text = String::from_utf8_lossy(&text);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("coffer_lease_losses_total "));
        if let Some(count) = line.and_then(|count| count.trim().parse().ok()) {
            return Ok(count);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(0)
}
