//! Putting an asset on the list: its contract is asked for its decimals before anything is stored.

use coffer_domain::asset::{Asset, AssetKind, AssetName, AssetState, DECIMALS_MAX};
use coffer_domain::chain::ChainFamily;
use coffer_domain::event::EventType;
use coffer_domain::id::{AssetId, NetworkId};
use coffer_domain::network::Network;
use coffer_store::Tx;
use coffer_store::assets as rows;
use ruint::aliases::U256;

use crate::audit::{Changes, Entry, append};
use crate::events::{AssetEventV1, Outgoing};
use crate::freshness::Versioned;
use crate::transaction::transact;
use crate::{Answer, Caller, Error, Once, Platform};

const OPERATION: &str = "assets.add";
const SYMBOL_CHARS_MAX: usize = 32;
const BITCOIN_DECIMALS: u8 = 8;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAsset {
    pub name: AssetName,
    pub symbol: String,
    pub decimals: u8,
    /// A deposit below this is rejected.
    pub deposit_units_min: U256,
}

/// An asset that is now on the list, and what an operator should look at twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedAsset {
    pub asset: Asset,
    pub warnings: Vec<String>,
}

impl Platform {
    /// Puts an asset of the network's chain on the list. The decimals given must be those that k nodes read
    /// from the contract; a symbol that differs is only a warning, for contracts may say what they like.
    pub async fn add_asset(
        &self,
        caller: &Caller,
        network: NetworkId,
        new: NewAsset,
        once: Option<Once<'_, AddedAsset>>,
    ) -> Result<Answer<AddedAsset>, Error> {
        self.guard(caller.organization)?;
        if let Some(answer) = self.replay_now(caller, OPERATION, once.as_ref()).await? {
            return Ok(answer);
        }
        let network = self.network(caller, network).await?;
        let kind = check(&network, &new)?;
        let warnings = self.compare_with_contract(&network, &kind, &new).await?;
        let asset = Asset {
            id: AssetId::of(caller.organization, &new.name),
            organization: caller.organization,
            network: network.id,
            name: new.name,
            kind,
            symbol: new.symbol,
            decimals: new.decimals,
            deposit_units_min: new.deposit_units_min,
            state: AssetState::Active,
            reason: None,
            created_at_ms: self.now_ms(),
            version: 1,
        };
        let added = AddedAsset { asset, warnings };
        let answer = transact!(self, tx, {
            if let Some(answer) = self.replay(tx, caller, OPERATION, once.as_ref()).await? {
                return Ok(answer);
            }
            // The network must still be what the contract was read on.
            self.network_row(tx, caller.organization, network.id)
                .await?;
            self.insert_asset(tx, &added.asset, &caller.actor()).await?;
            self.keep(tx, caller, OPERATION, once.as_ref(), &added)
                .await?;
            Ok(Answer::Executed(added.clone()))
        })?;
        self.0.work.notify_waiters();
        Ok(answer)
    }

    async fn compare_with_contract(
        &self,
        network: &Network,
        kind: &AssetKind,
        new: &NewAsset,
    ) -> Result<Vec<String>, Error> {
        let AssetKind::Token(contract) = kind else {
            return Ok(Vec::new());
        };
        let facts = self.source(network)?.token_facts(contract).await?;
        if facts.decimals != new.decimals {
            let text = format!(
                "the contract has {} decimals, and {} was given",
                facts.decimals, new.decimals
            );
            return Err(Error::validation("decimals", text));
        }
        Ok(match facts.symbol {
            Some(symbol) if symbol != new.symbol => {
                let shown: String = symbol.chars().take(SYMBOL_CHARS_MAX).collect();
                vec![format!(
                    "the contract calls itself {shown:?}, and {:?} was given",
                    new.symbol
                )]
            }
            _ => Vec::new(),
        })
    }

