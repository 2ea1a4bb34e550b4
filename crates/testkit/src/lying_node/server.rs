//! The HTTP side, with the lies that HTTP itself can tell.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use hyper::{Response, StatusCode};

use super::answer::{Question, Teller};
use super::fault::Fault;
use crate::loopback::{Body, finish, full, whole};

const HUGE_PIECE: usize = 64 << 10;
const CUT_AFTER: Duration = Duration::from_millis(20);

/// An error closes the connection without a word.
pub(super) async fn answer(teller: Arc<Teller>, body: Bytes) -> Result<Response<Body>, io::Error> {
    let teller = teller.as_ref();
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
