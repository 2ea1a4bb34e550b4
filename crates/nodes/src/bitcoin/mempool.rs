//! What the mempools of k nodes hold: which of it pays us, and what became of what was seen before.
//!
//! A transaction is read once, from any node that has it, and only when k have it: a node that invents some makes
//! nobody read them. One that pays nobody of ours is looked at again in the next look, because an address may have
//! been issued and paid between the moment when the watched set was extended and that of the list; then its id alone
//! is kept, for as long as it is in the mempools of k nodes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use coffer_chains::bitcoin::block::Transaction;
use coffer_domain::block::{BlockRef, TransactionHash};
use coffer_domain::movement::Movement;
use coffer_domain::unconfirmed::Sight;
use futures_util::future::BoxFuture;

use super::BitcoinSource;
use super::observe::{incoming, native};
use super::pools::{NodePool, Told, read};
use crate::json_rpc::{Node, RpcError};
use crate::quorum::{Rest, Said};
use crate::{Mempool, NodeError, Pooled, Scope, Tracked};

/// Transactions read in one look; the others come with the next.
const READ_MAX: usize = 5000;

/// What was read of the mempools so far. It may be lost at any time; then everything is read again.
#[derive(Default)]
pub(super) struct Read {
    /// Those that pay nobody of ours.
    others: HashSet<TransactionHash>,
    /// Those of the last look that paid nobody of ours at that time.
    fresh: Vec<Transaction>,
    /// By id.
    ours: HashMap<TransactionHash, Transaction>,
}

impl Read {
    /// Forgets what fewer than k nodes have.
    fn retain(&mut self, pooled: &HashSet<TransactionHash>) {
        self.others.retain(|hash| pooled.contains(hash));
        self.fresh.retain(|one| pooled.contains(&one.hash));
        self.ours.retain(|hash, _| pooled.contains(hash));
    }

    fn unread(&self, pooled: &HashSet<TransactionHash>) -> Vec<TransactionHash> {
        let fresh: HashSet<TransactionHash> = self.fresh.iter().map(|one| one.hash).collect();
        let is_read = |hash: &TransactionHash| {
            self.others.contains(hash) || self.ours.contains_key(hash) || fresh.contains(hash)
        };
        pooled
            .iter()
            .filter(|hash| !is_read(hash))
            .copied()
            .collect()
    }

    /// Parts what pays us from what does not: what was not ours in the last look either never will be.
    fn take(&mut self, new: Vec<Transaction>, is_ours: &dyn Fn(&Transaction) -> bool) {
        for transaction in std::mem::take(&mut self.fresh) {
            if is_ours(&transaction) {
                self.ours.insert(transaction.hash, transaction);
            } else {
                self.others.insert(transaction.hash);
            }
        }
        for transaction in new {
            if is_ours(&transaction) {
                self.ours.insert(transaction.hash, transaction);
            } else {
                self.fresh.push(transaction);
            }
        }
    }
}

impl BitcoinSource {
    pub(super) async fn look(
        &self,
        tip: BlockRef,
        scope: &Scope<'_>,
        tracked: &[Tracked],
    ) -> Result<Mempool, NodeError> {
        let Some(asset) = native(scope) else {
            return Ok(Mempool {
                sights: vec![Sight::Unknown; tracked.len()],
                ..Mempool::default()
            });
        };
        let pools = self.pools(tip, tracked).await?;
        let quorum = self.chain.panel.quorum;
        let pooled = held_by(quorum, &pools);
        let mut own = self.read.lock().await;
        own.retain(&pooled);
        let mut unread = own.unread(&pooled);
        let left = unread.len().saturating_sub(READ_MAX);
        unread.truncate(READ_MAX);
        let movements = |transaction: &Transaction| -> Vec<Movement> {
            incoming(transaction, scope, asset).collect()
        };
        let new = self.read_all(&pools, unread).await;
        own.take(new, &|transaction| {
            incoming(transaction, scope, asset).next().is_some()
        });
        let mut found: Vec<Pooled> = own
            .ours
            .values()
            .map(|transaction| Pooled {
                transaction: transaction.hash,
                inputs: transaction.spends.clone(),
                movements: movements(transaction),
            })
            .collect();
        found.sort_unstable_by_key(|one| one.transaction);
        Ok(Mempool {
            found,
            sights: tracked
                .iter()
                .map(|one| sight(quorum, &pools, one))
                .collect(),
            unread: left,
        })
    }

