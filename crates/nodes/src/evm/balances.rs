//! Balances at the end of a block, each as k nodes give it.

use std::sync::Arc;

use alloy_primitives::{Address, Bytes};
use coffer_chains::evm::abi::{self, MULTICALL3, View};
use coffer_domain::block::BlockRef;
use futures_util::future::BoxFuture;
use ruint::aliases::U256;
use serde_json::{Value, json};

use super::EvmSource;
use crate::NodeError;
use crate::json_rpc::{Call, Node, RpcError, decode};
use crate::quorum::{Rest, Said, agreed, largest_group};

/// Of one call of Multicall3: about 30,000 gas each, far below what nodes allow.
const VIEWS_PER_CALL: usize = 250;
/// Fewer are asked one by one.
const VIEWS_WORTH_A_CALL: usize = 5;

impl EvmSource {
    /// `None` stands for the chain's coin. A contract that does not answer a balance holds nothing for anybody.
    pub(super) async fn balances_at(
        &self,
        at: BlockRef,
        token: Option<Address>,
        addresses: &[Address],
    ) -> Result<Vec<U256>, NodeError> {
        if addresses.is_empty() {
            return Ok(Vec::new());
        }
        self.chain.connected().await?;
        let question = |node: Arc<Node>| -> BoxFuture<'_, Result<Vec<U256>, RpcError>> {
            Box::pin(async move {
                self.chain.ready(&node).await?;
                node_balances(&node, at, token, addresses).await
            })
        };
        let quorum = self.chain.panel.quorum;
        let enough = |said: &[Said<Vec<U256>>]| agreed_each(quorum, said, addresses.len()).is_ok();
        let said = self
            .chain
            .panel
            .ask(&question, Rest::Dropped, &enough)
            .await;
        let split = match agreed_each(quorum, &said, addresses.len()) {
            Ok(balances) => return Ok(balances),
            Err(split) => split,
        };
        if said.iter().filter(|said| is_gone(said)).count() >= quorum {
            return Err(NodeError::BlockGone {
                height: at.height,
                hash: at.hash,
            });
        }
        let what = format!("the balance of {} at block {at}", addresses[split.position]);
        let show = |balances: &Vec<U256>| balances[split.position].to_string();
        Err(self
            .chain
            .panel
            .no_quorum(&what, split.agreeing, &said, &show))
    }
}

/// The first address for which too few agree.
#[derive(Debug, PartialEq, Eq)]
struct Split {
    position: usize,
    agreeing: usize,
}

/// Address by address, so that a node that is wrong about one does not spoil the others.
fn agreed_each(
    quorum: usize,
    said: &[Said<Vec<U256>>],
    addresses: usize,
) -> Result<Vec<U256>, Split> {
    let answers: Vec<&Vec<U256>> = said
        .iter()
        .filter_map(|said| said.answer.as_ref().ok())
        .collect();
    let each = (0..addresses).map(|position| {
        let of_one: Vec<U256> = answers.iter().map(|balances| balances[position]).collect();
        agreed(quorum, &of_one).copied().ok_or_else(|| Split {
            position,
            agreeing: largest_group(&of_one),
        })
    });
    each.collect()
}

fn is_gone<T>(said: &Said<T>) -> bool {
    said.answer.as_ref().is_err_and(RpcError::is_gone)
}

/// EIP-1898: by hash, so that a node on another branch cannot mean another block.
pub(super) fn by_hash(at: BlockRef) -> Value {
    json!({ "blockHash": at.hash.to_string() })
}

pub(super) fn eth_call(view: &View, at: BlockRef) -> Call {
    let request = json!({ "to": view.target.to_string(), "data": view.data.to_string() });
    Call::new("eth_call", json!([request, by_hash(at)]))
}

async fn node_balances(
    node: &Node,
    at: BlockRef,
    token: Option<Address>,
    addresses: &[Address],
) -> Result<Vec<U256>, RpcError> {
    let mut balances = Vec::with_capacity(addresses.len());
    let mut has_multicall = addresses.len() >= VIEWS_WORTH_A_CALL;
    for some in addresses.chunks(VIEWS_PER_CALL) {
        if has_multicall {
            if let Some(several) = together(node, at, token, some).await? {
                balances.extend(several);
                continue;
            }
            has_multicall = false;
        }
        balances.extend(one_by_one(node, at, token, some).await?);
    }
    Ok(balances)
}

/// `None` where Multicall3 is not there at that block, or the node does not let it finish.
async fn together(
    node: &Node,
    at: BlockRef,
    token: Option<Address>,
    addresses: &[Address],
) -> Result<Option<Vec<U256>>, RpcError> {
    let views: Vec<View> = addresses
        .iter()
        .map(|owner| match token {
            Some(token) => abi::token_balance(token, *owner),
            None => abi::coin_balance(*owner),
        })
        .collect();
    let all = View {
        target: MULTICALL3,
        data: abi::aggregate(&views),
    };
    let call = eth_call(&all, at);
    let answer = match node.call(call.method, call.params).await {
        Err(error) if error.is_gone() => return Err(error),
        Err(RpcError::Rpc { .. }) => return Ok(None),
        answer => answer?,
    };
    let answer: Bytes = decode(&answer)?;
    let Some(results) = abi::aggregated(&answer, views.len()) else {
        return Ok(None);
    };
    let balance = |result: Option<Bytes>| result.and_then(|bytes| abi::number(&bytes));
    Ok(Some(
        results
            .into_iter()
            .map(|result| balance(result).unwrap_or(U256::ZERO))
            .collect(),
    ))
}

async fn one_by_one(
    node: &Node,
    at: BlockRef,
    token: Option<Address>,
    addresses: &[Address],
) -> Result<Vec<U256>, RpcError> {
    let calls = addresses.iter().map(|owner| match token {
        Some(token) => eth_call(&abi::token_balance(token, *owner), at),
        None => Call::new("eth_getBalance", json!([owner.to_string(), by_hash(at)])),
    });
    let calls: Vec<Call> = calls.collect();
    let answers = node.batch(&calls).await?;
    let balances = answers.into_iter().map(|answer| match answer {
        Err(error) if token.is_some() && error.is_reverted() => Ok(U256::ZERO),
        Err(error) => Err(error),
        Ok(answer) if token.is_some() => {
            let answer: Bytes = decode(&answer)?;
            Ok(abi::number(&answer).unwrap_or(U256::ZERO))
        }
        Ok(answer) => decode(&answer),
    });
    balances.collect()
}
