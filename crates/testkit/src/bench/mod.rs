//! How fast a batch is, from the HTTP request to the last durable commit, beside what could not be faster.
//!
//! Two baselines in the same run, on the same machine: deriving the same addresses one after the other with
//! the `bitcoin` crate (Solana: the signer's own code, one key at a time), and writing the same rows with the
//! same indexes by bare bulk insert. A batch does both, derives each address a second time, seals,
//! audits and answers HTTP.

mod api;
mod bitcoin;
mod derivation;
mod insert;
mod kill;
mod ledger;
mod relay;
mod watched;
mod webhooks;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

pub use api::{ApiOptions, api};
pub use bitcoin::{BitcoinOptions, bitcoin};
pub use kill::killed;
pub use relay::{RelayOptions, relay};
pub use watched::watched;
pub use webhooks::{WebhookOptions, webhooks};

use crate::Engine;
use crate::crash::Input;
use crate::serving::{Api, Programs, Server, Site, Template};

pub use ledger::{LedgerOptions, ledger};

/// A rate does not depend on the number of rows, so the slow baseline takes a part of them.
const DERIVED_ROWS: u32 = 20_000;
const LOOK_EVERY: Duration = Duration::from_millis(25);

#[derive(Debug, Clone)]
pub struct Options {
    pub programs: Programs,
    pub rows: u32,
    /// As the API takes them, parted by commas.
    pub chains: String,
    /// A PostgreSQL server to make databases on; SQLite without one.
    pub server_url: Option<String>,
    /// Without them only the batch itself is measured.
    pub baselines: bool,
    pub ids: Ids,
}

/// The external ids of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// In order, as a company numbers its customers.
    InOrder,
    /// As UUIDs are.
    Random,
}

impl Options {
    fn engine(&self) -> Engine {
        if self.server_url.is_some() {
            Engine::Postgres
        } else {
            Engine::Sqlite
        }
    }

    fn engine_name(&self) -> String {
        format!("{:?}", self.engine()).to_lowercase()
    }

    fn input(&self) -> Input {
        match self.ids {
            Ids::InOrder => Input::clean(self.rows),
            Ids::Random => Input::scattered(self.rows),
        }
    }
}

/// Seconds and rows of one measurement.
#[derive(Debug, Clone, Copy)]
struct Measured {
    rows: u32,
    seconds: f64,
}

impl Measured {
    fn rate(self) -> f64 {
        f64::from(self.rows) / self.seconds
    }

    fn json(self) -> Value {
        json!({ "rows": self.rows, "seconds": self.seconds, "rows_per_second": self.rate() })
    }
}

/// What a batch took.
struct BatchRun {
    /// Until the 202.
    accepted: f64,
    /// Until the batch was seen finished.
    finished: Measured,
    /// Fetching all results afterwards.
    results: f64,
    /// Peak resident memory of `coffer` and of `coffer-signer`, in KiB.
    memory_kib: (u64, u64),
    /// Processor seconds of `coffer` and of `coffer-signer`, from the request to the end of the batch.
    processor: (f64, f64),
    /// What `coffer` caused to be written to disk until the end of the batch.
    written_mib: u64,
}

