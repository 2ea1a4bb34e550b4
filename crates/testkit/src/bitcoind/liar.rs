//! A proxy before a Bitcoin node that changes what it says, as told.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use hyper::{Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::anvil::Rpc;
use crate::loopback::{Body, serve, whole};

/// Changes the whole answer to a call of this method; a lie that is not told changes nothing.
pub type Lie = dyn Fn(&str, &mut Value) + Send + Sync;

struct Told {
    node: Rpc,
    /// `None`: it does not answer at all.
    lie: Mutex<Option<Arc<Lie>>>,
}

/// A running proxy that is honest until it is told otherwise; ends when dropped.
pub struct BitcoinLiar {
    url: String,
    told: Arc<Told>,
    server: JoinHandle<()>,
}

impl BitcoinLiar {
    /// # Errors
    /// When no port can be had.
    pub async fn start(node_url: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("no free loopback port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let honest: Arc<Lie> = Arc::new(|_, _| {});
        let told = Arc::new(Told {
            node: Rpc::new(node_url),
            lie: Mutex::new(Some(honest)),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&told), answer));
        Ok(Self { url, told, server })
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn lie(&self, lie: impl Fn(&str, &mut Value) + Send + Sync + 'static) {
        self.set(Some(Arc::new(lie)));
    }

    pub fn be_honest(&self) {
        self.lie(|_, _| {});
    }

    pub fn hang_up(&self) {
        self.set(None);
    }

    fn set(&self, lie: Option<Arc<Lie>>) {
        *self.told.lie.lock().unwrap_or_else(PoisonError::into_inner) = lie;
    }
}

impl Drop for BitcoinLiar {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(told: Arc<Told>, body: Bytes) -> Result<Response<Body>, io::Error> {
    let lie = told
        .lie
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let Some(lie) = lie else {
        return Err(io::Error::other("hung up"));
    };
    let call: Value = serde_json::from_slice(&body).map_err(io::Error::other)?;
    let method = call["method"].as_str().unwrap_or_default().to_owned();
    let (status, text) = told
        .node
        .post_bytes(body.to_vec())
        .await
        .map_err(io::Error::other)?;
    let mut answer: Value = serde_json::from_str(&text).map_err(io::Error::other)?;
    lie(&method, &mut answer);
    let status = StatusCode::from_u16(status).unwrap_or_default();
    whole(status, answer.to_string())
}