    async fn insert_asset(&self, tx: &mut Tx, asset: &Asset, actor: &str) -> Result<(), Error> {
        if rows::lock(tx, asset.id).await?.is_some() {
            let text = format!("{} is {} already", asset.name, asset.id);
            return Err(Error::StateConflict(text));
        }
        self.never_added(tx, asset.organization, Versioned::Asset(asset.id))
            .await?;
        rows::insert(tx, &self.0.seals.seal(asset.clone())).await?;
        let entry = Entry {
            organization: asset.organization,
            at_ms: asset.created_at_ms,
            actor,
            action: "asset.added",
            object: asset.id.to_string(),
            changes: Changes::version(asset.id, 1),
            data: serde_json::json!({
                "network": asset.network.to_string(),
                "name": asset.name.to_string(),
                "symbol": asset.symbol,
                "decimals": asset.decimals,
                "deposit_units_min": asset.deposit_units_min.to_string(),
            }),
            events: Outgoing::one(EventType::AssetAdded, asset.id, &AssetEventV1::from(asset)),
        };
        append(tx, &self.0.seals, entry).await?;
        Ok(())
    }
}

/// What can be said without asking a node; answers what on the chain the asset is.
fn check(network: &Network, new: &NewAsset) -> Result<AssetKind, Error> {
    if new.name.chain != network.chain {
        let text = format!(
            "the network is {}, the asset of {}",
            network.chain, new.name.chain
        );
        return Err(Error::validation("name", text));
    }
    check_symbol(&new.symbol)?;
    if new.decimals > DECIMALS_MAX {
        let text = format!("at most {DECIMALS_MAX}");
        return Err(Error::validation("decimals", text));
    }
    let family = network
        .chain
        .family()
        .ok_or_else(|| Error::validation("name", "the chain's family is not served"))?;
    match family {
        ChainFamily::Evm => evm_kind(&new.name),
        ChainFamily::Bitcoin(_) => bitcoin_kind(new),
    }
}

fn evm_kind(name: &AssetName) -> Result<AssetKind, Error> {
    let refuse = |text: String| Err(Error::validation("name", text));
    match name.namespace.as_str() {
        // SLIP-44 has one coin type per chain, and a local chain may call its coin anything.
        "slip44"
            if name
                .reference
                .parse::<u32>()
                .is_ok_and(|n| n.to_string() == name.reference) =>
        {
            Ok(AssetKind::Native)
        }
        "slip44" => refuse("slip44 is followed by a coin's number, such as slip44:60".to_owned()),
        "erc20" if name.reference.starts_with("0x") => {
            match coffer_chains::parse(&name.reference) {
                Ok(parsed) => Ok(AssetKind::Token(parsed.payload)),
                Err(error) => refuse(error.to_string()),
            }
        }
        "erc20" => refuse("erc20 is followed by the contract's address, 0x…".to_owned()),
        other => refuse(format!("{other:?} is not served; use slip44 or erc20")),
    }
}

/// One name on every network, so that the one coin is not listed twice.
fn bitcoin_kind(new: &NewAsset) -> Result<AssetKind, Error> {
    let name = (new.name.namespace.as_str(), new.name.reference.as_str());
    if name != ("slip44", "0") {
        return Err(Error::validation("name", "Bitcoin has one asset, slip44:0"));
    }
    if new.decimals != BITCOIN_DECIMALS {
        let text = format!("a bitcoin has {BITCOIN_DECIMALS} decimals");
        return Err(Error::validation("decimals", text));
    }
    Ok(AssetKind::Native)
}

pub(super) fn check_symbol(symbol: &str) -> Result<(), Error> {
    let chars = symbol.chars().count();
    let plain = symbol.chars().all(|c| c.is_ascii_graphic());
    if (1..=SYMBOL_CHARS_MAX).contains(&chars) && plain {
        return Ok(());
    }
    let text = format!("give 1 to {SYMBOL_CHARS_MAX} visible ASCII characters");
    Err(Error::validation("symbol", text))
}
