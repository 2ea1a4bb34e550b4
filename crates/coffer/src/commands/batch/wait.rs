use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::pace;
use crate::client::Resource;
use crate::commands::Session;
use crate::error::Failure;
use crate::meter::Meter;
use crate::output::member;

/// Asked quickly at first, so that a small batch is not waited for longer than it takes.
const INTERVAL_FIRST: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(1);

/// Asks until the batch's state is final. A server that is gone is waited for up to `patience` each time.
pub(crate) async fn until_ended(
    session: &Session,
    id: &str,
    accepted: &Value,
    patience: Duration,
) -> Result<Value, Failure> {
    let total = accepted["rows_total"].as_u64().unwrap_or(0);
    let mut meter = Meter::new(session.out, total, "rows");
    let mut interval = INTERVAL_FIRST;
    let mut is_away = false;
    let mut heard_at = Instant::now();
    loop {
        match session.client.get(Resource::at(&["batches", id])).await {
            Ok(batch) => {
                heard_at = Instant::now();
                is_away = false;
                show(&mut meter, &batch);
                if is_final(&batch) {
                    meter.finish();
                    return Ok(batch);
                }
            }
            Err(failure) if failure.is_passing() && heard_at.elapsed() < patience => {
                if !is_away {
                    meter.say(&format!("{failure}; waiting for it to come back"));
                }
                is_away = true;
                interval = INTERVAL_MAX;
            }
            Err(failure) => {
                meter.finish();
                return Err(failure);
            }
        }
        sleep(interval).await;
        interval = (interval * 2).min(INTERVAL_MAX);
    }
}

fn show(meter: &mut Meter, batch: &Value) {
    if let Some(total) = batch["rows_total"].as_u64() {
        meter.set_total(total);
    }
    let done = batch["rows_done"].as_u64().unwrap_or(0);
    let remark = match batch["state"].as_str() {
        Some("paused") => "go on with `coffer batch resume`".to_owned(),
        _ => pace(batch),
    };
    meter.set(done, &member(batch, "state"), &remark);
}

fn is_final(batch: &Value) -> bool {
    matches!(
        batch["state"].as_str(),
        Some("completed" | "completed_with_errors" | "cancelled" | "failed")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_final_state_ends_the_wait() {
        for state in ["completed", "completed_with_errors", "cancelled", "failed"] {
            assert!(is_final(&json!({"state": state})), "{state}");
        }
        for state in ["accepted", "running", "paused", "something new"] {
            assert!(!is_final(&json!({"state": state})), "{state}");
        }
        assert!(!is_final(&json!({})));
    }
}
