//! Transactions on PostgreSQL whose host fell silent in the middle of a statement.
//!
//! A host that was stopped, or that the network no longer reaches, keeps its row locks until its transaction ends. Between two
//! statements `idle_in_transaction_session_timeout` ends it. Within one nothing does: PostgreSQL holds every time-out back while it
//! reads a client's data, as in a COPY, and others that pass over locked rows (`SKIP LOCKED`) do not even wait. So whoever
//! is alive looks for such backends of this program, and ends those that get no further. The host learns it when it wakes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sqlx::PgPool;

use crate::tx::{bound, postgres_rows};
use crate::{Param, StoreError};

/// How long a host may say nothing in the middle of a transaction, in a statement as between two. With the pause between two
/// looks it is below a chunk's lease, so that whoever takes the lease over finds the locks free.
pub const SILENT_FOR: Duration = Duration::from_secs(20);

/// Ours, with changes or row locks, in a statement, waiting for their client; and how far a COPY among them is.
const WAITING: &str = "SELECT a.pid::bigint, a.query_start::text, COALESCE(p.bytes_processed, 0) \
    FROM pg_stat_activity AS a LEFT JOIN pg_stat_progress_copy AS p ON p.pid = a.pid \
    WHERE a.application_name = current_setting('application_name') AND a.datname = current_database() AND a.usename = current_user \
    AND a.backend_xid IS NOT NULL AND a.state = 'active' AND a.wait_event_type = 'Client'";
/// Only while it is still in that statement. A FILTER sees what passed WHERE and nothing else; in WHERE, the server might end
/// a backend before it compares.
const END: &str = "SELECT COUNT(*) FILTER (WHERE pg_terminate_backend(a.pid)) FROM pg_stat_activity AS a \
    WHERE a.pid = $1 AND a.query_start::text = $2";

/// A statement of a backend: its process and when it began.
type Statement = (i64, String);

/// What each look remembers of the one before.
pub struct SilentHosts {
    /// Of one connection, which is free when all others wait for a lock.
    pool: PgPool,
    seen: HashMap<Statement, Seen>,
}

struct Seen {
    bytes: i64,
    since: Instant,
}

impl SilentHosts {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            seen: HashMap::new(),
        }
    }

    /// Looks once, and ends transactions that have waited for their host at each look for `after`, two at least, without a
    /// byte between them; answers how many.
    pub async fn end_transactions(&mut self, after: Duration) -> Result<u64, StoreError> {
        let found = postgres_rows(bound(WAITING.into(), &[]).fetch_all(&self.pool).await)?;
        let now = Instant::now();
        let before = std::mem::take(&mut self.seen);
        let mut ended = 0;
        for row in found {
            let statement = (row.int(0)?, row.text(1)?);
            let bytes = row.int(2)?;
            let seen = before.get(&statement).filter(|seen| seen.bytes == bytes);
            let since = seen.map_or(now, |seen| seen.since);
            if seen.is_some() && now - since >= after {
                let params = [Param::Int(statement.0), Param::Text(&statement.1)];
                let done = bound(END.into(), &params).fetch_all(&self.pool).await;
                ended += postgres_rows(done)?
                    .first()
                    .map_or(Ok(0), |row| row.u64(0))?;
            } else {
                self.seen.insert(statement, Seen { bytes, since });
            }
        }
        Ok(ended)
    }
}
