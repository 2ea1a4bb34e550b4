//! Stand-in until the facade lands.
use crate::access::{ApiToken, Scope};
use crate::problem::Problem;
use coffer_domain::id::ApiKeyId;
pub(crate) struct Platform;
#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) key: ApiKeyId,
}
impl Actor {
    pub(crate) fn may(&self, _scope: Scope) -> bool {
        false
    }
}
pub(crate) struct Readiness {
    pub(crate) store: bool,
    pub(crate) signer: bool,
    pub(crate) audit: bool,
}
impl Platform {
    pub(crate) async fn authenticate(&self, _token: &ApiToken) -> Result<Option<Actor>, Problem> {
        Ok(None)
    }
    pub(crate) async fn readiness(&self) -> Readiness {
        Readiness {
            store: true,
            signer: true,
            audit: true,
        }
    }
}