/// Measures; the answer is a JSON object and its text for people.
///
/// # Errors
/// When a part fails, or the batch does not end well.
pub async fn batch(options: &Options) -> Result<(Value, String)> {
    let engine = options.engine();
    let template = Template::make(&options.programs, engine, options.server_url.as_deref()).await?;
    let site = template.copy().await?;
    let run = measure(options, &site).await?;
    let mut json = json!({
        "machine": machine(),
        "engine": options.engine_name(),
        "chains": options.chains,
        "batch": run.finished.json(),
        "seconds_until_accepted": run.accepted,
        "seconds_for_results": run.results,
        "peak_memory_mib": { "coffer": run.memory_kib.0 / 1024, "coffer_signer": run.memory_kib.1 / 1024 },
    });
    json["written_mib"] = json!(run.written_mib);
    json["processor_seconds"] =
        json!({ "coffer": run.processor.0, "coffer_signer": run.processor.1 });
    let mut text = text_of(options, &run);
    if options.baselines {
        let rows = options.rows.min(DERIVED_ROWS);
        let chains = options.chains.clone();
        let derived =
            tokio::task::spawn_blocking(move || derivation::sequential(&chains, rows)).await??;
        let inserted = insert::bare(engine, &site).await?;
        json["sequential_derivation"] = derived.json();
        json["bare_insert"] = inserted.json();
        for (name, baseline) in [
            ("sequential derivation, one thread", derived),
            ("bare bulk insert", inserted),
        ] {
            let ratio = run.finished.rate() / baseline.rate();
            text += &format!(
                "{name:36} {:>9.0} rows/s; the batch has {ratio:.2} of it\n",
                baseline.rate()
            );
        }
    }
    template.discard(site).await;
    Ok((json, text))
}

async fn measure(options: &Options, site: &Site) -> Result<BatchRun> {
    let csv = options.input().csv;
    let server = Server::start(&options.programs, site, None).await?;
    let api = Api::new(&server.url, &site.token)?;
    let idle = server.processor_seconds();
    let started = Instant::now();
    let batch = api.upload(csv, &options.chains, "bench").await?;
    let accepted = started.elapsed().as_secs_f64();
    let path = format!(
        "/v1/batches/{}",
        batch["id"].as_str().context("a batch has an id")?
    );
    let ended = loop {
        let batch = api.get(&path).await?;
        if !batch["finished_at"].is_null() {
            break batch;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let finished = Measured {
        rows: options.rows,
        seconds: started.elapsed().as_secs_f64(),
    };
    let busy = server.processor_seconds();
    let written_mib = server.written_bytes() >> 20;
    ensure!(
        ended["rows_created"].as_u64() == Some(u64::from(options.rows)),
        "not every row was created: {ended}"
    );
    let started = Instant::now();
    let results = api.get_bytes(&format!("{path}/results?format=csv")).await?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(
        results.iter().filter(|byte| **byte == b'\n').count() == options.rows as usize + 1,
        "a row has no result"
    );
    let memory_kib = server.peak_memory_kib();
    server.stop().await?;
    Ok(BatchRun {
        accepted,
        finished,
        results: seconds,
        memory_kib,
        processor: (busy.0 - idle.0, busy.1 - idle.1),
        written_mib,
    })
}

fn text_of(options: &Options, run: &BatchRun) -> String {
    let engine = options.engine_name();
    let (coffer, signer) = (run.memory_kib.0 / 1024, run.memory_kib.1 / 1024);
    let batch = "batch, HTTP to last commit";
    format!(
        "{}\n{} rows x {} on {engine}\n{batch:36} {:>9.0} rows/s ({:.2} s; accepted after {:.2} s)\n{:36} {:>9.0} rows/s\n\
         peak resident memory: coffer {coffer} MiB, coffer-signer {signer} MiB; processor time: coffer {:.1} s, coffer-signer {:.1} s; written by coffer {} MiB\n",
        machine(),
        options.rows,
        options.chains,
        run.finished.rate(),
        run.finished.seconds,
        run.accepted,
        "reading the results",
        f64::from(options.rows) / run.results,
        run.processor.0,
        run.processor.1,
        run.written_mib,
    )
}

/// Processor, cores, memory, kernel.
#[must_use]
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.split_once(':'));
        line.map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let kib: u64 = field(&read("/proc/meminfo"), "MemTotal")
        .trim_end_matches(" kB")
        .parse()
        .unwrap_or(0);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{}, {cores} cores, {} GiB, Linux {}",
        field(&read("/proc/cpuinfo"), "model name"),
        kib >> 20,
        kernel.trim()
    )
}
