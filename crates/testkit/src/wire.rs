//! A way to a real server over TCP, piece by piece: a test says which pieces come through.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

const PIECE_BYTES: usize = 8 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

/// Whether the next piece of one way of one connection comes through; what does not is swallowed, and its sender hears nothing.
pub type Passes = Box<dyn FnMut(&[u8]) -> bool + Send>;

/// Ends when dropped, and its connections with it.
pub struct Wire {
    port: u16,
    _serving: AbortOnDropHandle<()>,
}

impl Wire {
    /// # Panics
    /// When no port of this host is free.
    pub async fn listener() -> TcpListener {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        listener.expect("a free port")
    }

    /// To `server`, `host:port`; `passes` is asked for each way of each connection.
    ///
    /// # Panics
    /// When the listener has no address.
    pub fn start(
        listener: TcpListener,
        server: String,
        passes: impl Fn(Way) -> Passes + Send + 'static,
    ) -> Self {
        let port = listener.local_addr().expect("it listens").port();
        let serving = AbortOnDropHandle::new(tokio::spawn(serve(listener, server, passes)));
        Self {
            port,
            _serving: serving,
        }
    }

    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

async fn serve(listener: TcpListener, server: String, passes: impl Fn(Way) -> Passes) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&server).await else {
            continue;
        };
        for end in [&client, &server] {
            // Without it a wire is only slower.
            let _ = end.set_nodelay(true);
        }
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        connections.spawn(carry(from_client, to_server, passes(Way::ToServer)));
        connections.spawn(carry(from_server, to_client, passes(Way::ToClient)));
    }
}

/// Until one end goes away, which tells the other one.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut passes: Passes) {
    let mut buffer = vec![0; PIECE_BYTES];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let piece = &buffer[..length];
        if passes(piece) && to.write_all(piece).await.is_err() {
            return;
        }
    }
}
