//! A receiver of webhooks: a real HTTP server on this host that keeps what arrives and answers by a script.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One message, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    pub id: String,
    pub timestamp: String,
    /// The whole header.
    pub signature: String,
    pub body: Bytes,
    /// What was answered.
    pub status: u16,
}

/// How a message is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub header: Option<(&'static str, String)>,
    pub body: &'static str,
    /// Nothing is answered, for ever.
    pub silent: bool,
}

impl From<u16> for Reply {
    fn from(status: u16) -> Self {
        Self {
            status,
            header: None,
            body: "",
            silent: false,
        }
    }
}

type Script = Arc<dyn Fn(&Arrived) -> Reply + Send + Sync>;

struct Shared {
    script: Mutex<Script>,
    arrived: Mutex<Vec<Arrived>>,
}

/// Listens until it is dropped.
pub struct Receiver {
    pub url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Arrived {
    /// The event, a JSON object.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn event(&self) -> Value {
        serde_json::from_slice(&self.body).expect("an event is JSON")
    }

    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// As the Standard Webhooks specification says, in this crate's own words: one of the signatures must be right.
    #[must_use]
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let encoded = secret.strip_prefix("whsec_").unwrap_or_default();
        let Ok(key) = STANDARD.decode(encoded) else {
            return false;
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
        mac.update(format!("{}.{}.", self.id, self.timestamp).as_bytes());
        mac.update(&self.body);
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.signature.split(' ').any(|given| given == expected)
    }
}

impl Receiver {
    /// One that answers everything with 200.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hooks", listener.local_addr().expect("bound"));
        let script: Script = Arc::new(|_: &Arrived| Reply::from(200));
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            arrived: Mutex::default(),
        });
        let task = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Self { url, shared, task }
    }

    /// Answers by `script` from now on.
    pub fn answer(&self, script: impl Fn(&Arrived) -> Reply + Send + Sync + 'static) {
        *self
            .shared
            .script
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
    }

    /// All that came so far, in the order in which it came.
    #[must_use]
    pub fn arrived(&self) -> Vec<Arrived> {
        self.shared
            .arrived
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Without test events.
    #[must_use]
    pub fn events(&self) -> Vec<Arrived> {
        let mut arrived = self.arrived();
        arrived.retain(|one| one.id.starts_with("evt_"));
        arrived
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
            let connection = hyper::server::conn::http1::Builder::new();
            // An error is a client that went away.
            let _ = connection
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name: &str| {
        let value = request.headers().get(name);
        let text = value.and_then(|value| value.to_str().ok());
        text.unwrap_or_default().to_owned()
    };
    let mut arrived = Arrived {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body: Bytes::new(),
        status: 0,
    };
    // A body that broke off is an empty one.
    if let Ok(body) = request.into_body().collect().await {
        arrived.body = body.to_bytes();
    }
    let script = Arc::clone(&shared.script.lock().unwrap_or_else(PoisonError::into_inner));
    let reply = script(&arrived);
    arrived.status = reply.status;
    shared
        .arrived
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(arrived);
    if reply.silent {
        std::future::pending::<()>().await;
    }
    let mut response = Response::builder().status(reply.status);
    if let Some((name, value)) = reply.header {
        response = response.header(name, value);
    }
    let body = Full::new(Bytes::from_static(reply.body.as_bytes()));
    Ok(response.body(body).expect("a status and a header"))
}
