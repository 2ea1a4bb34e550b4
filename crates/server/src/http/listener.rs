//! The accept loop: hyper's HTTP/1 connection with every limit set, and a stop that lets requests finish.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::connections::{Connections, Place};
use super::timed_io::TimedIo;
use crate::config::ServerConfig;

/// The address that the request's connection comes from; a proxy's when there is one in front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Serves until `stop`; then takes no more connections, lets requests finish until the deadline, and cuts the rest.
pub(crate) async fn accept(
    listener: TcpListener,
    router: Router,
    config: &ServerConfig,
    stop: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(config.header_read_timeout_ms))
        .max_headers(config.max_headers)
        .max_buf_size(config.max_header_bytes);
    let shared = Arc::new(Shared {
        http,
        router,
        write_idle_timeout: Duration::from_millis(config.write_idle_timeout_ms),
        stop: stop.clone(),
        deadline: CancellationToken::new(),
    });
    let connections = Connections::new(config.max_connections);
    let tasks = TaskTracker::new();
    loop {
        let Some((socket, peer)) = next(&listener, &stop).await else {
            break;
        };
        let place = connections.place().await;
        tasks.spawn(Arc::clone(&shared).connection(socket, peer, place));
    }
    drop(listener);
    tasks.close();
    let deadline = Duration::from_millis(config.shutdown_deadline_ms);
    if tokio::time::timeout(deadline, tasks.wait()).await.is_err() {
        tracing::warn!(
            connections = tasks.len(),
            "cutting what did not finish in time"
        );
        shared.deadline.cancel();
        tasks.wait().await;
    }
}

/// `None` when it is time to stop.
async fn next(listener: &TcpListener, stop: &CancellationToken) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            // Out of file descriptors, most likely: some come free as connections end.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

struct Shared {
    http: http1::Builder,
    router: Router,
    write_idle_timeout: Duration,
    stop: CancellationToken,
    deadline: CancellationToken,
}

impl Shared {
    async fn connection(self: Arc<Self>, socket: TcpStream, peer: SocketAddr, place: Place) {
        // Without it, small answers wait for the client's acknowledgement (Nagle, RFC 896).
        let _ = socket.set_nodelay(true);
        let cut = place.cut();
        let service = hyper::service::service_fn(|mut request: Request<Incoming>| {
            place.has_spoken();
            request.extensions_mut().insert(Peer(peer));
            self.router.clone().oneshot(request)
        });
        let io = TokioIo::new(TimedIo::new(socket, self.write_idle_timeout));
        let mut connection = std::pin::pin!(self.http.serve_connection(io, service));
        let mut stopping = false;
        loop {
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
                () = cut.cancelled() => return,
                () = self.deadline.cancelled() => return,
            };
            if let Err(error) = ended {
                tracing::debug!(%error, %peer, "connection ended early");
            }
            return;
        }
    }
}
