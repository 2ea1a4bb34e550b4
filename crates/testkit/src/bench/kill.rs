//! The same batch twice: once undisturbed, once with SIGKILLs in its middle. The results must be equal, byte by byte.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{LOOK_EVERY, Options, machine};
use crate::checker::{self, Expected};
use crate::crash::Input;
use crate::serving::{Api, Server, Site, Template};

/// `coffer` dies when so many quarters of the chunks are done.
const DEATHS_AT_QUARTERS: [u64; 3] = [1, 2, 3];
const DIES_WITHIN: Duration = Duration::from_secs(10);

/// # Errors
/// When a run fails, a kill came too late, the results differ, or the independent checker finds a problem.
pub async fn killed(options: &Options) -> Result<(Value, String)> {
    let template = Template::make(
        &options.programs,
        options.engine(),
        options.server_url.as_deref(),
    )
    .await?;
    let input = options.input();
    let site = template.copy().await?;
    let undisturbed = run(options, &site, &input, &[]).await?;
    template.discard(site).await;
    let site = template.copy().await?;
    let disturbed = run(options, &site, &input, &DEATHS_AT_QUARTERS).await?;
    ensure!(
        undisturbed.results == disturbed.results,
        "the results of the disturbed run differ from those of the undisturbed one"
    );
    let expected = Expected {
        rows: Some(&input.rows),
    };
    let report = checker::check(&site.database_url, expected).await?;
    ensure!(report.problems.is_empty(), "{:?}", report.problems);
    template.discard(site).await;
    let json = json!({
        "machine": machine(),
        "engine": options.engine_name(),
        "chains": options.chains,
        "rows": options.rows,
        "kills": DEATHS_AT_QUARTERS.len(),
        "seconds_undisturbed": undisturbed.seconds,
        "seconds_disturbed": disturbed.seconds,
        "result_bytes": disturbed.results.len(),
        "wallets_checked": report.wallets,
    });
    let text = format!(
        "{}\n{} rows x {} on {}\nundisturbed {:.2} s, with {} times SIGKILL {:.2} s\n\
         {} bytes of results, equal; {} wallets in the database checked\n",
        machine(),
        options.rows,
        options.chains,
        options.engine_name(),
        undisturbed.seconds,
        DEATHS_AT_QUARTERS.len(),
        disturbed.seconds,
        disturbed.results.len(),
        report.wallets,
    );
    Ok((json, text))
}

struct Ran {
    seconds: f64,
    results: Vec<u8>,
}

async fn run(options: &Options, site: &Site, input: &Input, deaths: &[u64]) -> Result<Ran> {
    let mut server = Server::start(&options.programs, site, None).await?;
    let mut api = Api::new(&server.url, &site.token)?;
    let started = Instant::now();
    let batch = api
        .upload(input.csv.clone(), &options.chains, "bench")
        .await?;
    let id = batch["id"].as_str().context("a batch has an id")?;
    let path = format!("/v1/batches/{id}");
    let mut deaths = deaths.iter();
    let mut next = deaths.next();
    loop {
        let batch = api.get(&path).await?;
        let count = |name: &str| batch[name].as_u64().context("a batch counts its chunks");
        let ended = !batch["finished_at"].is_null();
        match next {
            Some(quarter) if count("chunks_done")? * 4 >= count("chunks_total")? * quarter => {
                ensure!(
                    !ended,
                    "the batch was done before the kill; give it more rows"
                );
                server.signal(Signal::KILL);
                let died = server.ended_within(DIES_WITHIN).await;
                died.context("a killed server did not end")?;
                server = Server::start(&options.programs, site, None).await?;
                api = Api::new(&server.url, &site.token)?;
                next = deaths.next();
            }
            None if ended => break,
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let results = api.results(id).await?;
    server.stop().await?;
    Ok(Ran { seconds, results })
}
