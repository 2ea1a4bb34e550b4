//! A small HTTP server for the proxies of this crate.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, http};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// Far above any question that a test asks.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// Serves until it is dropped, and its connections with it. An error of `answer` closes the connection without
/// a word.
pub(crate) async fn serve<T, F>(
    listener: TcpListener,
    shared: Arc<T>,
    answer: impl Fn(Arc<T>, Bytes) -> F + Clone + Send + Sync + 'static,
) where
    T: Send + Sync + 'static,
    F: Future<Output = Result<Response<Body>, io::Error>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let (shared, answer) = (Arc::clone(&shared), answer.clone());
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let (shared, answer) = (Arc::clone(&shared), answer.clone());
                async move { answer(shared, read(request).await?).await }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            // An error is a client that went away, or an answer that was to close the connection.
            let _ = connection
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        // Those that ended are forgotten.
        while connections.try_join_next().is_some() {}
    }
}

async fn read(request: Request<Incoming>) -> Result<Bytes, io::Error> {
    let body = Limited::new(request.into_body(), REQUEST_BYTES_MAX).collect();
    Ok(body.await.map_err(io::Error::other)?.to_bytes())
}

pub(crate) fn full(text: String) -> Body {
    Full::new(Bytes::from(text))
        .map_err(|never: Infallible| match never {})
        .boxed()
}

/// A JSON text as it is.
pub(crate) fn whole(status: StatusCode, text: String) -> Result<Response<Body>, io::Error> {
    let builder = Response::builder().status(status);
    finish(builder.header(CONTENT_TYPE, "application/json"), full(text))
}

pub(crate) fn finish(
    builder: http::response::Builder,
    body: Body,
) -> Result<Response<Body>, io::Error> {
    builder.body(body).map_err(io::Error::other)
}
