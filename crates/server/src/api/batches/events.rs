use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use coffer_domain::batch::Batch;
use coffer_domain::id::BatchId;
use coffer_platform::Scope;
use futures_util::Stream;
use utoipa_axum::routes;

use super::BatchView;
use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;

/// Short enough for proxies that cut idle answers after half a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Follow a batch (server-sent events)
///
/// An event `progress` with the batch as data, at once and after each change; `end` in its place at a final state,
/// after which the stream closes. Whoever reconnects gets the present state first, so no event ids are kept.
#[utoipa::path(get, path = "/v1/batches/{id}/events", tag = "batches", params(("id" = String, Path)),
    responses((status = 200, body = BatchView, content_type = "text/event-stream")))]
pub(crate) async fn batch_events(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<BatchId>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    // Refusals are answered as such, before the stream begins.
    let first = api.platform().batch(&caller, id).await?;
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(follow(api, caller, first)).keep_alive(keep_alive))
}

fn follow(api: Api, caller: Caller, first: Batch) -> impl Stream<Item = Result<Event, Infallible>> {
    let mut tick = tokio::time::interval(api.events_interval());
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    async_stream::stream! {
        let mut batch = first;
        loop {
            yield Ok(event(&batch, api.now_ms()));
            if batch.state.is_final() {
                return;
            }
            let next = loop {
                tokio::select! {
                    // A follower must not hold up the stop of the process.
                    () = api.stopping() => return,
                    _ = tick.tick() => {}
                }
                // After a passing fault the next look may succeed; any other one ends the stream.
                match api.platform().batch(&caller, batch.id).await {
                    Ok(next) if next != batch => break Some(next),
                    Ok(_) => {}
                    Err(error) if error.is_transient() => {}
                    Err(_) => break None,
                }
            };
            match next {
                Some(next) => batch = next,
                None => return,
            }
        }
    }
}

fn event(batch: &Batch, now_ms: i64) -> Event {
    let name = if batch.state.is_final() {
        "end"
    } else {
        "progress"
    };
    let view = BatchView::of(batch, now_ms);
    let data = serde_json::to_string(&view).expect("views are structs of strings and numbers");
    Event::default().event(name).data(data)
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::BatchesRead, routes!(batch_events))
}
