//! Nodes that must all be on one chain: who may be asked, how high they are, and the first that gives what verifies.

use std::sync::{Arc, OnceLock};

use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use coffer_domain::network::Network;
use futures_util::future::BoxFuture;

use super::{Panel, Rest, Said, agreed, largest_group, reached};
use crate::json_rpc::{Limits, Node, Place, Random, RpcError};
use crate::{Heads, NodeError};

/// How a family's nodes say which chain they are on.
pub(crate) trait Introduce: Send + Sync {
    /// The node's genesis block, which must be the given one if there is one.
    fn introduce<'a>(
        &'a self,
        node: &'a Node,
        known: Option<BlockHash>,
    ) -> BoxFuture<'a, Result<BlockHash, RpcError>>;
}

/// The nodes of a network, and the genesis block that they share.
pub(crate) struct Chain {
    pub(crate) panel: Panel,
    /// Configured, or learned from k nodes at the first connect.
    genesis: OnceLock<BlockHash>,
    introduce: Box<dyn Introduce>,
}

/// How high a node says that it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) head: BlockHeight,
    pub(crate) finalized: Option<BlockHeight>,
}

/// Why one node did not give what was asked for.
pub(crate) enum Refusal {
    Gone,
    Failed(RpcError),
    Unbelievable(String),
}

impl From<RpcError> for Refusal {
    fn from(error: RpcError) -> Self {
        if error.is_gone() {
            return Self::Gone;
        }
        Self::Failed(error)
    }
}

pub(crate) type Attempt<'a, T> = dyn Fn(Arc<Node>) -> BoxFuture<'a, Result<T, Refusal>> + Sync + 'a;

impl Chain {
    /// Asks nobody yet. The nodes' URLs must have their secrets filled in.
    pub(crate) fn open(
        network: &Network,
        limits: Limits,
        random: &Random,
        introduce: Box<dyn Introduce>,
    ) -> Result<Self, NodeError> {
        let settings = &network.settings;
        settings
            .check()
            .map_err(|error| NodeError::Configuration(error.to_string()))?;
        let mut nodes = Vec::with_capacity(settings.nodes.len());
        for (number, node) in (1..).zip(&settings.nodes) {
            let place = Place {
                network: network.chain.to_string(),
                number,
            };
            let node = Node::open(place, &node.rpc, limits, Arc::clone(random))?;
            nodes.push(Arc::new(node));
        }
        let genesis = OnceLock::new();
        if let Some(hash) = settings.genesis {
            genesis.get_or_init(|| hash);
        }
        Ok(Self {
            panel: Panel {
                network: network.chain.to_string(),
                nodes,
                quorum: settings.quorum as usize,
                limits,
            },
            genesis,
            introduce,
        })
    }

