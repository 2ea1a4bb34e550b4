//! What a token says of itself.

use std::sync::Arc;

use alloy_primitives::{Address, Bytes};
use coffer_chains::evm::abi;
use coffer_domain::block::BlockRef;
use futures_util::future::BoxFuture;

use super::EvmSource;
use super::balances::eth_call;
use crate::json_rpc::{Answer, Node, RpcError, decode};
use crate::{NodeError, TokenFacts};

/// `None`: the contract does not say it.
type Facts = (Option<u8>, Option<String>);

impl EvmSource {
    /// At the agreed head.
    pub(super) async fn ask_facts(&self, contract: Address) -> Result<TokenFacts, NodeError> {
        let height = self.ask_heads().await?.agreed;
        let hash = self.ask_hash(height).await?;
        let hash = hash.ok_or_else(|| NodeError::NoQuorum {
            what: format!("the block at height {height}"),
            agreeing: 0,
            quorum: self.chain.panel.quorum,
            details: "it is gone again".to_owned(),
        })?;
        let at = BlockRef { height, hash };
        let question = |node: Arc<Node>| -> BoxFuture<'_, Result<Facts, RpcError>> {
            Box::pin(async move {
                self.chain.ready(&node).await?;
                node_facts(&node, at, contract).await
            })
        };
        let what = format!("the token {contract}");
        let show = |facts: &Facts| format!("{facts:?}");
        let (decimals, symbol) = self.chain.panel.agree(&what, &question, &show).await?;
        let decimals = decimals.ok_or_else(|| {
            NodeError::Configuration(format!("{contract} is no token: it has no decimals"))
        })?;
        Ok(TokenFacts { decimals, symbol })
    }
}

async fn node_facts(node: &Node, at: BlockRef, contract: Address) -> Result<Facts, RpcError> {
    let calls = [abi::decimals(contract), abi::symbol(contract)].map(|view| eth_call(&view, at));
    let mut answers = node.batch(&calls).await?.into_iter();
    let mut next = || said(answers.next().unwrap_or(Err(RpcError::Missing)));
    let decimals = next()?.and_then(|bytes| abi::number(&bytes));
    let symbol = next()?.and_then(|bytes| abi::symbol_text(&bytes));
    Ok((
        decimals.and_then(|number| u8::try_from(number).ok()),
        symbol,
    ))
}

fn said(answer: Answer) -> Result<Option<Bytes>, RpcError> {
    match answer {
        Ok(answer) => decode(&answer).map(Some),
        Err(error) if error.is_reverted() => Ok(None),
        Err(error) => Err(error),
    }
}
