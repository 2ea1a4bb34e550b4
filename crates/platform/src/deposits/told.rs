//! What other systems are told of deposits.

use std::collections::HashMap;

use coffer_domain::asset::Asset;
use coffer_domain::deposit::Deposit;
use coffer_domain::event::EventType;
use coffer_domain::id::{AssetId, WalletId};
use coffer_domain::network::Network;
use coffer_store::{Tx, wallets};

use crate::events::{DepositEventV1, Outgoing};
use crate::seal::refused;
use crate::{Error, Platform};

impl Platform {
    /// One event for each deposit, as it is stored in this transaction.
    pub(crate) async fn deposits_told(
        &self,
        tx: &mut Tx,
        network: &Network,
        deposits: &[&Deposit],
    ) -> Result<Outgoing, Error> {
        if deposits.is_empty() {
            return Ok(Outgoing::none());
        }
        let assets = self.asset_rows(tx, network).await?;
        let assets: HashMap<AssetId, Asset> =
            assets.into_iter().map(|asset| (asset.id, asset)).collect();
        let ids: Vec<WalletId> = deposits.iter().map(|deposit| deposit.wallet).collect();
        let customers = self.customers_of(tx, &ids).await?;
        let mut events = Outgoing::none();
        for deposit in deposits {
            let asset = assets
                .get(&deposit.asset)
                .ok_or_else(|| refused(deposit.asset.to_string()))?;
            let customer = customers.get(&deposit.wallet).cloned();
            let data = DepositEventV1::of(deposit, asset, customer);
            events = events.and(EventType::of_deposit(deposit.state), deposit.id, &data);
        }
        Ok(events)
    }

    /// The customers' names of those wallets that have one.
    pub(crate) async fn customers_of(
        &self,
        tx: &mut Tx,
        ids: &[WalletId],
    ) -> Result<HashMap<WalletId, String>, Error> {
        let mut customers = HashMap::new();
        for found in wallets::by_ids(tx, ids).await? {
            match self.open_wallet(tx, found).await {
                Ok(wallet) => {
                    customers.insert(wallet.id, wallet.external_id.as_str().to_owned());
                }
                // The alarm is raised; a block must not wait for the name of a customer.
                Err(Error::Integrity { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(customers)
    }
}
