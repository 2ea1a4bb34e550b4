use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use coffer_platform::{CloudEvent, EventFilter, EventPage, Scope};
use futures_util::Stream;
use utoipa_axum::routes;

use super::EventQuery;
use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::Query;
use crate::problem::Problem;

/// Short enough for proxies that cut idle answers after half a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long to wait before events are read again after a passing fault.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Follow events (server-sent events)
///
/// Each event has its `sequence` as the stream's `id`, its type as `event`, and the CloudEvents envelope as `data`.
/// Whoever reconnects with `Last-Event-ID` goes on behind that event and misses none; the header beats `cursor`.
/// Without either the stream begins with the next event to come.
#[utoipa::path(get, path = "/v1/events/stream", tag = "events",
    params(EventQuery, ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, body = CloudEvent<'static>, content_type = "text/event-stream")))]
pub(crate) async fn stream_events(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<EventQuery>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let filter = query.filter()?;
    let limit = page::limit(query.limit)?;
    let last = headers.get("last-event-id").map(|value| value.to_str());
    let last = last
        .transpose()
        .map_err(|_| page::invalid("Last-Event-ID", "pass the id of an event"))?;
    let after = match page::cursor(last.or(query.cursor.as_deref()))? {
        Some(after) => after,
        None => api.platform().event_head(caller.organization).await?,
    };
    // Refusals are answered as such, before the stream begins.
    let first = api
        .platform()
        .events(&caller, &filter, after, limit)
        .await?;
    let wanted = Wanted {
        caller,
        filter,
        limit,
    };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(follow(api, wanted, first)).keep_alive(keep_alive))
}

struct Wanted {
    caller: Caller,
    filter: EventFilter,
    limit: u32,
}

fn follow(
    api: Api,
    wanted: Wanted,
    first: EventPage,
) -> impl Stream<Item = Result<Event, Infallible>> {
    async_stream::stream! {
        let mut page = first;
        loop {
            for event in &page.items {
                yield Ok(Event::default()
                    .id(event.seq.to_string())
                    .event(event.type_name())
                    .data(event.to_cloud_event()));
            }
            let (next, more) = (page.next, page.more);
            page = loop {
                if !more {
                    let organization = wanted.caller.organization;
                    tokio::select! {
                        // A follower must not hold up the stop of the process.
                        () = api.stopping() => return,
                        () = api.platform().event_news(organization, next) => {}
                    }
                }
                let read = api
                    .platform()
                    .events(&wanted.caller, &wanted.filter, next, wanted.limit)
                    .await;
                match read {
                    Ok(page) => break page,
                    Err(error) if error.is_transient() => tokio::select! {
                        () = api.stopping() => return,
                        () = tokio::time::sleep(AFTER_FAILURE) => {}
                    },
                    Err(_) => return,
                }
            };
        }
    }
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::EventsRead, routes!(stream_events))
}
