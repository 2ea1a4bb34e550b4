//! Whose a movement is, and whether it may be credited.

use std::collections::HashMap;

use coffer_domain::address::AddressPayload;
use coffer_domain::asset::{Asset, decimal_text};
use coffer_domain::deposit::Verdict;
use coffer_domain::id::{AssetId, OrganizationId, WalletId};
use coffer_domain::ledger::{AccountKey, AccountKind};
use coffer_domain::movement::{Movement, MovementId};
use coffer_domain::sync::Attribution;
use coffer_domain::wallet::{Wallet, WalletState};
use coffer_store::Tx;
use coffer_store::wallets::{self as rows, Found};

use crate::{Error, Platform};

/// Addresses that were confirmed to be ours.
pub(crate) type Owners = HashMap<AddressPayload, WalletId>;

/// What is known of a wallet that received something.
enum Recipient {
    Known(Box<Wallet>),
    /// No customer has this address yet.
    Unassigned,
    /// Its row is not what was stored, or is gone.
    Refused,
}

/// Whose each movement of a block is; strangers' are left out.
pub(super) struct Attributions(HashMap<(MovementId, AddressPayload), (AssetId, Attribution)>);

impl Attributions {
    pub(super) fn of(&self, movement: &Movement) -> Option<Attribution> {
        let found = self.0.get(&(movement.id, movement.to))?;
        Some(found.1.clone())
    }

    /// The accounts that crediting them may touch.
    pub(super) fn accounts(&self, organization: OrganizationId) -> Vec<AccountKey> {
        use AccountKind::{Custody, Customer, ReversalDue, Suspense};
        let of = |(asset, attribution): &(AssetId, Attribution)| {
            let (asset, wallet) = (*asset, Some(attribution.wallet));
            [Custody, Customer, Suspense, ReversalDue].map(|kind| AccountKey {
                organization,
                asset,
                kind,
                wallet,
            })
        };
        self.0.values().flat_map(of).collect()
    }
}

impl Platform {
    /// Judges the movements in the transaction that takes their block: a wallet's state is that of then.
    pub(super) async fn attribute(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        (owners, assets): (&Owners, &[Asset]),
        movements: &[Movement],
    ) -> Result<Attributions, Error> {
        let mut wallets: Vec<WalletId> = movements
            .iter()
            .filter_map(|movement| owners.get(&movement.to).copied())
            .collect();
        wallets.sort_unstable();
        wallets.dedup();
        let recipients = self.recipients(tx, organization, &wallets).await?;
        let mut attributions = HashMap::new();
        for movement in movements {
            let asset = assets.iter().find(|asset| asset.id == movement.asset);
            let (Some(wallet), Some(asset)) = (owners.get(&movement.to), asset) else {
                continue;
            };
            let recipient = recipients.get(wallet).unwrap_or(&Recipient::Unassigned);
            let attribution = Attribution {
                wallet: *wallet,
                verdict: verdict(recipient, asset, movement),
            };
            attributions.insert((movement.id, movement.to), (asset.id, attribution));
        }
        Ok(Attributions(attributions))
    }

    async fn recipients(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        wallets: &[WalletId],
    ) -> Result<HashMap<WalletId, Recipient>, Error> {
        let mut recipients = HashMap::with_capacity(wallets.len());
        for found in rows::by_ids(tx, wallets).await? {
            let id = match &found {
                Ok(sealed) => sealed.value.id,
                Err((id, _)) => *id,
            };
            let opened = self.open_recipient(tx, organization, id, found).await?;
            recipients.insert(id, opened);
        }
        for wallet in wallets {
            if !recipients.contains_key(wallet) && self.0.chains.knows_wallet(organization, *wallet)
            {
                // The audit knows a wallet that the table does not have.
                let _ = crate::seal::refused(wallet.to_string());
                recipients.insert(*wallet, Recipient::Refused);
            }
        }
        Ok(recipients)
    }

    /// A row that changed between two statements looks old once; the second look tells.
    async fn open_recipient(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        id: WalletId,
        found: Found,
    ) -> Result<Recipient, Error> {
        let mut opened = self.open_wallet(tx, found).await;
        if matches!(opened, Err(Error::Integrity { .. }))
            && let Some(again) = rows::by_id(tx, id).await?
        {
            opened = self.open_wallet(tx, again).await;
        }
        match opened {
            Ok(wallet) if wallet.organization == organization => {
                Ok(Recipient::Known(Box::new(wallet)))
            }
            Ok(_) | Err(Error::Integrity { .. }) => Ok(Recipient::Refused),
            Err(other) => Err(other),
        }
    }
}

fn verdict(recipient: &Recipient, asset: &Asset, movement: &Movement) -> Verdict {
    if movement.gained_units < asset.deposit_units_min {
        let least = decimal_text(asset.deposit_units_min, asset.decimals);
        return Verdict::Reject(format!("below the minimum of {least} {}", asset.symbol));
    }
    let hold = |why: &str| Verdict::Hold(why.to_owned());
    match recipient {
        Recipient::Unassigned => hold("the address is not assigned to a customer"),
        Recipient::Refused => hold("the wallet's row was changed outside Coffer"),
        Recipient::Known(wallet) => match wallet.state {
            WalletState::Pending => hold("the wallet is pending"),
            WalletState::Rejected => hold("the wallet was rejected"),
            WalletState::Active if !wallet.payloads.contains(&movement.to) => {
                hold("the wallet has no address of this kind")
            }
            WalletState::Active => Verdict::Credit,
        },
    }
}
