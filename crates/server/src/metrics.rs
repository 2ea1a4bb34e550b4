//! The metrics recorder: one per process, since the `metrics` macros know only one. Rendered when asked, never pushed.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// From a millisecond to a minute; a request, a commit and a chunk all fall inside.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// From a block's time to a credit: minutes on most chains, an hour where finality is far away.
const LATENCY_SECONDS: &[f64] = &[
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0,
];
/// Blocks that a reorganization took back.
const DEPTHS: &[f64] = &[1.0, 2.0, 3.0, 6.0, 12.0, 24.0, 32.0, 64.0];

/// Installs the recorder, or finds it installed.
pub(crate) fn install() -> &'static PrometheusHandle {
    RECORDER.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)
            .and_then(|builder| {
                let latency = Matcher::Full("coffer_deposit_latency_seconds".into());
                builder.set_buckets_for_metric(latency, LATENCY_SECONDS)
            })
            .and_then(|builder| {
                let depth = Matcher::Full("coffer_reorg_depth".into());
                builder.set_buckets_for_metric(depth, DEPTHS)
            })
            .expect("the lists of buckets are not empty")
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed; /metrics will be empty");
        }
        metrics::describe_counter!(
            "coffer_http_requests_total",
            "Requests answered, by route, method and status"
        );
        metrics::describe_histogram!(
            "coffer_http_request_duration_seconds",
            "From a request's head to its answer's head"
        );
        metrics::describe_counter!(
            "coffer_http_unauthorized_total",
            "Requests without a valid API key"
        );
        metrics::describe_counter!(
            "coffer_http_rate_limited_total",
            "Requests refused by a rate limit"
        );
        metrics::describe_counter!(
            "coffer_http_connections_cut_total",
            "Times that the oldest silent connection was closed to make room"
        );
        metrics::describe_gauge!(
            "process_resident_memory_bytes",
            "Memory of this process that is in RAM"
        );
        handle
    })
}

/// Keeps histograms from growing between two scrapes.
pub(crate) async fn upkeep(stop: CancellationToken) {
    let handle = install();
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => handle.run_upkeep(),
        }
    }
}

pub(crate) fn render() -> String {
    let handle = install();
    if let Some(bytes) = resident_bytes() {
        metrics::gauge!("process_resident_memory_bytes").set(bytes);
    }
    handle.render()
}

/// From `/proc/self/status`; `None` where there is no such file.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; memory stays below 2^53 bytes"
)]
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some((kibibytes * 1024) as f64)
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_is_told_and_histograms_have_buckets() {
        super::install();
        metrics::histogram!("coffer_test_duration_seconds").record(0.003);
        let text = super::render();
        assert!(
            text.contains("coffer_test_duration_seconds_bucket{le=\"0.005\"} 1"),
            "{text}"
        );
        // The buckets that the alert rules name.
        metrics::histogram!("coffer_reorg_depth").record(7.0);
        metrics::histogram!("coffer_deposit_latency_seconds").record(100.0);
        let text = super::render();
        for line in [
            "coffer_reorg_depth_bucket{le=\"6\"} 0",
            "coffer_reorg_depth_count 1",
            "coffer_deposit_latency_seconds_bucket{le=\"120\"} 1",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let bytes = super::resident_bytes().expect("Linux tells it");
        assert!(bytes > 1_000_000.0);
    }
}
