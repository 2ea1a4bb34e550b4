//! What addresses hold, by the nodes' own sets of unspent outputs: a second opinion on our record of them.

use std::collections::HashMap;
use std::sync::Arc;

use coffer_chains::bitcoin::script;
use coffer_domain::address::AddressPayload;
use coffer_domain::asset::parse_decimal;
use coffer_domain::block::BlockRef;
use futures_util::future::BoxFuture;
use ruint::aliases::U256;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::BitcoinSource;
use super::connect::hex_of;
use crate::NodeError;
use crate::json_rpc::{Node, RpcError, decode};
use crate::quorum::{Rest, Said, agreed};

/// Of the chain's coin.
const DECIMALS: u8 = 8;

#[derive(Deserialize)]
struct Scan<'a> {
    success: bool,
    bestblock: String,
    #[serde(borrow)]
    unspents: Vec<Unspent<'a>>,
}

#[derive(Deserialize)]
struct Unspent<'a> {
    #[serde(rename = "scriptPubKey")]
    script: String,
    #[serde(borrow)]
    amount: &'a RawValue,
}

/// What one node found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Held(Vec<U256>),
    /// Its tip is another block.
    Elsewhere(String),
}

impl BitcoinSource {
    /// [`NodeError::Elsewhere`] when the block is not the tip of k nodes: only of that is there a set.
    pub(super) async fn holdings_at(
        &self,
        at: BlockRef,
        addresses: &[AddressPayload],
    ) -> Result<Vec<U256>, NodeError> {
        if addresses.is_empty() {
            return Ok(Vec::new());
        }
        self.scanners.connected().await?;
        let question = |node: Arc<Node>| -> BoxFuture<'_, Result<Found, RpcError>> {
            Box::pin(async move {
                self.scanners.ready(&node).await?;
                scan(&node, at, addresses).await
            })
        };
        let quorum = self.scanners.panel.quorum;
        let enough = |said: &[Said<Found>]| settled(quorum, said).is_some();
        let panel = &self.scanners.panel;
        let said = panel.ask(&question, Rest::Dropped, &enough).await;
        match settled(quorum, &said) {
            Some(Found::Held(balances)) => Ok(balances),
            Some(Found::Elsewhere(_)) => Err(NodeError::Elsewhere {
                height: at.height,
                hash: at.hash,
            }),
            None => {
                let what = format!("what {} addresses hold at block {at}", addresses.len());
                let show = |found: &Found| match found {
                    Found::Held(units) => {
                        let sum = units
                            .iter()
                            .fold(U256::ZERO, |sum, one| sum.saturating_add(*one));
                        format!("{sum} satoshis together")
                    }
                    Found::Elsewhere(tip) => format!("its tip is {tip}"),
                };
                Err(panel.no_quorum(&what, 0, &said, &show))
            }
        }
    }
}

/// What k nodes say: the same balances, or that they are elsewhere, wherever that is.
fn settled(quorum: usize, said: &[Said<Found>]) -> Option<Found> {
    let answers: Vec<&Found> = said
        .iter()
        .filter_map(|said| said.answer.as_ref().ok())
        .collect();
    let held: Vec<_> = answers
        .iter()
        .filter(|found| matches!(found, Found::Held(_)))
        .copied()
        .collect();
    if let Some(found) = agreed(quorum, &held) {
        return Some((*found).clone());
    }
    let elsewhere = answers
        .iter()
        .filter(|found| matches!(found, Found::Elsewhere(_)));
    let elsewhere: Vec<_> = elsewhere.collect();
    (elsewhere.len() >= quorum).then(|| (**elsewhere[0]).clone())
}

async fn scan(node: &Node, at: BlockRef, addresses: &[AddressPayload]) -> Result<Found, RpcError> {
    let mut places: HashMap<String, usize> = HashMap::with_capacity(addresses.len());
    let mut wanted = Vec::with_capacity(addresses.len());
    for (place, address) in addresses.iter().enumerate() {
        let script = script::script(address).ok_or_else(|| {
            RpcError::Unbelievable(format!("an address of {} is asked for", address.kind()))
        })?;
        let script = alloy_primitives::hex::encode(script);
        wanted.push(format!("raw({script})"));
        places.insert(script, place);
    }
    let answer = node.call("scantxoutset", json!(["start", wanted])).await?;
    let found: Scan<'_> = decode(&answer)?;
    if !found.success {
        return Err(RpcError::Unbelievable("its scan was aborted".to_owned()));
    }
    if found.bestblock != hex_of(&at.hash) {
        let tip = found.bestblock.chars().take(64).collect();
        return Ok(Found::Elsewhere(tip));
    }
    let mut balances = vec![U256::ZERO; addresses.len()];
    for unspent in found.unspents {
        let wrong = || RpcError::Unbelievable("an unspent output that is none".to_owned());
        let place = places.get(&unspent.script).ok_or_else(wrong)?;
        // As the node prints it: a float in between could lose a satoshi.
        let units = parse_decimal(unspent.amount.get(), DECIMALS).map_err(|_| wrong())?;
        balances[*place] = balances[*place].saturating_add(units);
    }
    Ok(Found::Held(balances))
}
