//! How many connections there are, and which one goes when there are too many.
//!
//! A flood of connections that send nothing, or their headers byte by byte, must not keep real
//! clients out until its time-outs strike. At the limit the oldest connection that has not yet
//! sent one whole request is closed to make room; one that has is never closed for another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

pub(super) struct Connections {
    room: Arc<Semaphore>,
    silent: Arc<Silent>,
}

#[derive(Default)]
struct Silent {
    /// By order of arrival.
    queue: Mutex<(u64, BTreeMap<u64, CancellationToken>)>,
}

impl Silent {
    fn enter(&self) -> (u64, CancellationToken) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.0 += 1;
        let arrival = queue.0;
        let cut = CancellationToken::new();
        queue.1.insert(arrival, cut.clone());
        (arrival, cut)
    }

    fn leave(&self, arrival: u64) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.1.remove(&arrival);
    }

    fn cut_oldest(&self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cut)) = queue.1.pop_first() {
            cut.cancel();
        }
    }
}

/// One connection's place; dropped with it.
pub(super) struct Place {
    arrival: u64,
    cut: CancellationToken,
    silent: Arc<Silent>,
    _room: OwnedSemaphorePermit,
}

impl Place {
    /// The connection has sent a whole request head: it is a client.
    pub(super) fn has_spoken(&self) {
        self.silent.leave(self.arrival);
    }

    pub(super) fn cut(&self) -> CancellationToken {
        self.cut.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.silent.leave(self.arrival);
    }
}

impl Connections {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new(limit)),
            silent: Arc::default(),
        }
    }

    /// Waits for room, after having made some if any connection may be closed for it.
    pub(super) async fn place(&self) -> Place {
        if self.room.available_permits() == 0 {
            metrics::counter!("coffer_http_connections_cut_total").increment(1);
            self.silent.cut_oldest();
        }
        let room = Arc::clone(&self.room)
            .acquire_owned()
            .await
            .expect("this semaphore is never closed");
        let (arrival, cut) = self.silent.enter();
        Place {
            arrival,
            cut,
            silent: Arc::clone(&self.silent),
            _room: room,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_silent_connection_makes_room() {
        let connections = Connections::new(2);
        let speaking = connections.place().await;
        speaking.has_spoken();
        let silent = connections.place().await;
        let cut = silent.cut();
        let (third, ()) = tokio::join!(connections.place(), async {
            cut.cancelled().await;
            drop(silent);
        });
        assert!(!speaking.cut().is_cancelled() && !third.cut().is_cancelled());
    }
}
