//! The one way out to URLs that customers name: webhooks and the KYC hook of a gate.
//!
//! Guarantees: a name is resolved once for each connection, every address of the answer is judged, and the
//! connection goes to a judged address and to no other, under the name that TLS asks for; no redirect is followed, no
//! proxy used; a call has an end, and of its answer only so much is read. Calls are signed by the Standard Webhooks
//! specification ([`signature`]).
//! What a literal address or a name may lead to is said by [`Rules`]: for webhooks, whose URLs whoever holds an API
//! key may set, public addresses alone unless the server's configuration allows more; for the hook of a gate, which
//! is the operator's own software, private ones too.
//! Deliberately not here: what is sent, and when it is tried again.

mod address;
mod client;
mod ports;
mod resolver;
pub mod signature;
#[cfg(test)]
mod tests;
mod url;

use std::sync::Arc;

pub use address::{Cidr, CidrError};
pub use ports::{PortRange, PortRangeError};
pub use resolver::{LookUp, NameResolver, SystemResolver};

pub(crate) use client::{Answer, GuardedClient, SendError};
pub(crate) use url::Target;

/// What the server's configuration says of outgoing calls, and how names are resolved.
#[derive(Clone)]
pub struct Outbound {
    /// Networks that webhooks may reach although they are not public.
    pub allow: Vec<Cidr>,
    /// Whether webhooks may be `http://`.
    pub http: bool,
    pub ports: Vec<PortRange>,
    pub resolver: Arc<dyn NameResolver>,
}

impl Default for Outbound {
    /// Public addresses, https, the ports that web servers have.
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            http: false,
            ports: PortRange::defaults(),
            resolver: Arc::new(SystemResolver),
        }
    }
}

/// Who may be called.
#[derive(Debug, Clone)]
pub(crate) enum Rules {
    Webhooks {
        allow: Vec<Cidr>,
        http: bool,
        ports: Vec<PortRange>,
    },
    /// Any port; plain http on this host alone; private networks, since the service is the operator's.
    GateHook,
}

impl Outbound {
    pub(crate) fn webhooks(&self) -> GuardedClient {
        let rules = Rules::Webhooks {
            allow: self.allow.clone(),
            http: self.http,
            ports: self.ports.clone(),
        };
        GuardedClient::new(rules, Arc::clone(&self.resolver))
    }

    pub(crate) fn gate_hook(&self) -> GuardedClient {
        GuardedClient::new(Rules::GateHook, Arc::clone(&self.resolver))
    }
}
