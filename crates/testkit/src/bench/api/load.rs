//! Calls made and timed: at a given rate, or some at once until they are done.

use std::fs::File;
use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

/// What a wallet's transaction writes to SQLite's log, counted in the log.
const PAGES_A_WALLET: u32 = 16;

/// Milliseconds of many calls.
pub(super) struct Latencies(Vec<f64>);

impl Latencies {
    pub(super) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times.iter().map(|time| time.as_secs_f64() * 1e3).collect())
    }

    pub(super) fn at(&self, permille: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get(last * permille / 1000).copied().unwrap_or(0.0)
    }

    pub(super) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len().max(1) as f64
    }

    pub(super) fn json(&self) -> Value {
        json!({ "calls": self.0.len(), "mean_ms": self.mean(), "p50_ms": self.at(500), "p99_ms": self.at(990), "max_ms": self.at(1000) })
    }

    pub(super) fn text(&self, name: &str) -> String {
        format!(
            "{name:44} {:>8.3} ms mean {:>8.3} p50 {:>8.3} p99 {:>8.3} max\n",
            self.mean(),
            self.at(500),
            self.at(990),
            self.at(1000)
        )
    }
}

async fn timed(call: impl Future<Output = Result<()>>) -> Result<Duration> {
    let started = Instant::now();
    call.await?;
    Ok(started.elapsed())
}

/// Calls that begin at their time whether the ones before have ended or not, as customers do.
pub(super) async fn steady<F>(rate: u32, calls: u32, call: impl Fn(u32) -> F) -> Result<Latencies>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut clock = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..calls {
        clock.tick().await;
        tasks.spawn(timed(call(number)));
    }
    let times: Result<Vec<Duration>> = tasks.join_all().await.into_iter().collect();
    Ok(Latencies::of(times?))
}

/// `at_once` calls under way until all are done; answers their times and calls a second.
pub(super) async fn fast<F>(
    at_once: u32,
    calls: u32,
    call: impl Fn(u32) -> F + Clone + Send + 'static,
) -> Result<(Latencies, f64)>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let next = Arc::new(AtomicU32::new(0));
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let (next, call) = (Arc::clone(&next), call.clone());
        tasks.spawn(async move {
            let mut times = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= calls {
                    return Ok::<_, anyhow::Error>(times);
                }
                times.push(timed(call(number)).await?);
            }
        });
    }
    let times: Result<Vec<_>> = tasks.join_all().await.into_iter().collect();
    let rate = f64::from(calls) / started.elapsed().as_secs_f64();
    Ok((Latencies::of(times?.concat()), rate))
}

/// Pages added to a file, and made sure of.
fn append(file: &mut File, pages: u32) -> Result<()> {
    for _ in 0..pages {
        file.write_all(&[7; 4096])?;
    }
    Ok(file.sync_data()?)
}

/// What one durable write costs on this disk: a page appended to a file and made sure of. No commit is faster.
pub(super) fn fsyncs(folder: &Path, count: u32) -> Result<Latencies> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut times = Vec::new();
    for _ in 0..count {
        let started = Instant::now();
        append(&mut file, 1)?;
        times.push(started.elapsed());
    }
    Ok(Latencies::of(times))
}

/// The pages that a wallet writes, made sure of at the wallets' rate by nothing else; each from the moment at which it
/// was due, as a customer would wait for it.
pub(super) async fn fsyncs_at_rate(folder: &Path, rate: u32, count: u32) -> Result<Latencies> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut times = Vec::new();
    let mut clock = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut ended = tokio::time::Instant::now();
    for _ in 0..count {
        let due = clock.tick().await;
        // The clock may wake late; what the disk kept waiting counts from when it was due.
        let begun = if ended > due {
            due
        } else {
            tokio::time::Instant::now()
        };
        append(&mut file, PAGES_A_WALLET)?;
        ended = tokio::time::Instant::now();
        times.push(ended - begun);
    }
    Ok(Latencies::of(times))
}
