//! Reading assets: sealed, at their latest version, none missing; and storing changes.

use coffer_domain::asset::{Asset, AssetKind};
use coffer_domain::id::{AssetId, NetworkId, OrganizationId};
use coffer_store::assets as rows;
use coffer_store::{Sealed, Tx, units};

use crate::freshness::Versioned;
use crate::seal::{Fields, Sealable, refused};
use crate::transaction::reread;
use crate::{Caller, Error, Platform};

impl Sealable for Asset {
    const TAG: &'static str = "asset v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.id.as_bytes())
            .bytes(self.organization.as_bytes())
            .bytes(self.network.as_bytes())
            .text(&self.name.to_string());
        match &self.kind {
            AssetKind::Native => fields.int(0).bytes(&[]),
            AssetKind::Token(contract) => fields
                .int(i64::from(contract.kind().code()))
                .bytes(contract.bytes()),
        };
        fields
            .text(&self.symbol)
            .int(i64::from(self.decimals))
            .bytes(&units::to_bytes(self.deposit_units_min))
            .text(self.state.name())
            .opt_text(self.reason.as_deref())
            .int(self.created_at_ms)
            .int(i64::from(self.version));
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct AssetFilter {
    pub network: Option<NetworkId>,
}

impl Platform {
    /// In the order in which they were added.
    pub async fn assets(&self, caller: &Caller, filter: AssetFilter) -> Result<Vec<Asset>, Error> {
        self.guard(caller.organization)?;
        let all = reread!(self.try_assets(caller.organization))?;
        let wanted = |asset: &Asset| filter.network.is_none_or(|id| asset.network == id);
        Ok(all.into_iter().filter(wanted).collect())
    }

    async fn try_assets(&self, organization: OrganizationId) -> Result<Vec<Asset>, Error> {
        let mut tx = self.0.db.read().await?;
        self.assets_of(&mut tx, organization).await
    }

    pub async fn asset(&self, caller: &Caller, id: AssetId) -> Result<Asset, Error> {
        self.guard(caller.organization)?;
        reread!(self.try_asset(caller.organization, id))
    }

    async fn try_asset(&self, organization: OrganizationId, id: AssetId) -> Result<Asset, Error> {
        let mut tx = self.0.db.read().await?;
        let sealed = rows::by_id(&mut tx, id).await?;
        self.own_asset(&mut tx, organization, id, sealed).await
    }

    /// The assets of a network, in whichever state. One row that was edited, put back or hidden refuses all:
    /// a block that is applied without an asset would leave its deposits unseen.
    pub(crate) async fn asset_rows(
        &self,
        tx: &mut Tx,
        network: &coffer_domain::network::Network,
    ) -> Result<Vec<Asset>, Error> {
        let mut assets = self.assets_of(tx, network.organization).await?;
        assets.retain(|asset| asset.network == network.id);
        Ok(assets)
    }

    async fn assets_of(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
    ) -> Result<Vec<Asset>, Error> {
        let known = self.0.chains.known(organization, AssetId::PREFIX);
        let mut assets = Vec::new();
        for sealed in rows::of_organization(tx, organization).await? {
            assets.push(self.open_asset(tx, sealed).await?);
        }
        for id in known {
            let id: AssetId = id.parse().map_err(|_| refused(id))?;
            if !assets.iter().any(|asset| asset.id == id) {
                return Err(self.vanished(Versioned::Asset(id)).await?);
            }
        }
        Ok(assets)
    }

    /// Seal and version of an asset's row.
    async fn open_asset(&self, tx: &mut Tx, sealed: Sealed<Asset>) -> Result<Asset, Error> {
        let asset = self.0.seals.open(sealed, |asset| asset.id.to_string())?;
        let object = Versioned::Asset(asset.id);
        self.check_version(tx, asset.organization, object, asset.version)
            .await?;
        Ok(asset)
    }

    async fn own_asset(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        id: AssetId,
        sealed: Option<Sealed<Asset>>,
    ) -> Result<Asset, Error> {
        let sealed = sealed.filter(|sealed| sealed.value.organization == organization);
        let sealed = sealed.ok_or_else(|| self.absent(organization, "asset", id))?;
        self.open_asset(tx, sealed).await
    }

    /// Nobody else changes the asset until this transaction ends.
    pub(super) async fn lock_asset(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        id: AssetId,
    ) -> Result<Asset, Error> {
        let sealed = rows::lock(tx, id).await?;
        self.own_asset(tx, organization, id, sealed).await
    }

    /// Stores an asset that was changed under its lock: next version, new seal.
    pub(super) async fn store_asset(&self, tx: &mut Tx, mut asset: Asset) -> Result<Asset, Error> {
        let expected = asset.version;
        asset.version += 1;
        let sealed = self.0.seals.seal(asset);
        rows::update(tx, &sealed, expected).await?;
        Ok(sealed.value)
    }
}
