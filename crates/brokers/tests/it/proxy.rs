//! A wire to a broker that can be made deaf on one side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coffer_testkit::{Way, Wire};
use tokio::net::TcpListener;

/// Hands on what clients and broker say to each other; ends when dropped.
pub(crate) struct Proxy {
    wire: Wire,
    deaf: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn start(listener: TcpListener, broker: String) -> Self {
        let deaf = Arc::new(AtomicBool::new(false));
        let swallows = Arc::clone(&deaf);
        let wire = Wire::start(listener, broker, move |way| {
            let swallows = Arc::clone(&swallows);
            Box::new(move |_| way == Way::ToServer || !swallows.load(Ordering::SeqCst))
        });
        Self { wire, deaf }
    }

    pub(crate) fn address(&self) -> String {
        self.wire.address()
    }

    /// From now on nothing that the broker says arrives; what is said to it does.
    pub(crate) fn swallow_answers(&self, swallow: bool) {
        self.deaf.store(swallow, Ordering::SeqCst);
    }
}
