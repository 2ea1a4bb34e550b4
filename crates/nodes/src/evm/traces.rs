//! Value that moved inside transactions, as the nodes that offer call traces tell it.
//!
//! One honest node among those that answered is enough to find all of it, and k answers hold one: fewer are only
//! believed complete where fewer nodes offer traces at all.

use std::sync::Arc;

use coffer_chains::evm::trace::{Call, block_calls, calls};
use coffer_domain::block::TransactionHash;
use futures_util::future::BoxFuture;
use serde_json::json;

use super::EvmSource;
use super::observe::Seen;
use crate::NodeError;
use crate::json_rpc::{Node, RpcError};
use crate::quorum::{Rest, Said};

/// A call within the transaction at a position, to a watched address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Inner {
    pub(super) transaction: usize,
    pub(super) call: Call,
}

/// What each node that offers traces tells; `None` where no node offers them.
pub(super) type Told = Option<Vec<Vec<Inner>>>;

/// A transaction that takes no more than this ran no code.
const PLAIN_TRANSFER_GAS: u64 = 21_000;

/// A node either tells, or says that it never will.
enum Tale {
    Calls(Vec<Inner>),
    Unsupported,
}

impl EvmSource {
    pub(super) async fn inner_calls(&self, seen: &Seen<'_>) -> Result<Told, NodeError> {
        if seen
            .receipts
            .iter()
            .all(|receipt| receipt.gas_used <= PLAIN_TRANSFER_GAS)
        {
            return Ok(Some(Vec::new()));
        }
        let question = |node: Arc<Node>| -> BoxFuture<'_, Result<Tale, RpcError>> {
            Box::pin(async move {
                self.chain.ready(&node).await?;
                let tale = tell(&node, seen).await;
                if let Err(error @ RpcError::Unbelievable(_)) = &tale {
                    node.blame(error);
                }
                tale
            })
        };
        let quorum = self.chain.panel.quorum;
        let enough = |said: &[Said<Tale>]| self.are_enough(said);
        let said = self
            .chain
            .panel
            .ask(&question, Rest::WaitedFor, &enough)
            .await;
        if !self.are_enough(&said) {
            let gone = |said: &&Said<Tale>| said.answer.as_ref().is_err_and(RpcError::is_gone);
            if said.iter().filter(gone).count() >= quorum {
                return Err(NodeError::BlockGone {
                    height: seen.block.block.height,
                    hash: seen.block.block.hash,
                });
            }
            let what = format!("the call traces of block {}", seen.block.block);
            let show = |tale: &Tale| match tale {
                Tale::Calls(calls) => format!("{} calls to watched addresses", calls.len()),
                Tale::Unsupported => "offers none".to_owned(),
            };
            let tellers = tellers(&said);
            return Err(self.chain.panel.no_quorum(&what, tellers, &said, &show));
        }
        let told = said.into_iter().filter_map(|said| match said.answer {
            Ok(Tale::Calls(calls)) => Some(calls),
            _ => None,
        });
        let told: Vec<Vec<Inner>> = told.collect();
        Ok((!told.is_empty()).then_some(told))
    }

    /// A node that offers traces, or may, is waited for as far as k want it: one teller alone could leave things out.
    fn are_enough(&self, said: &[Said<Tale>]) -> bool {
        let nodes = self
            .chain
            .panel
            .nodes
            .iter()
            .map(|node| node.offers_traces());
        let states: Vec<Option<bool>> = nodes.collect();
        let tellers = tellers(said);
        if tellers == 0 && !states.contains(&Some(true)) {
            let unsupported = |said: &&Said<Tale>| matches!(said.answer, Ok(Tale::Unsupported));
            return said.iter().filter(unsupported).count() >= self.chain.panel.quorum;
        }
        let possible = states.iter().filter(|state| **state != Some(false)).count();
        tellers >= possible.min(self.chain.panel.quorum)
    }
}

fn tellers(said: &[Said<Tale>]) -> usize {
    let tells = |said: &&Said<Tale>| matches!(said.answer, Ok(Tale::Calls(_)));
    said.iter().filter(tells).count()
}

async fn tell(node: &Node, seen: &Seen<'_>) -> Result<Tale, RpcError> {
    let hash = seen.block.block.hash.to_string();
    let params = json!([hash, { "tracer": "callTracer" }]);
    let answer = match node.call("debug_traceBlockByHash", params).await {
        Err(error) if error.is_unsupported() => {
            node.set_offers_traces(false);
            return Ok(Tale::Unsupported);
        }
        Err(RpcError::TooLarge(_)) => {
            let calls = one_by_one(node, seen).await?;
            return Ok(Tale::Calls(watched(seen, calls)));
        }
        answer => answer?,
    };
    if answer.get() == "null" {
        return Err(RpcError::Unbelievable("no traces of this block".to_owned()));
    }
    let hashes: Vec<TransactionHash> = seen.block.transactions.iter().map(|tx| tx.hash).collect();
    let calls = block_calls(answer.get(), &hashes);
    let calls = calls.map_err(|error| RpcError::Unbelievable(error.to_string()))?;
    node.set_offers_traces(true);
    Ok(Tale::Calls(watched(seen, calls)))
}

/// For blocks whose traces are larger than an answer may be: anybody can pay for such a block, and it must not stop us.
async fn one_by_one(node: &Node, seen: &Seen<'_>) -> Result<Vec<Vec<Call>>, RpcError> {
    let mut each = Vec::with_capacity(seen.receipts.len());
    for (transaction, receipt) in seen.block.transactions.iter().zip(&seen.receipts) {
        if receipt.gas_used <= PLAIN_TRANSFER_GAS {
            each.push(Vec::new());
            continue;
        }
        let params = json!([transaction.hash.to_string(), { "tracer": "callTracer" }]);
        let answer = node.call("debug_traceTransaction", params).await?;
        let calls = calls(answer.get());
        each.push(calls.map_err(|error| RpcError::Unbelievable(error.to_string()))?);
    }
    Ok(each)
}

/// Those to watched addresses, of transactions that succeeded; the transaction itself is known without a trace.
fn watched(seen: &Seen<'_>, calls: Vec<Vec<Call>>) -> Vec<Inner> {
    let mut inner = Vec::new();
    for (transaction, (calls, receipt)) in calls.into_iter().zip(&seen.receipts).enumerate() {
        let ours = calls
            .into_iter()
            .filter(|call| receipt.has_succeeded && call.ordinal > 0 && seen.is_watched(call.to));
        inner.extend(ours.map(|call| Inner { transaction, call }));
    }
    inner
}
