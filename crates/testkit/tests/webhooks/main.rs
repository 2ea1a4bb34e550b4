//! Webhooks with real receivers on this host: within one process on both engines, and the whole server, killed.

mod delivery;
mod manage;
mod site;
mod tamper;
mod trouble;
mod whole;

use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(180);

/// Runs an async test once on each engine, under a name that says which.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() { super::$name(coffer_testkit::Engine::Sqlite).await; })* }
        mod postgresql { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() { super::$name(coffer_testkit::Engine::Postgres).await; })* }
    };
}
pub(crate) use on_both_engines;

/// Looks again until `look` gives something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let waiting = async {
        loop {
            tick.tick().await;
            if let Some(value) = look().await {
                return value;
            }
        }
    };
    let waited = tokio::time::timeout(WITHIN, waiting).await;
    waited.unwrap_or_else(|_| panic!("not in time: {what}"))
}
