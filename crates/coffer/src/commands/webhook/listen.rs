//! `coffer webhook listen`: a receiver for developers, and an example of what a receiver must check.
//!
//! Each message's time and signature are checked before anything of it is looked at, and one that comes twice is not
//! taken again. It is answered with success, though: a sender whose answer was lost sends again until it has one.

use std::cell::RefCell;
use std::convert::Infallible;

use bytes::Bytes;
use coffer_server::receiving::{Clock, ID_HEADER, SigningKey, SystemClock, verify};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::LocalSet;

use super::super::Session;
use super::seen::Seen;
use crate::args::WebhookListenArgs;
use crate::error::Failure;
use crate::output::{Output, member};

const BODY_BYTES_MAX: usize = 4 << 20;
const HEADER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

struct Listener {
    key: SigningKey,
    status: StatusCode,
    out: Output,
    seen: RefCell<Seen>,
    taken: RefCell<u64>,
    count: Option<u64>,
    enough: Notify,
}

pub(super) async fn run(session: &Session, args: WebhookListenArgs) -> Result<(), Failure> {
    let file = &args.secret_file;
    let text =
        std::fs::read_to_string(file).map_err(|error| Failure::file("read", file, &error))?;
    let key = SigningKey::parse(&text).map_err(|error| {
        Failure::usage(
            format!("{} holds no webhook secret: {error}", file.display()),
            "put the secret there that `coffer webhook create` or `rotate` printed",
        )
    })?;
    let socket = TcpListener::bind(args.listen).await.map_err(|error| {
        Failure::usage(
            format!("cannot listen on {}: {error}", args.listen),
            "choose another address with --listen",
        )
    })?;
    let address = socket.local_addr()?;
    session.out.answer(
        &json!({ "listening": format!("http://{address}/") }),
        || format!("listening on http://{address}/"),
    )?;
    let listener = std::rc::Rc::new(Listener {
        key,
        status: StatusCode::from_u16(args.status).unwrap_or(StatusCode::OK),
        out: session.out,
        seen: RefCell::default(),
        taken: RefCell::default(),
        count: args.count,
        enough: Notify::new(),
    });
    let tasks = LocalSet::new();
    tasks
        .run_until(async {
            loop {
                tokio::select! {
                    () = listener.enough.notified() => return Ok(()),
                    accepted = socket.accept() => {
                        let listener = std::rc::Rc::clone(&listener);
                        let (stream, _) = accepted?;
                        tokio::task::spawn_local(async move { listener.serve(stream).await });
                    }
                }
            }
        })
        .await
}

impl Listener {
    async fn serve(&self, stream: TcpStream) {
        let service =
            service_fn(|request| async { Ok::<_, Infallible>(self.answer(request).await) });
        let mut connection = hyper::server::conn::http1::Builder::new();
        connection
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT);
        // An error is a client that went away.
        let _ = connection
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if self
            .count
            .is_some_and(|count| *self.taken.borrow() >= count)
        {
            self.enough.notify_one();
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, body) = self.judge(request).await;
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        *response.status_mut() = status;
        if self
            .count
            .is_some_and(|count| *self.taken.borrow() >= count)
        {
            // So that the last answer is on its way before this ends.
            let close = hyper::header::HeaderValue::from_static("close");
            response
                .headers_mut()
                .insert(hyper::header::CONNECTION, close);
        }
        response
    }

    async fn judge(&self, request: Request<Incoming>) -> (StatusCode, Value) {
        if request.method() != Method::POST {
            return (
                StatusCode::METHOD_NOT_ALLOWED,
                json!({ "error": "POST events here" }),
            );
        }
        let headers = request.headers().clone();
        let Ok(body) = Limited::new(request.into_body(), BODY_BYTES_MAX)
            .collect()
            .await
        else {
            return (
                StatusCode::PAYLOAD_TOO_LARGE,
                json!({ "error": "the body is too large" }),
            );
        };
        let (body, now) = (body.to_bytes(), SystemClock.now_ms());
        let header = |name: &'static str| one(&headers, name);
        if let Err(error) = verify(&self.key, header, &body, now) {
            self.out.note(&format!("refused: {error}"));
            return (
                StatusCode::UNAUTHORIZED,
                json!({ "error": error.to_string() }),
            );
        }
        let id = header(ID_HEADER).unwrap_or_default();
        if !self.seen.borrow_mut().is_new(id, now) {
            self.out.note(&format!("refused: {id} was taken before"));
            return (
                StatusCode::OK,
                json!({ "taken": false, "reason": "seen before" }),
            );
        }
        if self.status != StatusCode::OK {
            self.out
                .note(&format!("{id} is answered with {}", self.status.as_u16()));
            // It will come again, and is then new.
            if !self.status.is_success() {
                self.seen.borrow_mut().forget(id);
            }
        }
        self.print(&body);
        *self.taken.borrow_mut() += 1;
        (self.status, json!({ "taken": self.status.is_success() }))
    }

    fn print(&self, body: &[u8]) {
        let event: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let printed = self.out.answer(&event, || {
            let members = ["time", "id", "type", "subject"].map(|name| member(&event, name));
            crate::output::printable(&members.join("  "))
        });
        // Whoever read the output has gone: so does the listener.
        if printed.is_err() {
            self.enough.notify_one();
        }
    }
}

/// A header that is there once.
fn one<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok())?
}
