//! The ledger, read only: accounts, transactions, entries, balances at any moment, statements, and its proof.

mod balances;
mod entries;
mod list_accounts;
mod list_transactions;
pub(super) mod moment;
mod show_account;
mod show_transaction;
mod statement;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::HashMap;
use std::str::FromStr;

use coffer_domain::asset::decimal_text;
use coffer_domain::id::AssetId;
use coffer_domain::ledger::{Balance, Side};
use coffer_platform::ledger::{AccountFilter, LedgerAccount, LedgerEntry, LedgerTransaction};
use coffer_platform::{AssetFilter, Caller};
use ruint::aliases::U256;
use serde::Serialize;
use utoipa::ToSchema;

use super::page;
use crate::access::{Api, Routes};
use crate::problem::Problem;
use coffer_domain::time::rfc3339;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = list_accounts::route(routes);
    let routes = show_account::route(routes);
    let routes = statement::route(routes);
    let routes = list_transactions::route(routes);
    let routes = show_transaction::route(routes);
    let routes = entries::route(routes);
    let routes = balances::route(routes);
    verify::route(routes)
}

/// Exact, as text; `amount` is null for an asset that is not listed.
#[derive(Serialize, ToSchema)]
pub(crate) struct LedgerUnits {
    #[schema(example = "1500000")]
    units: String,
    /// The same in the asset's decimals.
    #[schema(example = "1.5")]
    amount: Option<String>,
}

/// Sums of all entries so far, by phase and side.
#[derive(Serialize, ToSchema)]
pub(crate) struct LedgerBalance {
    posted_debits: LedgerUnits,
    posted_credits: LedgerUnits,
    pending_debits: LedgerUnits,
    pending_credits: LedgerUnits,
    /// What is posted, on this side:
    side: &'static str,
    net: LedgerUnits,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LedgerAccount)]
pub(crate) struct AccountView {
    #[schema(example = "lac_019ab0c45d7a8c1e9d0f3b2a10c4e5f6")]
    id: String,
    asset_id: String,
    /// custody, customer, suspense, reversal_due, holding or adjustment.
    kind: &'static str,
    /// Null for an account of the organization itself.
    wallet_id: Option<String>,
    /// Entries so far.
    version: u64,
    balance: LedgerBalance,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LedgerTransaction)]
pub(crate) struct TransactionView {
    id: String,
    /// Its place in the hash chain, from 1.
    seq: u64,
    source_kind: &'static str,
    source_id: String,
    /// posted, pending, post or void.
    phase: &'static str,
    /// The pending transaction that it posts or voids.
    resolves: Option<String>,
    asset_id: String,
    at: String,
    hash: String,
    entries: Vec<EntryView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LedgerEntry)]
pub(crate) struct EntryView {
    account_id: String,
    /// The account's version with this entry.
    version: u64,
    transaction_id: String,
    source_kind: &'static str,
    source_id: String,
    /// debit or credit.
    side: &'static str,
    /// posted, pending, post or void.
    phase: &'static str,
    units: String,
    amount: Option<String>,
    /// The account's balance with this entry.
    balance: LedgerBalance,
    at: String,
}

/// Decimals of the caller's assets, to write amounts with.
pub(crate) struct Scales(HashMap<AssetId, u8>);

impl Scales {
    async fn of(api: &Api, caller: &Caller) -> Result<Self, Problem> {
        let assets = api
            .platform()
            .assets(caller, AssetFilter::default())
            .await?;
        let pair = |asset: coffer_domain::asset::Asset| (asset.id, asset.decimals);
        Ok(Self(assets.into_iter().map(pair).collect()))
    }

    fn amount(&self, asset: AssetId, units: U256) -> Option<String> {
        let decimals = self.0.get(&asset)?;
        Some(decimal_text(units, *decimals))
    }

    fn units(&self, asset: AssetId, units: U256) -> LedgerUnits {
        LedgerUnits {
            units: units.to_string(),
            amount: self.amount(asset, units),
        }
    }

    fn balance(&self, asset: AssetId, balance: &Balance) -> LedgerBalance {
        let net = balance.posted();
        LedgerBalance {
            posted_debits: self.units(asset, balance.posted_debits),
            posted_credits: self.units(asset, balance.posted_credits),
            pending_debits: self.units(asset, balance.pending_debits),
            pending_credits: self.units(asset, balance.pending_credits),
            side: Side::name(net.side),
            net: self.units(asset, net.units),
        }
    }

    fn account(&self, account: &LedgerAccount) -> AccountView {
        let key = &account.key;
        AccountView {
            id: account.id.to_string(),
            asset_id: key.asset.to_string(),
            kind: key.kind.name(),
            wallet_id: key.wallet.map(|id| id.to_string()),
            version: account.version,
            balance: self.balance(key.asset, &account.balance),
        }
    }

    fn entry(&self, asset: AssetId, entry: &LedgerEntry) -> EntryView {
        EntryView {
            account_id: entry.account.to_string(),
            version: entry.version,
            transaction_id: entry.transaction.to_string(),
            source_kind: entry.source.kind.name(),
            source_id: entry.source.id.clone(),
            side: entry.side.name(),
            phase: entry.phase.name(),
            units: entry.units.to_string(),
            amount: self.amount(asset, entry.units),
            balance: self.balance(asset, &entry.balance),
            at: rfc3339(entry.at_ms),
        }
    }

    fn transaction(&self, transaction: &LedgerTransaction) -> TransactionView {
        let entry = |entry| self.entry(transaction.asset, entry);
        TransactionView {
            id: transaction.id.to_string(),
            seq: transaction.seq,
            source_kind: transaction.source.kind.name(),
            source_id: transaction.source.id.clone(),
            phase: transaction.phase.name(),
            resolves: transaction.phase.resolves().map(|id| id.to_string()),
            asset_id: transaction.asset.to_string(),
            at: rfc3339(transaction.at_ms),
            hash: hex::encode(transaction.hash),
            entries: transaction.entries.iter().map(entry).collect(),
        }
    }
}

fn filter(
    asset: Option<&str>,
    kind: Option<&str>,
    wallet: Option<&str>,
) -> Result<AccountFilter, Problem> {
    Ok(AccountFilter {
        asset: optional("asset", asset)?,
        kind: optional("kind", kind)?,
        wallet: optional("wallet", wallet)?,
    })
}

fn optional<T: FromStr>(field: &str, text: Option<&str>) -> Result<Option<T>, Problem>
where
    T::Err: std::fmt::Display,
{
    text.map(|text| page::parsed(field, text)).transpose()
}
