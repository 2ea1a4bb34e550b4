//! Asking for a rescan, and listing them.

use coffer_domain::block::BlockHeight;
use coffer_domain::id::{NetworkId, RescanId};
use coffer_store::blocks;
use coffer_store::rescans::{self as rows, Rescan};
use serde_json::json;

use crate::audit::{Changes, Entry, append};
use crate::events::Outgoing;
use crate::transaction::transact;
use crate::{Answer, Caller, Error, Once, Platform};

/// Rescans of one network that may be open at once.
const OPEN_MAX: usize = 16;
const LISTED: u32 = 100;

impl Platform {
    /// Has the blocks of `first..=last` read again in the background. The range must have been followed.
    pub async fn request_rescan(
        &self,
        caller: &Caller,
        network: NetworkId,
        (first, last): (BlockHeight, BlockHeight),
        once: Option<Once<'_, Rescan>>,
    ) -> Result<Answer<Rescan>, Error> {
        self.network(caller, network).await?;
        let id = {
            let (ms, random) = self.moment()?;
            RescanId::new_v7(ms, random)
        };
        transact!(self, tx, {
            if let Some(answer) = self
                .replay(tx, caller, "networks.rescan", once.as_ref())
                .await?
            {
                return Ok(answer);
            }
            let tip = self.progress_in(tx, network).await?.tip;
            let start = blocks::first_height(tx, network).await?;
            let covered = start
                .zip(tip)
                .filter(|(start, tip)| *start <= first && first <= last && last <= tip.height);
            if covered.is_none() {
                let range = match (start, tip) {
                    (Some(start), Some(tip)) => format!("{start} to {}", tip.height),
                    _ => "none yet".to_owned(),
                };
                let message = format!("give a range within the blocks that were taken ({range})");
                return Err(Error::validation("first", message));
            }
            let listed = rows::of_network(tx, network, LISTED).await?;
            let open = listed
                .iter()
                .filter(|rescan| rescan.finished_at_ms.is_none());
            if open.count() >= OPEN_MAX {
                let message = format!("{OPEN_MAX} rescans of this network wait already");
                return Err(Error::StateConflict(message));
            }
            let rescan = Rescan {
                id,
                network,
                first,
                last,
                next: first,
                blocks_differing: 0,
                deposits_found: 0,
                deposits_unexplained: 0,
                reason: None,
                requested_by: caller.key,
                created_at_ms: self.now_ms(),
                finished_at_ms: None,
            };
            rows::insert(tx, &rescan).await?;
            self.keep(tx, caller, "networks.rescan", once.as_ref(), &rescan)
                .await?;
            let entry = Entry {
                organization: caller.organization,
                at_ms: self.now_ms(),
                actor: &caller.actor(),
                action: "rescan.requested",
                object: rescan.id.to_string(),
                changes: Changes::default(),
                data: json!({ "network": network.to_string(), "first": first.0, "last": last.0 }),
                events: Outgoing::none(),
            };
            append(tx, &self.0.seals, entry).await?;
            Ok(Answer::Executed(rescan))
        })
    }

    /// A network's rescans, the latest first.
    pub async fn rescans(&self, caller: &Caller, network: NetworkId) -> Result<Vec<Rescan>, Error> {
        self.network(caller, network).await?;
        let mut tx = self.0.db.read().await?;
        Ok(rows::of_network(&mut tx, network, LISTED).await?)
    }
}