    /// How far k nodes have come, each asked by `question`.
    pub(crate) async fn heads<'a>(
        &'a self,
        question: &super::Question<'a, Claim>,
    ) -> Result<Heads, NodeError> {
        self.connected().await?;
        let quorum = self.panel.quorum;
        let enough = |said: &[Said<Claim>]| claims(said).len() >= quorum;
        let said = self.panel.ask(question, Rest::WaitedFor, &enough).await;
        let claims = claims(&said);
        let heads: Vec<BlockHeight> = claims.iter().map(|claim| claim.head).collect();
        let finalized: Vec<BlockHeight> =
            claims.iter().filter_map(|claim| claim.finalized).collect();
        let (Some(agreed), Some(highest)) = (reached(quorum, &heads), heads.iter().max()) else {
            return Err(self.no_head(&said, claims.len()));
        };
        Ok(Heads {
            agreed,
            highest: *highest,
            finalized: reached(quorum, &finalized),
        })
    }

    fn no_head(&self, said: &[Said<Claim>], answers: usize) -> NodeError {
        let error = self
            .panel
            .no_quorum("how high the chain is", answers, said, &|claim| {
                claim.head.to_string()
            });
        let wrong = |said: &Said<Claim>| matches!(said.answer, Err(RpcError::WrongChain(_)));
        let off_chain = said.iter().filter(|said| wrong(said)).count();
        // Even if all others came back, there would be too few.
        if self.panel.nodes.len() - off_chain < self.panel.quorum {
            return NodeError::WrongChain(error.to_string());
        }
        error
    }

    /// The hash that k nodes give for a height, each asked by `question`; `None`: k have no such block.
    pub(crate) async fn hash_at<'a>(
        &'a self,
        height: BlockHeight,
        question: &super::Question<'a, Option<BlockHash>>,
    ) -> Result<Option<BlockHash>, NodeError> {
        self.connected().await?;
        let show = |hash: &Option<BlockHash>| match hash {
            Some(hash) => hash.to_string(),
            None => "no such block".to_owned(),
        };
        let what = format!("the block at height {height}");
        self.panel.agree(&what, question, &show).await
    }

    /// Asks all nodes anew. Fewer than k on one chain is an error, and the others are down until they are right.
    pub(crate) async fn ground_all(&self) -> Result<BlockHash, NodeError> {
        let known = self.genesis.get().copied();
        let question = |node: Arc<Node>| -> BoxFuture<'_, Result<BlockHash, RpcError>> {
            Box::pin(async move { self.introduce.introduce(&node, known).await })
        };
        let quorum = self.panel.quorum;
        let enough = |said: &[Said<BlockHash>]| largest_group(&answers(said)) >= quorum;
        let said = self.panel.ask(&question, Rest::WaitedFor, &enough).await;
        let answers = answers(&said);
        let Some(genesis) = agreed(quorum, &answers).copied() else {
            let agreeing = largest_group(&answers);
            let wrong =
                |said: &&Said<BlockHash>| matches!(said.answer, Err(RpcError::WrongChain(_)));
            let error =
                self.panel
                    .no_quorum("the genesis block", agreeing, &said, &ToString::to_string);
            return Err(match said.iter().find(wrong) {
                Some(_) => NodeError::WrongChain(error.to_string()),
                None => error,
            });
        };
        let genesis = *self.genesis.get_or_init(|| genesis);
        for (node, said) in self.panel.nodes.iter().filter_map(|node| {
            let said = said.iter().find(|said| said.number == node.place.number)?;
            Some((node, said))
        }) {
            match &said.answer {
                Ok(found) if *found == genesis => node.set_on_chain(true),
                Ok(found) => node.blame(&other_genesis(*found)),
                Err(error @ RpcError::WrongChain(_)) => node.blame(error),
                Err(_) => {}
            }
        }
        Ok(genesis)
    }

    /// Before every question: a node that was cut off must show its chain again.
    pub(crate) async fn ready(&self, node: &Node) -> Result<(), RpcError> {
        if node.is_on_chain() {
            return Ok(());
        }
        let Some(genesis) = self.genesis.get().copied() else {
            return Err(RpcError::WrongChain("it is not known yet which".to_owned()));
        };
        let grounded = self.introduce.introduce(node, Some(genesis)).await;
        match grounded {
            Ok(_) => {
                node.set_on_chain(true);
                Ok(())
            }
            Err(error) => {
                if matches!(error, RpcError::WrongChain(_)) {
                    node.blame(&error);
                }
                Err(error)
            }
        }
    }

    /// Learns the genesis block if it is not known: no question is asked before.
    pub(crate) async fn connected(&self) -> Result<(), NodeError> {
        if self.genesis.get().is_none() {
            self.ground_all().await?;
        }
        Ok(())
    }

    /// The first that verifies, the healthiest node first.
    pub(crate) async fn first_verified<'a, T>(
        &'a self,
        at: BlockRef,
        what: &str,
        attempt: &Attempt<'a, T>,
    ) -> Result<T, NodeError> {
        let mut nodes = self.panel.nodes.clone();
        nodes.sort_by(|a, b| b.health().total_cmp(&a.health()));
        let mut gone = 0;
        let mut unbelievable = None;
        let mut said: Vec<Said<()>> = Vec::new();
        for node in nodes {
            let number = node.place.number;
            let answer = match self.ready(&node).await {
                Ok(()) => attempt(Arc::clone(&node)).await,
                Err(error) => Err(Refusal::Failed(error)),
            };
            let error = match answer {
                Ok(found) => return Ok(found),
                Err(Refusal::Gone) => {
                    gone += 1;
                    RpcError::Unbelievable("it does not have the block".to_owned())
                }
                Err(Refusal::Failed(error)) => error,
                Err(Refusal::Unbelievable(reason)) => {
                    let error = RpcError::Unbelievable(reason.clone());
                    node.blame(&error);
                    unbelievable = Some(reason);
                    error
                }
            };
            let answer = Err(error);
            said.push(Said { number, answer });
        }
        match unbelievable {
            Some(reason) if gone < self.panel.quorum => Err(NodeError::Unverifiable {
                hash: at.hash,
                reason,
            }),
            _ if gone > 0 => Err(NodeError::BlockGone {
                height: at.height,
                hash: at.hash,
            }),
            _ => {
                let what = format!("{what} {at}");
                Err(self.panel.no_quorum(&what, 0, &said, &|()| String::new()))
            }
        }
    }
}

fn answers(said: &[Said<BlockHash>]) -> Vec<BlockHash> {
    let good = said.iter().filter_map(|said| said.answer.as_ref().ok());
    good.copied().collect()
}

fn claims(said: &[Said<Claim>]) -> Vec<Claim> {
    let good = said.iter().filter_map(|said| said.answer.as_ref().ok());
    good.copied().collect()
}

pub(crate) fn other_genesis(found: BlockHash) -> RpcError {
    RpcError::WrongChain(format!("its genesis block is {found}"))
}
