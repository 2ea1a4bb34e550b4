//! Listing and showing deposits.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use coffer_domain::asset::Asset;
use coffer_domain::deposit::{Deposit, DepositState};
use coffer_domain::id::{DepositId, WalletId};
use coffer_store::Tx;
use coffer_store::deposits as rows;

use crate::mempool::UnconfirmedView;
use crate::seal::refused;
use crate::{Caller, Error, Platform};

pub type DepositFilter = rows::Filter<DepositState>;

/// Where the next page begins: the time and id of the last deposit of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepositCursor {
    pub detected_at_ms: i64,
    pub id: DepositId,
}

/// A deposit and what people want to see beside it.
#[derive(Debug, Clone)]
pub struct DepositView {
    pub deposit: Deposit,
    pub asset: Asset,
    /// The customer's name, where the wallet has one.
    pub external_id: Option<String>,
    /// Of its block, by the blocks that were taken; 0 when it is retracted.
    pub confirmations: u64,
}

/// What an id stands for now: a deposit, or what will be one when a block includes it.
#[derive(Debug, Clone)]
pub enum Followable {
    Deposit(Box<DepositView>),
    Unconfirmed(Box<UnconfirmedView>),
}

#[derive(Debug, Clone, Default)]
pub struct DepositPage {
    pub items: Vec<DepositView>,
    /// Deposits of this page whose rows were changed outside Coffer.
    pub refused: Vec<DepositId>,
    pub next: Option<DepositCursor>,
}

impl std::fmt::Display for DepositCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.detected_at_ms, self.id)
    }
}

impl std::str::FromStr for DepositCursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is not a cursor");
        let (at, id) = text.split_once('.').ok_or_else(refused)?;
        Ok(Self {
            detected_at_ms: at.parse().map_err(|_| refused())?,
            id: id.parse().map_err(|_| refused())?,
        })
    }
}

impl Platform {
    /// The latest first.
    pub async fn deposits(
        &self,
        caller: &Caller,
        filter: &DepositFilter,
        after: Option<DepositCursor>,
        limit: u32,
    ) -> Result<DepositPage, Error> {
        self.guard(caller.organization)?;
        let before = after.map(|cursor| (cursor.detected_at_ms, cursor.id));
        let mut tx = self.0.db.read().await?;
        self.follow(&mut tx, caller.organization).await?;
        let found = rows::page(&mut tx, caller.organization, filter, before, limit).await?;
        let full = found.len() == limit as usize;
        let last = found.last().and_then(|found| match found {
            Ok(sealed) => Some(DepositCursor {
                detected_at_ms: sealed.value.detected_at_ms,
                id: sealed.value.id,
            }),
            Err(_) => None,
        });
        let mut page = DepositPage {
            next: last.filter(|_| full),
            ..DepositPage::default()
        };
        let mut shown = Vec::with_capacity(limit as usize);
        for judged in self.judge_deposits(&mut tx, found).await? {
            match judged {
                Ok(deposit) => shown.push(deposit),
                Err(id) => {
                    let _ = refused(id.to_string());
                    page.refused.push(id);
                }
            }
        }
        page.items = self.views(&mut tx, caller, shown).await?;
        Ok(page)
    }

    pub async fn deposit(&self, caller: &Caller, id: DepositId) -> Result<DepositView, Error> {
        self.guard(caller.organization)?;
        let mut tx = self.0.db.read().await?;
        self.follow(&mut tx, caller.organization).await?;
        let deposit = self.own_deposit(&mut tx, caller, id).await?;
        let view = self.views(&mut tx, caller, vec![deposit]).await?.pop();
        view.ok_or_else(|| refused(id.to_string()))
    }

    /// The deposit of an id; where no block has had it yet, the unconfirmed one.
    pub async fn followable(&self, caller: &Caller, id: DepositId) -> Result<Followable, Error> {
        self.guard(caller.organization)?;
        let mut tx = self.0.db.read().await?;
        self.follow(&mut tx, caller.organization).await?;
        if rows::by_id(&mut tx, id).await?.is_none()
            && let Some(view) = self.unconfirmed_in(&mut tx, caller, id).await?
        {
            return Ok(Followable::Unconfirmed(Box::new(view)));
        }
        drop(tx);
        let view = self.deposit(caller, id).await?;
        Ok(Followable::Deposit(Box::new(view)))
    }

    pub(super) async fn own_deposit(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        id: DepositId,
    ) -> Result<Deposit, Error> {
        let found = rows::by_id(tx, id).await?;
        let found = found.into_iter().collect();
        let opened = self.open_deposits(tx, found).await?.into_iter().next();
        opened
            .filter(|deposit| deposit.organization == caller.organization && deposit.id == id)
            .ok_or_else(|| self.absent(caller.organization, "deposit", id))
    }

    /// In the order given; what several deposits share is read once.
    async fn views(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        deposits: Vec<Deposit>,
    ) -> Result<Vec<DepositView>, Error> {
        let mut networks = HashMap::new();
        let mut names = HashMap::new();
        for deposit in &deposits {
            if let Entry::Vacant(place) = networks.entry(deposit.network) {
                let network = self.network_in(tx, deposit.network).await?;
                let assets = self.asset_rows(tx, &network).await?;
                let tip = self.progress_in(tx, deposit.network).await?.tip;
                place.insert((assets, tip));
            }
            if let Entry::Vacant(place) = names.entry(deposit.wallet) {
                place.insert(self.name_of(tx, caller, deposit.wallet).await?);
            }
        }
        let view = |deposit: Deposit| {
            let (assets, tip) = &networks[&deposit.network];
            let asset = assets.iter().find(|asset| asset.id == deposit.asset);
            let confirmations = match (deposit.state, tip) {
                (DepositState::Retracted, _) | (_, None) => 0,
                (_, Some(tip)) => deposit.block.height.confirmations_at(tip.height),
            };
            Ok(DepositView {
                asset: asset
                    .cloned()
                    .ok_or_else(|| refused(deposit.asset.to_string()))?,
                external_id: names[&deposit.wallet].clone(),
                confirmations,
                deposit,
            })
        };
        deposits.into_iter().map(view).collect()
    }

    /// The customer's name. A wallet that is refused has none here; its deposits are shown all the same.
    pub(crate) async fn name_of(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        wallet: WalletId,
    ) -> Result<Option<String>, Error> {
        let Some(found) = coffer_store::wallets::by_id(tx, wallet).await? else {
            return Ok(None);
        };
        let opened = self.open_wallet(tx, found).await.ok();
        let own = opened.filter(|wallet| wallet.organization == caller.organization);
        Ok(own.map(|wallet| wallet.external_id.as_str().to_owned()))
    }
}
