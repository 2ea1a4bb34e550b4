//! What the nodes' mempools would bring: shown before a block has it, and never credited.
//!
//! Guarantees: nothing here posts to the ledger or touches a deposit; what is shown is in the mempools of k nodes that
//! are at our own tip, and pays an address that was derived again, in an asset of the allow-list, at least its minimum.
//! A look counts only while that tip is still ours: it is compared again in the transaction that stores it, under the
//! lock of the network's progress, so what a block settled is never unsettled by an answer from before it. The block's
//! own transaction says what became of a payment: included, or double-spent by another transaction; taking the block
//! back gives it back to the mempools. Two processes may look at the same network; a process killed anywhere looks again.
//! A row that was edited is refused by its seal and left alone, and never keeps a block from being taken. That it is the
//! latest version is not shown: an old one that is put back is put right by the next look or block, and no money hangs on it.
//! Deliberately not here: what nodes say (`coffer-nodes`), the states (`coffer_domain::unconfirmed`), and deposits.
//! Bounds: anybody can fill mempools at no cost, so 100 are shown per wallet and 10,000 per network at one time, and 500
//! new ones are taken per look; what is beyond is shown when there is room, and credited by its block all the same. Ended
//! ones stay for 14 days, as long as nodes keep what waits, and at most 100,000 of them.
//! Cost: see `coffer_nodes::bitcoin`; the pause after a look is ten times as long as the look took, at least the poll interval.

mod look;
mod plan;
mod read;
mod records;
mod settle;
mod store;

use std::time::{Duration, Instant};

use coffer_domain::id::NetworkId;
use tokio_util::sync::CancellationToken;

pub use read::{UnconfirmedFilter, UnconfirmedPage, UnconfirmedView};
pub(crate) use settle::Settled;

use crate::watch::tell_once;
use crate::{Error, Platform};

/// Of a network that is paused or frozen, or whose look failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
const AFTER_RACE: Duration = Duration::from_millis(20);
/// So much longer than a look is the pause after it: nodes have blocks to serve.
const PAUSE_PER_LOOK: u32 = 10;
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What one look at a network's mempools did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// So many unconfirmed deposits are new or changed; `unread` transactions come with the next looks.
    Seen { changed: usize, unread: usize },
    /// Nothing can be said now, and why.
    Waiting(String),
    /// The family's nodes offer no such view.
    Unsupported,
}

impl Platform {
    /// Looks until `stop`, or for good where there is nothing to look at.
    pub(crate) async fn mempool_loop(&self, network: NetworkId, stop: &CancellationToken) {
        let mut told = String::new();
        while !stop.is_cancelled() {
            let started = Instant::now();
            let look = tokio::select! {
                () = stop.cancelled() => return,
                look = self.look_once(network) => look,
            };
            let took = started.elapsed();
            let pause = match look {
                Ok((Looked::Unsupported, _)) => return,
                Ok((Looked::Seen { unread, .. }, poll)) => {
                    told.clear();
                    metrics::histogram!("coffer_mempool_look_seconds").record(took);
                    match unread {
                        0 => pause_after(took, poll),
                        _ => poll,
                    }
                }
                Ok((Looked::Waiting(_), poll)) => poll.max(AFTER_RACE),
                Err(Error::Contended(_)) => AFTER_RACE,
                Err(error) => {
                    tell_once(&mut told, network, format!("mempools: {error}"));
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One look, and the network's poll interval.
    async fn look_once(&self, network: NetworkId) -> Result<(Looked, Duration), Error> {
        let (row, looked) = self.look_at(network).await?;
        let poll = Duration::from_millis(u64::from(row.settings.poll_interval_ms));
        Ok((looked, poll))
    }

    /// One look at a network's mempools.
    pub async fn look_at_mempool(&self, network: NetworkId) -> Result<Looked, Error> {
        Ok(self.look_at(network).await?.1)
    }
}

fn pause_after(took: Duration, poll: Duration) -> Duration {
    let pause = took.saturating_mul(PAUSE_PER_LOOK).min(PAUSE_MAX);
    pause.max(poll)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_costly_look_is_followed_by_a_long_pause() {
        let ms = Duration::from_millis;
        assert_eq!(pause_after(ms(3), ms(500)), ms(500));
        assert_eq!(pause_after(ms(800), ms(500)), ms(8000));
        assert_eq!(pause_after(ms(20_000), ms(500)), PAUSE_MAX);
        assert_eq!(pause_after(ms(20_000), ms(600_000)), ms(600_000));
    }
}
