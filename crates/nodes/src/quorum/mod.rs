//! Agreement of k of n: the pure functions, and asking all nodes at once.
//!
//! k never falls, whatever is down. A node counts once for one question.

mod chain;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

use crate::NodeError;
use crate::json_rpc::{Limits, Node, RpcError};

pub(crate) use chain::{Chain, Claim, Introduce, Refusal, other_genesis};

/// The answer that at least `quorum` gave. With a quorum of more than half there is at most one.
#[must_use]
pub fn agreed<T: PartialEq>(quorum: usize, answers: &[T]) -> Option<&T> {
    answers
        .iter()
        .find(|answer| support(*answer, answers) >= quorum.max(1))
}

/// How many gave the answer that most gave.
#[must_use]
pub fn largest_group<T: PartialEq>(answers: &[T]) -> usize {
    let groups = answers.iter().map(|answer| support(answer, answers));
    groups.max().unwrap_or(0)
}

fn support<T: PartialEq>(answer: &T, answers: &[T]) -> usize {
    answers.iter().filter(|other| *other == answer).count()
}

/// The highest value that at least `quorum` reach; one who claims more than everybody else moves nothing.
#[must_use]
pub fn reached<T: Ord + Copy>(quorum: usize, claims: &[T]) -> Option<T> {
    let mut claims = claims.to_vec();
    claims.sort_unstable_by(|a, b| b.cmp(a));
    claims.get(quorum.checked_sub(1)?).copied()
}

/// What one node said.
pub(crate) struct Said<T> {
    pub(crate) number: u32,
    pub(crate) answer: Result<T, RpcError>,
}

/// Whether the rest is still waited for when there are enough answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    Dropped,
    WaitedFor,
}

/// The nodes of a network, asked together.
pub(crate) struct Panel {
    pub(crate) network: String,
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) quorum: usize,
    pub(crate) limits: Limits,
}

/// What is asked of each node.
pub(crate) type Question<'a, T> =
    dyn Fn(Arc<Node>) -> BoxFuture<'a, Result<T, RpcError>> + Sync + 'a;

impl Panel {
    /// Asks every node at once, until `enough` or the deadline. The answers come in the order of the nodes.
    pub(crate) async fn ask<'a, T: Send + 'a>(
        &self,
        question: &Question<'a, T>,
        rest: Rest,
        enough: &(dyn Fn(&[Said<T>]) -> bool + Sync),
    ) -> Vec<Said<T>> {
        let deadline = Instant::now() + self.limits.deadline;
        let mut asked: FuturesUnordered<BoxFuture<'a, Said<T>>> = FuturesUnordered::new();
        for node in &self.nodes {
            let number = node.place.number;
            let answer = question(Arc::clone(node));
            asked.push(Box::pin(async move {
                let answer = timeout_at(deadline, answer).await;
                let answer = answer.unwrap_or(Err(RpcError::Timeout));
                Said { number, answer }
            }));
        }
        let mut said: Vec<Said<T>> = Vec::with_capacity(self.nodes.len());
        let mut until = None;
        while !asked.is_empty() {
            let next = match until {
                Some(until) => timeout_at(until, asked.next()).await.ok().flatten(),
                None => asked.next().await,
            };
            let Some(next) = next else { break };
            said.push(next);
            if until.is_none() && enough(&said) {
                match rest {
                    Rest::Dropped => break,
                    Rest::WaitedFor => until = Some(Instant::now() + self.grace()),
                }
            }
        }
        said.sort_by_key(|said| said.number);
        said
    }

    fn grace(&self) -> Duration {
        self.limits.grace
    }

    /// The answer that k nodes give, asked until they do.
    pub(crate) async fn agree<'a, T: PartialEq + Send + 'a>(
        &self,
        what: &str,
        question: &Question<'a, T>,
        show: &(dyn Fn(&T) -> String + Sync),
    ) -> Result<T, NodeError> {
        let enough = |said: &[Said<T>]| {
            let groups = said.iter().filter_map(|said| said.answer.as_ref().ok());
            largest_group(&groups.collect::<Vec<_>>()) >= self.quorum
        };
        let said = self.ask(question, Rest::Dropped, &enough).await;
        let answers: Vec<&T> = said
            .iter()
            .filter_map(|said| said.answer.as_ref().ok())
            .collect();
        let position = answers
            .iter()
            .position(|answer| support(answer, &answers) >= self.quorum);
        let Some(position) = position else {
            let agreeing = largest_group(&answers);
            return Err(self.no_quorum(what, agreeing, &said, show));
        };
        let mut answers = said.into_iter().filter_map(|said| said.answer.ok());
        Ok(answers.nth(position).expect("it was found there"))
    }

    pub(crate) fn no_quorum<T>(
        &self,
        what: &str,
        agreeing: usize,
        said: &[Said<T>],
        show: &(dyn Fn(&T) -> String + Sync),
    ) -> NodeError {
        metrics::counter!("coffer_quorum_failures_total", "network" => self.network.clone())
            .increment(1);
        let each = self.nodes.iter().map(|node| {
            let number = node.place.number;
            match said.iter().find(|said| said.number == number) {
                Some(Said {
                    answer: Ok(answer), ..
                }) => format!("node {number}: {}", show(answer)),
                Some(Said {
                    answer: Err(error), ..
                }) => format!("node {number}: {error}"),
                None => format!("node {number}: no answer yet"),
            }
        });
        NodeError::NoQuorum {
            what: what.to_owned(),
            agreeing,
            quorum: self.quorum,
            details: each.collect::<Vec<_>>().join("; "),
        }
    }
}

#[cfg(test)]
mod tests;
