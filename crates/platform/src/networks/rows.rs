//! Reading networks: sealed, at their latest version, of the caller's organization; and storing changes.

use coffer_domain::id::{NetworkId, OrganizationId};
use coffer_domain::network::Network;
use coffer_store::networks::{self as rows, NetworkRow};
use coffer_store::{Sealed, Tx, organizations};

use super::settings::{from_json, to_json};
use crate::freshness::Versioned;
use crate::seal::{Fields, Sealable, refused};
use crate::transaction::reread;
use crate::{Caller, Error, Platform};

impl Sealable for NetworkRow {
    const TAG: &'static str = "network v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.id.as_bytes())
            .bytes(self.organization.as_bytes())
            .text(self.chain.as_str())
            .text(&self.settings)
            .text(self.state.name())
            .opt_text(self.reason.as_deref())
            .bytes(
                self.resume_by
                    .as_ref()
                    .map_or(&[][..], |key| key.as_bytes()),
            )
            .int(self.created_at_ms)
            .int(i64::from(self.version));
    }
}

pub(super) fn row_of(network: &Network) -> Result<NetworkRow, Error> {
    Ok(NetworkRow {
        id: network.id,
        organization: network.organization,
        chain: network.chain.clone(),
        settings: to_json(&network.settings)?,
        state: network.state,
        reason: network.reason.clone(),
        resume_by: network.resume_by,
        created_at_ms: network.created_at_ms,
        version: network.version,
    })
}

impl Platform {
    /// In the order in which they were added.
    pub async fn networks(&self, caller: &Caller) -> Result<Vec<Network>, Error> {
        self.guard(caller.organization)?;
        reread!(self.try_networks(caller.organization))
    }

    async fn try_networks(&self, organization: OrganizationId) -> Result<Vec<Network>, Error> {
        let mut tx = self.0.db.read().await?;
        self.networks_of(&mut tx, organization).await
    }

    pub async fn network(&self, caller: &Caller, id: NetworkId) -> Result<Network, Error> {
        self.guard(caller.organization)?;
        reread!(self.try_network(caller.organization, id))
    }

    async fn try_network(
        &self,
        organization: OrganizationId,
        id: NetworkId,
    ) -> Result<Network, Error> {
        let mut tx = self.0.db.read().await?;
        self.network_row(&mut tx, organization, id).await
    }

    /// Every organization's networks, each at its latest version. Organizations that are locked are left
    /// out, and so is a row that was refused: its alarm is out, and the other networks go on.
    pub(crate) async fn network_rows(&self, tx: &mut Tx) -> Result<Vec<Network>, Error> {
        let mut networks = Vec::new();
        for organization in organizations::all(tx).await? {
            if self.guard(organization.id).is_err() {
                continue;
            }
            for sealed in rows::of_organization(tx, organization.id).await? {
                match self.open_network(tx, sealed).await {
                    Ok(network) => networks.push(network),
                    Err(Error::Integrity { .. } | Error::AuditBroken { .. }) => {}
                    Err(other) => return Err(other),
                }
            }
        }
        Ok(networks)
    }

    /// All of one organization; refused if one is missing that the audit knows.
    async fn networks_of(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
    ) -> Result<Vec<Network>, Error> {
        let known = self.0.chains.known(organization, NetworkId::PREFIX);
        let mut networks = Vec::new();
        for sealed in rows::of_organization(tx, organization).await? {
            networks.push(self.open_network(tx, sealed).await?);
        }
        for id in known {
            let id: NetworkId = id.parse().map_err(|_| refused(id))?;
            if !networks.iter().any(|network| network.id == id) {
                return Err(self.vanished(Versioned::Network(id)).await?);
            }
        }
        Ok(networks)
    }

    /// Seal and version of a network's row.
    pub(crate) async fn open_network(
        &self,
        tx: &mut Tx,
        sealed: Sealed<NetworkRow>,
    ) -> Result<Network, Error> {
        let row = self.0.seals.open(sealed, |row| row.id.to_string())?;
        let object = Versioned::Network(row.id);
        self.check_version(tx, row.organization, object, row.version)
            .await?;
        let settings = from_json(&row.settings)
            .map_err(|error| Error::Internal(format!("{}: settings: {error}", row.id)))?;
        Ok(Network {
            id: row.id,
            organization: row.organization,
            chain: row.chain,
            settings,
            state: row.state,
            reason: row.reason,
            resume_by: row.resume_by,
            created_at_ms: row.created_at_ms,
            version: row.version,
        })
    }

    pub(crate) async fn network_row(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        id: NetworkId,
    ) -> Result<Network, Error> {
        let sealed = rows::by_id(tx, id).await?;
        self.own_network(tx, organization, id, sealed).await
    }

    /// Like [`Self::network_row`], and nobody else changes the network until this transaction ends.
    pub(crate) async fn lock_network(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        id: NetworkId,
    ) -> Result<Network, Error> {
        let sealed = rows::lock(tx, id).await?;
        self.own_network(tx, organization, id, sealed).await
    }

    async fn own_network(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        id: NetworkId,
        sealed: Option<Sealed<NetworkRow>>,
    ) -> Result<Network, Error> {
        let sealed = sealed.filter(|sealed| sealed.value.organization == organization);
        let sealed = sealed.ok_or_else(|| self.absent(organization, "network", id))?;
        self.open_network(tx, sealed).await
    }

    /// Stores a network that was changed under its lock and carries its next version. The audit record of the
    /// change must name that version.
    pub(crate) async fn store_network(&self, tx: &mut Tx, network: &Network) -> Result<(), Error> {
        let sealed = self.0.seals.seal(row_of(network)?);
        rows::update(tx, &sealed, network.version - 1).await?;
        Ok(())
    }
}
