//! Whether a sealed row is the latest that was stored: its seal says that it is ours, the audit chain which
//! version it must have.
//!
//! A row put back from an older copy has a version below the chain's, and is refused. A row may also look
//! old because it changed between two reads; a second look at the database tells the two apart.

use coffer_domain::id::{
    ApiKeyId, AssetId, BatchId, NetworkId, OrganizationId, VaultId, WebhookId,
};
use coffer_store::Tx;
use coffer_store::versions::{self, Table};

use crate::seal::refused;
use crate::{Error, Platform};

/// An object whose versions the audit chain names by its id.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Versioned {
    Vault(VaultId),
    ApiKey(ApiKeyId),
    Batch(BatchId),
    Network(NetworkId),
    Asset(AssetId),
    Webhook(WebhookId),
}

impl Versioned {
    fn name(self) -> String {
        match self {
            Self::Vault(id) => id.to_string(),
            Self::ApiKey(id) => id.to_string(),
            Self::Batch(id) => id.to_string(),
            Self::Network(id) => id.to_string(),
            Self::Asset(id) => id.to_string(),
            Self::Webhook(id) => id.to_string(),
        }
    }

    fn row(&self) -> (Table, &[u8; 16]) {
        match self {
            Self::Vault(id) => (Table::Vaults, id.as_bytes()),
            Self::ApiKey(id) => (Table::ApiKeys, id.as_bytes()),
            Self::Batch(id) => (Table::Batches, id.as_bytes()),
            Self::Network(id) => (Table::Networks, id.as_bytes()),
            Self::Asset(id) => (Table::Assets, id.as_bytes()),
            Self::Webhook(id) => (Table::Webhooks, id.as_bytes()),
        }
    }
}

impl Platform {
    /// Whether `version`, read in `tx`, is what the audit chain says is the latest of `object`.
    pub(crate) async fn check_version(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        object: Versioned,
        version: u32,
    ) -> Result<(), Error> {
        self.follow(tx, organization).await?;
        let name = object.name();
        let latest = self.0.chains.object_version(organization, &name);
        if latest == version {
            return Ok(());
        }
        if latest > version {
            let (table, id) = object.row();
            let mut now = self.0.db.read().await?;
            if versions::current(&mut now, table, id).await? >= Some(i64::from(latest)) {
                return Err(Error::Contended(format!("{name} was changed meanwhile")));
            }
        }
        Err(refused(name))
    }

    /// Refuses to add an object that the audit has seen before: its row was taken away.
    pub(crate) async fn never_added(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        object: Versioned,
    ) -> Result<(), Error> {
        self.follow(tx, organization).await?;
        let name = object.name();
        if self.0.chains.object_version(organization, &name) > 0 {
            return Err(refused(name));
        }
        Ok(())
    }

    /// What to answer for an object that the audit knows and a list lacks: a refusal if its row is gone, a
    /// lost race if the list was read before the object was added.
    pub(crate) async fn vanished(&self, object: Versioned) -> Result<Error, Error> {
        let (table, id) = object.row();
        let mut now = self.0.db.read().await?;
        if versions::current(&mut now, table, id).await?.is_some() {
            let text = format!("{} was added meanwhile", object.name());
            return Ok(Error::Contended(text));
        }
        Ok(refused(object.name()))
    }

    /// What to answer for a row that is not there: a refusal if the audit knows the object.
    pub(crate) fn absent(
        &self,
        organization: OrganizationId,
        what: &'static str,
        id: impl ToString,
    ) -> Error {
        let id = id.to_string();
        if self.0.chains.object_version(organization, &id) > 0 {
            return refused(id);
        }
        Error::not_found(what, id)
    }
}

/// Refuses a list that lacks an object which the audit knew before the list was read: its row was removed
/// or hidden.
pub(crate) fn check_complete(known: Vec<String>, found: &[String]) -> Result<(), Error> {
    let missing = known.into_iter().find(|id| !found.contains(id));
    missing.map_or(Ok(()), |id| Err(refused(id)))
}
