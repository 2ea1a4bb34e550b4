//! Setting a sink back, so that it publishes again what came behind.

use coffer_store::sink_cursors::{self as rows, SinkCursor};

use super::SinkState;
use crate::audit::{Changes, Entry, append};
use crate::events::Outgoing;
use crate::transaction::transact;
use crate::{Answer, Caller, Error, Once, Platform};

const OPERATION: &str = "sinks.rewind";

impl Platform {
    /// Sets a sink back to `to`: everything behind that event is published again, under new ids of the broker's (the
    /// events keep theirs), or else a broker that remembers ids would swallow them.
    pub async fn rewind_sink(
        &self,
        caller: &Caller,
        sink: &str,
        to: u64,
        once: Option<Once<'_, SinkState>>,
    ) -> Result<Answer<SinkState>, Error> {
        self.guard(caller.organization)?;
        let head = self.event_head(caller.organization).await?;
        transact!(self, tx, {
            if let Some(answer) = self.replay(tx, caller, OPERATION, once.as_ref()).await? {
                return Ok(answer);
            }
            let locked = self.lock_cursor(tx, caller.organization, sink).await?;
            let (cursor, lease) = locked.ok_or_else(|| Error::not_found("sink", sink))?;
            if to > cursor.seq {
                let text = format!(
                    "{sink} has published up to {}; it can be set back, not forward",
                    cursor.seq
                );
                return Err(Error::validation("to", text));
            }
            let now = self.now_ms();
            let from = cursor.seq;
            let next = SinkCursor {
                seq: to,
                replays: cursor.replays + 1,
                updated_at_ms: now,
                version: cursor.version + 1,
                ..cursor
            };
            let state = SinkState {
                name: sink.to_owned(),
                seq: to,
                head,
                replays: next.replays,
                updated_at_ms: now,
                relaying: lease.owner.is_some() && lease.until_ms > now,
            };
            if !rows::update(tx, &self.0.seals.seal(next)).await? {
                return Err(Error::Contended(format!(
                    "the cursor of {sink} moved meanwhile"
                )));
            }
            self.keep(tx, caller, OPERATION, once.as_ref(), &state)
                .await?;
            let entry = Entry {
                organization: caller.organization,
                at_ms: now,
                actor: &caller.actor(),
                action: "sink.rewound",
                object: sink.to_owned(),
                changes: Changes::default(),
                data: serde_json::json!({ "from": from, "to": to, "replay": state.replays }),
                events: Outgoing::none(),
            };
            append(tx, &self.0.seals, entry).await?;
            Ok(Answer::Executed(state))
        })
    }
}
