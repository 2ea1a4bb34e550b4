//! Changing an asset of the list, tripping its breaker and closing it.

use coffer_domain::asset::{Asset, AssetState};
use coffer_domain::event::EventType;
use coffer_domain::id::AssetId;
use coffer_store::Tx;
use ruint::aliases::U256;

use super::add::check_symbol;
use crate::audit::{Changes, Entry, append};
use crate::events::{AssetEventV1, Outgoing};
use crate::networks::checked_reason;
use crate::transaction::transact;
use crate::{Answer, Caller, Error, Once, Platform};

/// What of an asset is to change; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssetChange {
    pub symbol: Option<String>,
    pub deposit_units_min: Option<U256>,
    pub enabled: Option<bool>,
    /// Why it is disabled.
    pub reason: Option<String>,
}

impl Platform {
    /// Changes an asset. The state of a tripped one is changed by [`Self::close_breaker`] alone.
    pub async fn set_asset(
        &self,
        caller: &Caller,
        id: AssetId,
        change: AssetChange,
    ) -> Result<Asset, Error> {
        self.guard(caller.organization)?;
        if let Some(symbol) = &change.symbol {
            check_symbol(symbol)?;
        }
        let reason = change.reason.as_deref().map(checked_reason).transpose()?;
        let asset = transact!(self, tx, {
            let before = self.lock_asset(tx, caller.organization, id).await?;
            let mut asset = before.clone();
            apply(&mut asset, &change, reason)?;
            if asset == before {
                return Ok(asset);
            }
            let asset = self.store_asset(tx, asset).await?;
            self.record(tx, &asset, "asset.set", &caller.actor())
                .await?;
            Ok(asset)
        })?;
        self.0.work.notify_waiters();
        Ok(asset)
    }

    /// A person looked at the difference and says why deposits may be credited again.
    pub async fn close_breaker(
        &self,
        caller: &Caller,
        id: AssetId,
        reason: &str,
        once: Option<Once<'_, Asset>>,
    ) -> Result<Answer<Asset>, Error> {
        const OPERATION: &str = "assets.close_breaker";
        self.guard(caller.organization)?;
        let reason = checked_reason(reason)?;
        let answer = transact!(self, tx, {
            if let Some(answer) = self.replay(tx, caller, OPERATION, once.as_ref()).await? {
                return Ok(answer);
            }
            let mut asset = self.lock_asset(tx, caller.organization, id).await?;
            if asset.state != AssetState::Tripped {
                let text = format!("the breaker of {} is closed; it is {}", id, asset.state);
                return Err(Error::StateConflict(text));
            }
            let tripped = asset.reason.take();
            asset.state = AssetState::Active;
            let asset = self.store_asset(tx, asset).await?;
            self.keep(tx, caller, OPERATION, once.as_ref(), &asset)
                .await?;
            let entry = Entry {
                organization: asset.organization,
                at_ms: self.now_ms(),
                actor: &caller.actor(),
                action: "asset.breaker_closed",
                object: id.to_string(),
                changes: Changes::version(id, asset.version),
                data: serde_json::json!({ "reason": reason, "was_tripped_by": tripped }),
                events: Outgoing::one(
                    EventType::AssetBreakerClosed,
                    id,
                    &AssetEventV1::from(&asset),
                ),
            };
            append(tx, &self.0.seals, entry).await?;
            Ok(Answer::Executed(asset))
        })?;
        metrics::gauge!("coffer_breaker_tripped", "asset" => id.to_string()).set(0.0);
        self.0.work.notify_waiters();
        Ok(answer)
    }

    /// Stops crediting an asset; `None` when it was not active. In the caller's transaction, before its audit
    /// record, which must name the version of the asset answered: `changes.and(asset.id, asset.version)`.
    pub(crate) async fn trip_breaker(
        &self,
        tx: &mut Tx,
        asset: &Asset,
        reason: &str,
    ) -> Result<Option<Asset>, Error> {
        let mut asset = self.lock_asset(tx, asset.organization, asset.id).await?;
        if asset.state != AssetState::Active {
            return Ok(None);
        }
        asset.state = AssetState::Tripped;
        asset.reason = Some(reason.to_owned());
        let asset = self.store_asset(tx, asset).await?;
        tracing::error!(asset = %asset.id, reason, alarm = "reconciliation", "an asset's breaker is tripped");
        metrics::gauge!("coffer_breaker_tripped", "asset" => asset.id.to_string()).set(1.0);
        Ok(Some(asset))
    }

    async fn record(
        &self,
        tx: &mut Tx,
        asset: &Asset,
        action: &'static str,
        actor: &str,
    ) -> Result<(), Error> {
        let entry = Entry {
            organization: asset.organization,
            at_ms: self.now_ms(),
            actor,
            action,
            object: asset.id.to_string(),
            changes: Changes::version(asset.id, asset.version),
            data: serde_json::json!({
                "symbol": asset.symbol,
                "deposit_units_min": asset.deposit_units_min.to_string(),
                "state": asset.state.name(),
                "reason": asset.reason,
            }),
            events: Outgoing::one(
                EventType::AssetChanged,
                asset.id,
                &AssetEventV1::from(asset),
            ),
        };
        append(tx, &self.0.seals, entry).await?;
        Ok(())
    }
}

fn apply(asset: &mut Asset, change: &AssetChange, reason: Option<&str>) -> Result<(), Error> {
    if let Some(symbol) = &change.symbol {
        asset.symbol.clone_from(symbol);
    }
    if let Some(units) = change.deposit_units_min {
        asset.deposit_units_min = units;
    }
    match (change.enabled, asset.state) {
        // Disabling and enabling again would be a way around closing the breaker.
        (Some(_), AssetState::Tripped) => Err(Error::StateConflict(format!(
            "the breaker of {} is tripped; close it first, with a reason",
            asset.id
        ))),
        (Some(true), AssetState::Disabled) => {
            asset.state = AssetState::Active;
            asset.reason = None;
            Ok(())
        }
        (Some(false), AssetState::Active) => {
            asset.state = AssetState::Disabled;
            asset.reason = reason.map(str::to_owned);
            Ok(())
        }
        _ => Ok(()),
    }
}
