//! A way to PostgreSQL that goes dead in the middle of a COPY: both ends keep their connection, and nothing comes through
//! any more. So stands a host that was stopped while it sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// What the second chunk's transaction begins to send; the first one's comes through.
const COPY: &[u8] = b"COPY wallets (";
const FATAL: usize = 2;
/// So much of it comes through, less than a chunk has.
const BYTES: usize = 32 * 1024;

pub(super) struct DeadWire {
    /// Where the database is for whoever uses this way.
    pub(super) url: String,
    state: Arc<State>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct State {
    copies: AtomicUsize,
    is_dead: AtomicBool,
}

impl DeadWire {
    pub(super) async fn to(database_url: &str) -> Result<Self> {
        let options: PgConnectOptions = database_url.parse()?;
        let server = format!("{}:{}", options.get_host(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let here = listener.local_addr()?.to_string();
        ensure!(
            database_url.matches(&server).count() == 1,
            "the URL does not name {server} once"
        );
        let url = database_url.replacen(&server, &here, 1);
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (server, state) = (server.clone(), Arc::clone(&shared));
                connections.spawn(async move { carry(client, &server, &state).await });
            }
        });
        Ok(Self {
            url,
            state,
            _serving: AbortOnDropHandle::new(serving),
        })
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state.is_dead.load(Ordering::SeqCst)
    }
}

/// Until one end goes away, which closes the other one.
async fn carry(client: TcpStream, server: &str, state: &State) -> Result<()> {
    let server = TcpStream::connect(server).await.context("no PostgreSQL")?;
    for end in [&client, &server] {
        end.set_nodelay(true)?;
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut buffer = vec![0; 8 * 1024];
    let there = async {
        let mut left = None;
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return Ok(());
            }
            let bytes = &buffer[..read];
            let begins = left.is_none() && bytes.windows(COPY.len()).any(|part| part == COPY);
            if begins && state.copies.fetch_add(1, Ordering::SeqCst) + 1 == FATAL {
                left = Some(BYTES);
            }
            to_server.write_all(bytes).await?;
            if let Some(left) = &mut left {
                *left = left.saturating_sub(read);
                if *left == 0 {
                    state.is_dead.store(true, Ordering::SeqCst);
                    std::future::pending::<()>().await;
                }
            }
        }
    };
    let back = tokio::io::copy(&mut from_server, &mut to_client);
    let ended: std::io::Result<()> = tokio::select! {
        ended = there => ended,
        ended = back => ended.map(|_| ()),
    };
    Ok(ended?)
}
