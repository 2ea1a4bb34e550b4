//! The cursor of a sink and the lease on it.

use coffer_domain::id::OrganizationId;
use coffer_store::Tx;
use coffer_store::sink_cursors::{self as rows, Lease, SinkCursor};

use crate::seal::{Fields, Sealable, refused};
use crate::transaction::transact;
use crate::{Error, Platform};

/// How long a relay that says nothing keeps its lease.
pub(super) const LEASE_MS: i64 = 20_000;

impl Sealable for SinkCursor {
    const TAG: &'static str = "sink cursor v1";

    fn fields(&self, fields: &mut Fields) {
        let int = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        fields
            .bytes(self.organization.as_bytes())
            .text(&self.sink)
            .int(int(self.seq))
            .int(int(self.replays))
            .int(self.updated_at_ms)
            .int(int(self.version));
    }
}

/// A cursor, and the right to move it until somebody else takes it.
pub(super) struct Claim {
    pub cursor: SinkCursor,
    owner: [u8; 16],
    fence: i64,
}

impl Platform {
    pub(super) fn open_cursor(
        &self,
        organization: OrganizationId,
        sink: &str,
        sealed: coffer_store::Sealed<SinkCursor>,
    ) -> Result<SinkCursor, Error> {
        let name = || format!("the cursor of sink {sink}");
        let cursor = self.0.seals.open(sealed, |_| name())?;
        if cursor.organization == organization && cursor.sink == sink {
            Ok(cursor)
        } else {
            Err(refused(name()))
        }
    }

    /// An older row that was put back is not told apart: it can only make events come twice.
    pub(super) async fn cursor_in(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        sink: &str,
    ) -> Result<Option<(SinkCursor, Lease)>, Error> {
        let found = rows::find(tx, organization, sink).await?;
        let opened = found.map(|(sealed, lease)| {
            Ok::<_, Error>((self.open_cursor(organization, sink, sealed)?, lease))
        });
        opened.transpose()
    }

    /// Like [`Self::cursor_in`], and nobody else moves it until this transaction ends.
    pub(super) async fn lock_cursor(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        sink: &str,
    ) -> Result<Option<(SinkCursor, Lease)>, Error> {
        let found = rows::lock(tx, organization, sink).await?;
        let opened = found.map(|(sealed, lease)| {
            Ok::<_, Error>((self.open_cursor(organization, sink, sealed)?, lease))
        });
        opened.transpose()
    }

    /// Takes the lease of a sink, unless another relay holds it.
    pub(super) async fn claim_sink(
        &self,
        organization: OrganizationId,
        sink: &str,
        owner: [u8; 16],
    ) -> Result<Option<Claim>, Error> {
        transact!(self, tx, {
            let now = self.now_ms();
            if rows::find(tx, organization, sink).await?.is_none() {
                let first = SinkCursor {
                    organization,
                    sink: sink.to_owned(),
                    seq: 0,
                    replays: 0,
                    updated_at_ms: now,
                    version: 1,
                };
                rows::insert(tx, &self.0.seals.seal(first)).await?;
            }
            let locked = self.lock_cursor(tx, organization, sink).await?;
            let (cursor, lease) =
                locked.ok_or_else(|| Error::Contended("a sink's cursor was removed".into()))?;
            if lease.owner.is_some_and(|other| other != owner) && lease.until_ms > now {
                return Ok(None);
            }
            let taken = Lease {
                owner: Some(owner),
                until_ms: now + LEASE_MS,
                fence: lease.fence + 1,
            };
            rows::set_lease(tx, organization, sink, &taken).await?;
            Ok(Some(Claim {
                cursor,
                owner,
                fence: taken.fence,
            }))
        })
    }

    /// Stores that the broker confirmed everything up to `seq`, and keeps the lease. `false`: the lease was taken over or
    /// the cursor set back; nothing was stored.
    pub(super) async fn move_sink(&self, claim: &mut Claim, seq: u64) -> Result<bool, Error> {
        let next = SinkCursor {
            seq,
            updated_at_ms: self.now_ms(),
            version: claim.cursor.version + 1,
            ..claim.cursor.clone()
        };
        let sealed = self.0.seals.seal(next);
        let moved = transact!(self, tx, {
            Ok(self.keep_lease(tx, claim, LEASE_MS).await? && rows::update(tx, &sealed).await?)
        })?;
        if moved {
            claim.cursor = sealed.value;
        }
        Ok(moved)
    }

    /// Keeps the lease for `for_ms` from now; 0 gives it back. `false`: it is no longer ours, or the cursor was set back.
    pub(super) async fn renew_sink(&self, claim: &Claim, for_ms: i64) -> Result<bool, Error> {
        transact!(self, tx, { self.keep_lease(tx, claim, for_ms).await })
    }

    async fn keep_lease(&self, tx: &mut Tx, claim: &Claim, for_ms: i64) -> Result<bool, Error> {
        let (organization, sink) = (claim.cursor.organization, claim.cursor.sink.as_str());
        let Some((cursor, lease)) = self.lock_cursor(tx, organization, sink).await? else {
            return Ok(false);
        };
        if lease.fence != claim.fence || cursor.replays != claim.cursor.replays {
            return Ok(false);
        }
        let kept = Lease {
            owner: (for_ms > 0).then_some(claim.owner),
            until_ms: self.now_ms() + for_ms,
            fence: lease.fence,
        };
        rows::set_lease(tx, organization, sink, &kept).await?;
        Ok(true)
    }
}
