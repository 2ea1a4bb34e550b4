//! A way to PostgreSQL that goes dead in the middle of a COPY: both ends keep their connection, and nothing more of it
//! comes through. So stands a host that was stopped while it sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use sqlx::postgres::PgConnectOptions;

use crate::wire::{Passes, Way, Wire};

/// What the second chunk's transaction begins to send; the first one's comes through.
const COPY: &[u8] = b"COPY wallets (";
const FATAL: usize = 2;
/// So much of it comes through, less than a chunk has.
const BYTES: usize = 32 * 1024;

pub(super) struct DeadWire {
    /// Where the database is for whoever uses this way.
    pub(super) url: String,
    state: Arc<State>,
    _wire: Wire,
}

#[derive(Default)]
struct State {
    copies: AtomicUsize,
    is_dead: AtomicBool,
}

impl DeadWire {
    pub(super) async fn to(database_url: &str) -> Result<Self> {
        let options: PgConnectOptions = database_url.parse()?;
        let server = format!("{}:{}", options.get_host(), options.get_port());
        ensure!(
            database_url.matches(&server).count() == 1,
            "the URL does not name {server} once"
        );
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let wire = Wire::start(
            Wire::listener().await,
            server.clone(),
            move |way| match way {
                Way::ToServer => half_a_copy(Arc::clone(&shared)),
                Way::ToClient => Box::new(|_| true),
            },
        );
        Ok(Self {
            url: database_url.replacen(&server, &wire.address(), 1),
            state,
            _wire: wire,
        })
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state.is_dead.load(Ordering::SeqCst)
    }
}

fn half_a_copy(state: Arc<State>) -> Passes {
    let mut left = None;
    Box::new(move |piece| {
        let begins = left.is_none() && piece.windows(COPY.len()).any(|part| part == COPY);
        if begins && state.copies.fetch_add(1, Ordering::SeqCst) + 1 == FATAL {
            left = Some(BYTES);
        }
        match &mut left {
            None => true,
            Some(0) => {
                state.is_dead.store(true, Ordering::SeqCst);
                false
            }
            Some(left) => {
                *left = left.saturating_sub(piece.len());
                true
            }
        }
    })
}
