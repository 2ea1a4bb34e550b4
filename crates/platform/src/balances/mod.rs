//! A wallet's balances as a person wants to see them: the ledger's, and beside them what the chain showed last.
//!
//! Guarantees: what a customer has is the ledger's word, from verified accounts. The chain's balance is a copy that
//! reconciliation left behind, shown with its block and age.
//! Deliberately not here: any use of that copy. It is not sealed, it may be old or edited, and no decision about
//! money reads it: crediting, reversing, holding and reconciling know the ledger and the nodes alone.
//! Cost: three account look-ups per asset and one query for the copies.

use coffer_domain::address::AddressKind;
use coffer_domain::asset::Asset;
use coffer_domain::block::BlockRef;
use coffer_domain::id::WalletId;
use coffer_domain::ledger::{AccountKey, AccountKind, Balance, Side};
use coffer_store::snapshots::{self, Snapshot};
use ruint::aliases::U256;

use crate::transaction::reread;
use crate::{AssetFilter, Caller, Error, Platform};

/// What the chain said at a block, for showing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnChain {
    pub units: U256,
    pub block: BlockRef,
    pub age_ms: i64,
}

/// What a wallet has of one asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletBalance {
    pub asset: Asset,
    /// Credited, and not set aside.
    pub available: U256,
    /// Detected, and not yet credited.
    pub pending: U256,
    /// Set aside for something under way.
    pub held: U256,
    /// Owed after a credit was reorganized away whose money was spent.
    pub reversal_due: U256,
    /// `None` when the chain was not read yet, or nothing was ever there.
    pub on_chain: Option<OnChain>,
}

impl Platform {
    /// Every asset of the list that the wallet has an address for.
    pub async fn wallet_balances(
        &self,
        caller: &Caller,
        wallet: WalletId,
    ) -> Result<Vec<WalletBalance>, Error> {
        let known = self.wallet(caller, wallet).await?;
        let kinds: Vec<AddressKind> = known.kinds().iter().collect();
        let mut assets = self.assets(caller, AssetFilter::default()).await?;
        assets.retain(|asset| {
            let family = asset.name.chain.family();
            family.is_some_and(|family| {
                family
                    .address_kinds()
                    .iter()
                    .any(|kind| kinds.contains(&kind))
            })
        });
        reread!(self.try_balances(caller, wallet, &assets))
    }

    async fn try_balances(
        &self,
        caller: &Caller,
        wallet: WalletId,
        assets: &[Asset],
    ) -> Result<Vec<WalletBalance>, Error> {
        let key = |asset: &Asset, kind| AccountKey {
            organization: caller.organization,
            asset: asset.id,
            kind,
            wallet: Some(wallet),
        };
        let ids = assets.iter().flat_map(|asset| {
            [
                AccountKind::Customer,
                AccountKind::Holding,
                AccountKind::ReversalDue,
            ]
            .map(|kind| key(asset, kind).id())
        });
        let mut tx = self.0.db.read().await?;
        let accounts = self
            .verified_accounts(&mut tx, caller.organization, ids.collect())
            .await?;
        let shown = snapshots::of_wallet(&mut tx, wallet).await?;
        let now = self.now_ms();
        let balance = |asset: &Asset, kind| {
            let account = accounts.get(&key(asset, kind).id());
            account.map_or(Balance::default(), |account| account.head.balance)
        };
        let of = |asset: &Asset| {
            let customer = balance(asset, AccountKind::Customer);
            let snapshot = shown.iter().find(|shown| shown.asset == asset.id);
            WalletBalance {
                available: customer.available(),
                pending: customer.pending_credits,
                held: balance(asset, AccountKind::Holding)
                    .position()
                    .on(Side::Credit),
                reversal_due: balance(asset, AccountKind::ReversalDue)
                    .posted()
                    .on(Side::Debit),
                on_chain: snapshot.map(|snapshot| shown_at(snapshot, now)),
                asset: asset.clone(),
            }
        };
        Ok(assets.iter().map(of).collect())
    }
}

fn shown_at(snapshot: &Snapshot, now_ms: i64) -> OnChain {
    OnChain {
        units: snapshot.units,
        block: snapshot.block,
        age_ms: (now_ms - snapshot.taken_at_ms).max(0),
    }
}
