//! The outbox: rows that each stand for one event or for a run of them, in the order of their numbers.
//!
//! Numbers are an organization's own, without gaps; whoever appends holds the lock of the audit's head
//! ([`crate::audit::lock_head`]), so that their order is that of the commits.

use coffer_domain::event::{EventForm, EventType};
use coffer_domain::id::OrganizationId;

use crate::{Param, Row, Sealed, StoreError, Tx, bulk};

const COLUMNS: &str = "organization_id, last_seq, count, form, type, subject, at, data, seal";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    pub organization: OrganizationId,
    /// The number of the last event that the row stands for.
    pub last: u64,
    pub count: u64,
    pub form: EventForm,
    pub kind: EventType,
    /// The object's id; for a run, what it belongs to.
    pub subject: String,
    pub at_ms: i64,
    /// JSON, exactly as sealed.
    pub data: String,
}

impl EventRow {
    /// The number of its first event.
    #[must_use]
    pub fn first(&self) -> u64 {
        (self.last + 1).saturating_sub(self.count)
    }
}

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub async fn insert_many(tx: &mut Tx, rows: &[Sealed<EventRow>]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let columns: Vec<&str> = COLUMNS.split(',').map(str::trim).collect();
    let rows = rows.iter().map(|sealed| {
        let row = &sealed.value;
        vec![
            Param::Blob(row.organization.as_bytes()),
            Param::Int(int(row.last)),
            Param::Int(int(row.count)),
            Param::Text(row.form.name()),
            Param::Text(row.kind.name()),
            Param::Text(&row.subject),
            Param::Int(row.at_ms),
            Param::Text(&row.data),
            Param::Blob(&sealed.seal),
        ]
    });
    bulk::insert(tx, "events", &columns, rows).await?;
    Ok(())
}

fn read(row: &Row) -> Result<Sealed<EventRow>, StoreError> {
    Ok(Sealed {
        value: EventRow {
            organization: OrganizationId::from_bytes(row.bytes(0)?),
            last: row.u64(1)?,
            count: row.u64(2)?,
            form: row.parsed(3)?,
            kind: row.parsed(4)?,
            subject: row.text(5)?,
            at_ms: row.int(6)?,
            data: row.text(7)?,
        },
        seal: row.blob(8)?,
    })
}

/// Rows with a number above `after`, in their order; the first may begin at or before it.
pub async fn after(
    tx: &mut Tx,
    organization: OrganizationId,
    after: u64,
    limit: u32,
) -> Result<Vec<Sealed<EventRow>>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM events WHERE organization_id = $1 AND last_seq > $2 ORDER BY last_seq LIMIT $3"
    );
    let params = [
        Param::Blob(organization.as_bytes()),
        Param::Int(int(after)),
        Param::Int(i64::from(limit)),
    ];
    tx.fetch(sql, &params).await?.iter().map(read).collect()
}

/// The newest number of each organization; those without a record are missing.
pub async fn heads(tx: &mut Tx) -> Result<Vec<(OrganizationId, u64)>, StoreError> {
    let found = tx
        .fetch("SELECT organization_id, event_seq FROM audit_heads", &[])
        .await?;
    let head = |row: &Row| Ok((OrganizationId::from_bytes(row.bytes(0)?), row.u64(1)?));
    found.iter().map(head).collect()
}
