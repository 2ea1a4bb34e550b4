//! Names to addresses, and the judge between the resolver and the connection.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::Rules;

/// The answer of a [`NameResolver`], to come.
pub type LookUp = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// How names become addresses.
pub trait NameResolver: Send + Sync {
    fn look_up(&self, host: &str) -> LookUp;
}

/// The operating system's resolver.
pub struct SystemResolver;

impl NameResolver for SystemResolver {
    fn look_up(&self, host: &str) -> LookUp {
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// A name that has no address.
#[derive(Debug, thiserror::Error)]
#[error("the name has no address")]
pub(super) struct NoSuchHost;

/// Stands between resolver and connection: the client connects to what this answers and to nothing else, so a
/// name that gets another address a moment later is looked up, and judged, again before anything goes there.
pub(super) struct Guard {
    pub(super) rules: Arc<Rules>,
    pub(super) resolver: Arc<dyn NameResolver>,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, looking) = (
            Arc::clone(&self.rules),
            self.resolver.look_up(name.as_str()),
        );
        Box::pin(async move {
            let found = looking.await.map_err(|_| NoSuchHost)?;
            if found.is_empty() {
                return Err(NoSuchHost.into());
            }
            // One forbidden address refuses the name: which of them is taken is the connection's choice.
            for address in &found {
                rules.judge(*address)?;
            }
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
