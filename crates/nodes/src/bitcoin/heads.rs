//! How far the chain has come, and which block stands at a height.

use std::ops::RangeInclusive;
use std::sync::Arc;

use coffer_chains::bitcoin::block::has_least_work;
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use futures_util::future::BoxFuture;
use serde_json::json;

use super::BitcoinSource;
use super::connect::{Info, check_name, hash};
use crate::json_rpc::{Answer, Call, Node, RpcError, decode};
use crate::quorum::{Claim, Rest, Said, agreed};
use crate::{Heads, NodeError};

/// What a node says of a height; `None`: that it has no block there.
type Told = Option<BlockHash>;

/// The code with which it says so.
const INVALID_PARAMETER: i64 = -8;

impl BitcoinSource {
    pub(super) async fn ask_heads(&self) -> Result<Heads, NodeError> {
        let question = |node: Arc<Node>| -> BoxFuture<'_, Result<Claim, RpcError>> {
            Box::pin(async move { self.claim(&node).await })
        };
        self.chain.heads(&question).await
    }

    async fn claim(&self, node: &Node) -> Result<Claim, RpcError> {
        self.chain.ready(node).await?;
        let info: Info = decode(&node.call("getblockchaininfo", json!([])).await?)?;
        // A balancer may send us to another program without any cut that we would notice.
        if let Err(error) = check_name(&info, self.network) {
            node.set_on_chain(false);
            node.blame(&error);
            return Err(error);
        }
        let head = BlockHeight(info.blocks);
        node.set_head(head);
        Ok(Claim {
            head,
            finalized: None,
        })
    }

    pub(super) async fn ask_hash(
        &self,
        height: BlockHeight,
    ) -> Result<Option<BlockHash>, NodeError> {
        let question = |node: Arc<Node>| -> BoxFuture<'_, Result<Option<BlockHash>, RpcError>> {
            Box::pin(async move { self.hash_at(&node, height).await })
        };
        self.chain.hash_at(height, &question).await
    }

    /// Many heights in one request to each node, so that blocks that are caught up with cost one more exchange for
    /// many. That each names the one before it is seen when they are fetched.
    pub(super) async fn ask_hashes(
        &self,
        heights: RangeInclusive<u64>,
    ) -> (Vec<BlockRef>, Option<NodeError>) {
        if let Err(error) = self.chain.connected().await {
            return (Vec::new(), Some(error));
        }
        let all: Vec<BlockHeight> = heights.map(BlockHeight).collect();
        let asked: &[BlockHeight] = &all;
        let question = |node: Arc<Node>| -> BoxFuture<'_, Result<Vec<Told>, RpcError>> {
            Box::pin(async move { self.hashes_at(&node, asked).await })
        };
        let panel = &self.chain.panel;
        let quorum = panel.quorum;
        let enough = |said: &[Said<Vec<Told>>]| agreed_in_a_row(quorum, said).len() == all.len();
        let said = panel.ask(&question, Rest::Dropped, &enough).await;
        let mut refs = Vec::with_capacity(all.len());
        for (height, told) in all.iter().zip(agreed_in_a_row(quorum, &said)) {
            // What k nodes do not have yet ends the row.
            let Some(hash) = told else {
                return (refs, None);
            };
            refs.push(BlockRef {
                height: *height,
                hash,
            });
        }
        let Some(height) = all.get(refs.len()) else {
            return (refs, None);
        };
        let position = refs.len();
        let show = |told: &Vec<Told>| match told[position] {
            Some(hash) => hash.to_string(),
            None => "no such block".to_owned(),
        };
        let what = format!("the block at height {height}");
        let error = panel.no_quorum(&what, 0, &said, &show);
        (refs, Some(error))
    }

    async fn hashes_at(&self, node: &Node, heights: &[BlockHeight]) -> Result<Vec<Told>, RpcError> {
        self.chain.ready(node).await?;
        let calls = heights
            .iter()
            .map(|height| Call::new("getblockhash", json!([height.0])));
        let calls: Vec<Call> = calls.collect();
        let answers = node.batch(&calls).await?.into_iter();
        let told = answers.zip(heights);
        told.map(|(answer, height)| self.believed(node, *height, answer))
            .collect()
    }

    async fn hash_at(&self, node: &Node, height: BlockHeight) -> Result<Told, RpcError> {
        self.chain.ready(node).await?;
        let answer = node.call("getblockhash", json!([height.0])).await;
        self.believed(node, height, answer)
    }

    /// The hash itself shows the least work that it stands for.
    fn believed(&self, node: &Node, height: BlockHeight, answer: Answer) -> Result<Told, RpcError> {
        let answer = match answer {
            Err(RpcError::Rpc {
                code: INVALID_PARAMETER,
                ..
            }) => return Ok(None),
            answer => answer?,
        };
        let hash = hash(&answer)?;
        if has_least_work(hash, self.network) {
            return Ok(Some(hash));
        }
        let reason = format!("its block {height} has less work than the network takes");
        let error = RpcError::Unbelievable(reason);
        node.blame(&error);
        Err(error)
    }
}

/// What k nodes say of each height, up to the first at which too few agree.
fn agreed_in_a_row(quorum: usize, said: &[Said<Vec<Told>>]) -> Vec<Told> {
    let answers: Vec<&Vec<Told>> = said
        .iter()
        .filter_map(|said| said.answer.as_ref().ok())
        .collect();
    let longest = answers.iter().map(|told| told.len()).max().unwrap_or(0);
    let at = |position: usize| {
        let told = answers
            .iter()
            .filter_map(|told| told.get(position).copied());
        agreed(quorum, &told.collect::<Vec<_>>()).copied()
    };
    (0..longest).map_while(at).collect()
}