    /// The mempools of at least k nodes that are at `tip`.
    async fn pools(
        &self,
        tip: BlockRef,
        tracked: &[Tracked],
    ) -> Result<Vec<(u32, NodePool)>, NodeError> {
        self.chain.connected().await?;
        let question = |node: Arc<Node>| -> BoxFuture<'_, Result<Told, RpcError>> {
            Box::pin(async move { self.pool_of(&node, tip, tracked).await })
        };
        let panel = &self.chain.panel;
        let has_pool = |said: &&Said<Told>| matches!(said.answer, Ok(Told::Pool(_)));
        let enough = |said: &[Said<Told>]| said.iter().filter(has_pool).count() >= panel.quorum;
        let said = panel.ask(&question, Rest::WaitedFor, &enough).await;
        if said.iter().filter(has_pool).count() < panel.quorum {
            let answered = said.iter().filter(|said| said.answer.is_ok()).count();
            if answered >= panel.quorum {
                return Err(NodeError::Elsewhere {
                    height: tip.height,
                    hash: tip.hash,
                });
            }
            let show = |told: &Told| match told {
                Told::Pool(pool) => format!("{} transactions", pool.held.len()),
                Told::Elsewhere => "it is at another block".to_owned(),
            };
            return Err(panel.no_quorum("what waits for a block", answered, &said, &show));
        }
        let pools = said.into_iter().filter_map(|said| match said.answer {
            Ok(Told::Pool(pool)) => Some((said.number, pool)),
            _ => None,
        });
        Ok(pools.collect())
    }

    /// From the healthiest node first; what one does not give is asked of the next that has it. What nobody gives is
    /// asked for again in the next look.
    async fn read_all(
        &self,
        pools: &[(u32, NodePool)],
        mut wanted: Vec<TransactionHash>,
    ) -> Vec<Transaction> {
        let mut nodes = self.chain.panel.nodes.clone();
        nodes.sort_by(|a, b| b.health().total_cmp(&a.health()));
        let mut transactions = Vec::new();
        for node in nodes {
            let number = node.place.number;
            let Some((_, pool)) = pools.iter().find(|(of, _)| *of == number) else {
                continue;
            };
            let here: Vec<TransactionHash> = wanted
                .iter()
                .filter(|hash| pool.held.contains(hash))
                .copied()
                .collect();
            if here.is_empty() {
                continue;
            }
            if let Ok(read) = read(&node, &here).await {
                let got: HashSet<TransactionHash> = read.iter().map(|one| one.hash).collect();
                wanted.retain(|hash| !got.contains(hash));
                transactions.extend(read);
            }
        }
        transactions
    }
}

/// What at least `quorum` nodes have.
fn held_by(quorum: usize, pools: &[(u32, NodePool)]) -> HashSet<TransactionHash> {
    let mut nodes: HashMap<TransactionHash, usize> = HashMap::new();
    for hash in pools.iter().flat_map(|(_, pool)| &pool.held) {
        *nodes.entry(*hash).or_default() += 1;
    }
    nodes.retain(|_, count| *count >= quorum);
    nodes.into_keys().collect()
}

/// What at least `quorum` nodes say of a transaction.
fn sight(quorum: usize, pools: &[(u32, NodePool)], tracked: &Tracked) -> Sight {
    let has = |pool: &NodePool| pool.held.contains(&tracked.transaction);
    let without: Vec<&NodePool> = pools
        .iter()
        .map(|(_, pool)| pool)
        .filter(|pool| !has(pool))
        .collect();
    if pools.len() - without.len() >= quorum {
        return Sight::Pooled;
    }
    if without.len() < quorum {
        return Sight::Unknown;
    }
    let mut named: HashMap<TransactionHash, usize> = HashMap::new();
    for pool in without {
        let spenders = tracked
            .inputs
            .iter()
            .filter_map(|input| pool.spenders.get(input));
        let spenders: HashSet<&TransactionHash> = spenders.collect();
        for by in spenders {
            *named.entry(*by).or_default() += 1;
        }
    }
    named.retain(|by, count| *count >= quorum && *by != tracked.transaction);
    let by = named.into_keys().min();
    by.map_or(Sight::Gone, Sight::Replaced)
}
