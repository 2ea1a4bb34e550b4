//! Listing and showing deposits.

use coffer_domain::asset::Asset;
use coffer_domain::deposit::{Deposit, DepositState};
use coffer_domain::id::{AssetId, DepositId, NetworkId, WalletId};
use coffer_store::Tx;
use coffer_store::deposits as rows;

use crate::seal::refused;
use crate::{Caller, Error, Platform};

#[derive(Debug, Clone, Default)]
pub struct DepositFilter {
    pub network: Option<NetworkId>,
    pub asset: Option<AssetId>,
    pub wallet: Option<WalletId>,
    pub state: Option<DepositState>,
}

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
        let filter = rows::Filter {
            network: filter.network,
            asset: filter.asset,
            wallet: filter.wallet,
            state: filter.state,
        };
        let before = after.map(|cursor| (cursor.detected_at_ms, cursor.id));
        let mut tx = self.0.db.read().await?;
        self.follow(&mut tx, caller.organization).await?;
        let found = rows::page(&mut tx, caller.organization, &filter, before, limit).await?;
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
        for judged in self.judge_deposits(&mut tx, found).await? {
            match judged {
                Ok(deposit) => page.items.push(self.view(&mut tx, caller, deposit).await?),
                Err(id) => {
                    let _ = refused(id.to_string());
                    page.refused.push(id);
                }
            }
        }
        Ok(page)
    }

    pub async fn deposit(&self, caller: &Caller, id: DepositId) -> Result<DepositView, Error> {
        self.guard(caller.organization)?;
        let mut tx = self.0.db.read().await?;
        self.follow(&mut tx, caller.organization).await?;
        let deposit = self.own_deposit(&mut tx, caller, id).await?;
        self.view(&mut tx, caller, deposit).await
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

    /// A wallet that is refused has no name here; the deposit is shown all the same.
    async fn view(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        deposit: Deposit,
    ) -> Result<DepositView, Error> {
        let network = self.network_in(tx, deposit.network).await?;
        let assets = self.asset_rows(tx, &network).await?;
        let asset = assets.into_iter().find(|asset| asset.id == deposit.asset);
        let asset = asset.ok_or_else(|| refused(deposit.asset.to_string()))?;
        let wallet = coffer_store::wallets::by_id(tx, deposit.wallet).await?;
        let external_id = match wallet {
            Some(found) => self.open_wallet(tx, found).await.ok(),
            None => None,
        }
        .filter(|wallet| wallet.organization == caller.organization)
        .map(|wallet| wallet.external_id.as_str().to_owned());
        let tip = self.progress_in(tx, deposit.network).await?.tip;
        let confirmations = match (deposit.state, tip) {
            (DepositState::Retracted, _) | (_, None) => 0,
            (_, Some(tip)) => deposit.block.height.confirmations_at(tip.height),
        };
        Ok(DepositView {
            deposit,
            asset,
            external_id,
            confirmations,
        })
    }
}
