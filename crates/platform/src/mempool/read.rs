//! Listing and showing unconfirmed deposits.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use coffer_domain::asset::Asset;
use coffer_domain::id::DepositId;
use coffer_domain::unconfirmed::Unconfirmed;
pub use coffer_store::unconfirmed::Filter as UnconfirmedFilter;
use coffer_store::{Tx, unconfirmed as rows};

use crate::deposits::DepositCursor;
use crate::seal::refused;
use crate::{Caller, Error, Platform};

/// An unconfirmed deposit and what people want to see beside it.
#[derive(Debug, Clone)]
pub struct UnconfirmedView {
    pub unconfirmed: Unconfirmed,
    pub asset: Asset,
    /// The customer's name, where the wallet has one.
    pub external_id: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct UnconfirmedPage {
    pub items: Vec<UnconfirmedView>,
    /// Those of this page whose rows were changed outside Coffer.
    pub refused: Vec<DepositId>,
    pub next: Option<DepositCursor>,
}

impl Platform {
    /// The latest first.
    pub async fn unconfirmed_deposits(
        &self,
        caller: &Caller,
        filter: &UnconfirmedFilter,
        after: Option<DepositCursor>,
        limit: u32,
    ) -> Result<UnconfirmedPage, Error> {
        self.guard(caller.organization)?;
        let before = after.map(|cursor| (cursor.detected_at_ms, cursor.id));
        let mut tx = self.0.db.read().await?;
        self.follow(&mut tx, caller.organization).await?;
        let found = rows::page(&mut tx, caller.organization, filter, before, limit).await?;
        let full = found.len() == limit as usize;
        let last = found.last().and_then(|found| found.as_ref().ok());
        let last = last.map(|sealed| DepositCursor {
            detected_at_ms: sealed.value.detected_at_ms,
            id: sealed.value.id,
        });
        let mut page = UnconfirmedPage {
            next: last.filter(|_| full),
            ..UnconfirmedPage::default()
        };
        let mut shown = Vec::with_capacity(found.len());
        for judged in self.judge_unconfirmed(found) {
            match judged {
                Ok(one) => shown.push(one),
                Err(id) => {
                    let _ = refused(format!("{id}, unconfirmed"));
                    page.refused.push(id);
                }
            }
        }
        page.items = self.unconfirmed_views(&mut tx, caller, shown).await?;
        Ok(page)
    }

    /// The unconfirmed one of an id, if there is one of the caller's organization.
    pub(crate) async fn unconfirmed_in(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        id: DepositId,
    ) -> Result<Option<UnconfirmedView>, Error> {
        let found = rows::by_ids(tx, &[id]).await?;
        let mut shown = Vec::new();
        for judged in self.judge_unconfirmed(found) {
            let one = judged.map_err(|id| refused(format!("{id}, unconfirmed")))?;
            if one.organization == caller.organization && one.id == id {
                shown.push(one);
            }
        }
        Ok(self.unconfirmed_views(tx, caller, shown).await?.pop())
    }

    /// In the order given; what several share is read once.
    async fn unconfirmed_views(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        shown: Vec<Unconfirmed>,
    ) -> Result<Vec<UnconfirmedView>, Error> {
        let mut assets = HashMap::new();
        let mut names = HashMap::new();
        for one in &shown {
            if let Entry::Vacant(place) = assets.entry(one.network) {
                let network = self.network_in(tx, one.network).await?;
                place.insert(self.asset_rows(tx, &network).await?);
            }
            if let Entry::Vacant(place) = names.entry(one.wallet) {
                place.insert(self.name_of(tx, caller, one.wallet).await?);
            }
        }
        let view = |one: Unconfirmed| {
            let asset = assets[&one.network]
                .iter()
                .find(|asset| asset.id == one.asset);
            Ok(UnconfirmedView {
                asset: asset
                    .cloned()
                    .ok_or_else(|| refused(one.asset.to_string()))?,
                external_id: names[&one.wallet].clone(),
                unconfirmed: one,
            })
        };
        shown.into_iter().map(view).collect()
    }
}
