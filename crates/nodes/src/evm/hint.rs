//! Hints that a block may be new, from WebSocket subscriptions. A hint is never believed: it only ends a wait early, and
//! without any the watcher polls.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::json_rpc::Random;

const PAUSE_BASE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A connection on which nothing came for so long is dead, though nobody said so.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const PING_EVERY: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MESSAGE_BYTES_MAX: usize = 1 << 20;
const SUBSCRIBE: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#;

/// The listeners begin with the first wait and end with this value.
pub(super) struct Hints {
    urls: Vec<String>,
    random: Random,
    heard: Arc<Notify>,
    listening: Mutex<Vec<AbortHandle>>,
}

impl Hints {
    pub(super) fn new(urls: Vec<String>, random: Random) -> Self {
        Self {
            urls,
            random,
            heard: Arc::new(Notify::new()),
            listening: Mutex::new(Vec::new()),
        }
    }

    /// A hint that came while nobody waited counts for the next who does; many of them count once.
    pub(super) async fn next(&self) {
        self.listen();
        self.heard.notified().await;
    }

    fn listen(&self) {
        let mut listening = self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !listening.is_empty() {
            return;
        }
        for url in &self.urls {
            let listener = Listener {
                url: url.clone(),
                random: Arc::clone(&self.random),
                heard: Arc::clone(&self.heard),
            };
            listening.push(tokio::spawn(listener.run()).abort_handle());
        }
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        let listening = self
            .listening
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        listening.iter().for_each(AbortHandle::abort);
    }
}

struct Listener {
    url: String,
    random: Random,
    heard: Arc<Notify>,
}

impl Listener {
    /// Connects again for as long as anybody may wait.
    async fn run(self) {
        let mut failures = 0_u32;
        loop {
            if self.subscribe().await {
                failures = 0;
            }
            let most = PAUSE_BASE
                .saturating_mul(1 << failures.min(10))
                .min(PAUSE_MAX);
            let part = u32::try_from((self.random)() >> 32).unwrap_or_default();
            failures = failures.saturating_add(1);
            // Paced: a node that refuses is not asked without end.
            tokio::time::sleep(most.mul_f64(f64::from(part) / f64::from(u32::MAX))).await;
        }
    }

    /// Until the connection ends, one way or another; whether it had ever said anything.
    async fn subscribe(&self) -> bool {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let connecting =
            tokio_tungstenite::connect_async_with_config(self.url.as_str(), Some(config), true);
        let Ok(Ok((mut socket, _))) = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await
        else {
            return false;
        };
        if socket.send(Message::text(SUBSCRIBE)).await.is_err() {
            return false;
        }
        let mut has_spoken = false;
        let mut silence = Duration::ZERO;
        while silence < SILENCE_MAX {
            match tokio::time::timeout(PING_EVERY, socket.next()).await {
                Ok(Some(Ok(message))) => {
                    silence = Duration::ZERO;
                    has_spoken = true;
                    if matches!(message, Message::Text(_) | Message::Binary(_)) {
                        self.heard.notify_one();
                    }
                }
                Ok(Some(Err(_)) | None) => break,
                Err(_) => {
                    silence += PING_EVERY;
                    if socket.send(Message::Ping(Vec::new().into())).await.is_err() {
                        break;
                    }
                }
            }
        }
        has_spoken
    }
}
