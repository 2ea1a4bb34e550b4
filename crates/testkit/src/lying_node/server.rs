//! The HTTP side: one connection after the other, and the lies that HTTP itself can tell.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, http};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::answer::{Question, Teller};
use super::fault::Fault;

type Body = BoxBody<Bytes, io::Error>;

/// Far above any question that a test asks.
const REQUEST_BYTES_MAX: usize = 64 << 20;
const HUGE_PIECE: usize = 64 << 10;
const CUT_AFTER: Duration = Duration::from_millis(20);

/// Serves until it is dropped, and its connections with it.
pub(super) async fn serve(listener: TcpListener, teller: Arc<Teller>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let teller = Arc::clone(&teller);
        connections.spawn(async move {
            let service = service_fn(|request| answer(&teller, request));
            let connection = hyper::server::conn::http1::Builder::new();
            // An error is a client that went away, or a lie that closes the connection.
            let _ = connection
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        // Those that ended are forgotten.
        while connections.try_join_next().is_some() {}
    }
}

/// An error closes the connection without a word.
async fn answer(teller: &Teller, request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
    let body = Limited::new(request.into_body(), REQUEST_BYTES_MAX)
        .collect()
        .await;
    let body = body.map_err(io::Error::other)?.to_bytes();
    let Some(question) = teller.read(&body) else {
        let sent = teller.upstream.post_bytes(body.to_vec()).await;
        return match sent {
            Ok((status, text)) => whole(StatusCode::from_u16(status).unwrap_or_default(), text),
            Err(_) => whole(StatusCode::BAD_GATEWAY, String::new()),
        };
    };
    let faults: Vec<Fault> = question.faults().cloned().collect();
    for fault in &faults {
        if let Some(response) = instead(teller, fault).await {
            return response;
        }
    }
    let Ok(text) = told(teller, question).await else {
        return whole(
            StatusCode::BAD_GATEWAY,
            "the node behind does not answer".to_owned(),
        );
    };
    for fault in &faults {
        if let Some(response) = mangled(fault, &text) {
            teller.state.count(fault.name());
            return response;
        }
    }
    whole(StatusCode::OK, text)
}

async fn told(teller: &Teller, question: Question) -> anyhow::Result<String> {
    Ok(teller.answer(question).await?.to_string())
}

/// What comes instead of an answer, without asking the node behind.
async fn instead(teller: &Teller, fault: &Fault) -> Option<Result<Response<Body>, io::Error>> {
    let count = || teller.state.count(fault.name());
    let builder = Response::builder();
    Some(match fault {
        Fault::Delay(time) => {
            count();
            tokio::time::sleep(*time).await;
            return None;
        }
        Fault::Silent => {
            count();
            std::future::pending().await
        }
        Fault::Gone => {
            count();
            Err(io::Error::other("gone, as told"))
        }
        Fault::Html => {
            count();
            let page = "<!doctype html><title>502</title><h1>Bad gateway</h1>".to_owned();
            finish(builder.header(CONTENT_TYPE, "text/html"), full(page))
        }
        Fault::TooManyRequests(seconds) => {
            count();
            let builder = builder.status(StatusCode::TOO_MANY_REQUESTS);
            finish(
                builder.header(RETRY_AFTER, *seconds),
                full("slow down".to_owned()),
            )
        }
        Fault::Unavailable => {
            count();
            whole(StatusCode::SERVICE_UNAVAILABLE, "later".to_owned())
        }
        Fault::Redirect(url) => {
            count();
            let builder = builder.status(StatusCode::FOUND).header(LOCATION, url);
            finish(builder, full(String::new()))
        }
        Fault::Huge(bytes) => {
            count();
            finish(
                builder.header(CONTENT_TYPE, "application/json"),
                huge(*bytes),
            )
        }
        _ => return None,
    })
}

/// A true answer that does not arrive as it was.
fn mangled(fault: &Fault, text: &str) -> Option<Result<Response<Body>, io::Error>> {
    let half = &text[..text.floor_char_boundary(text.len() / 2)];
    let builder = Response::builder().header(CONTENT_TYPE, "application/json");
    match fault {
        Fault::Truncated => Some(finish(builder, full(half.to_owned()))),
        Fault::Cut => {
            let first = Ok(Frame::data(Bytes::from(half.to_owned())));
            let frames = stream::iter([first]).chain(stream::once(async {
                // What was not written when the error comes would never be.
                tokio::time::sleep(CUT_AFTER).await;
                Err(io::Error::other("cut, as told"))
            }));
            let body = BodyExt::boxed(StreamBody::new(frames));
            Some(finish(builder.header(CONTENT_LENGTH, text.len()), body))
        }
        Fault::Gzip => Some(finish(
            builder.header(CONTENT_ENCODING, "gzip"),
            full(text.to_owned()),
        )),
        _ => None,
    }
}

/// A JSON text that goes on and on.
fn huge(bytes: u64) -> Body {
    let begin = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"result":"0x"#);
    let piece = Bytes::from(vec![b'0'; HUGE_PIECE]);
    let pieces =
        std::iter::once(begin).chain((0..bytes / HUGE_PIECE as u64).map(move |_| piece.clone()));
    let frames = pieces.map(|piece| Ok::<_, io::Error>(Frame::data(piece)));
    BodyExt::boxed(StreamBody::new(stream::iter(frames)))
}

fn full(text: String) -> Body {
    Full::new(Bytes::from(text))
        .map_err(|never: Infallible| match never {})
        .boxed()
}

fn whole(status: StatusCode, text: String) -> Result<Response<Body>, io::Error> {
    let builder = Response::builder().status(status);
    finish(builder.header(CONTENT_TYPE, "application/json"), full(text))
}

fn finish(builder: http::response::Builder, body: Body) -> Result<Response<Body>, io::Error> {
    builder.body(body).map_err(io::Error::other)
}
