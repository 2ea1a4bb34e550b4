//! A wire that can be made deaf on one side.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Hands on what clients and broker say to each other; ends when dropped.
pub(crate) struct Proxy {
    port: u16,
    deaf: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(listener: TcpListener, broker: String) -> Self {
        let port = listener.local_addr().expect("it listens").port();
        let deaf = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(serve(listener, broker, Arc::clone(&deaf)));
        Self { port, deaf, task }
    }

    pub(crate) async fn listener() -> TcpListener {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        listener.expect("a free port")
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// From now on nothing that the broker says arrives; what is said to it does.
    pub(crate) fn swallow_answers(&self, swallow: bool) {
        self.deaf.store(swallow, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, broker: String, deaf: Arc<AtomicBool>) {
    let mut wires = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&broker).await else {
            continue;
        };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        wires.spawn(copy(from_client, to_server, Arc::default()));
        wires.spawn(copy(from_server, to_client, Arc::clone(&deaf)));
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, deaf: Arc<AtomicBool>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if !deaf.load(Ordering::SeqCst) && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
