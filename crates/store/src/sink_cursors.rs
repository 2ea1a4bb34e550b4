//! How far each sink has published the events of an organization, and which process does so now.

use coffer_domain::id::OrganizationId;

use crate::{Param, Row, Sealed, StoreError, Tx};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkCursor {
    pub organization: OrganizationId,
    pub sink: String,
    /// The broker has confirmed everything up to this event.
    pub seq: u64,
    /// How often a person has set it back.
    pub replays: u64,
    pub updated_at_ms: i64,
    pub version: u64,
}

/// What is stored beside a cursor, outside of its seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub owner: Option<[u8; 16]>,
    pub until_ms: i64,
    pub fence: i64,
}

const COLUMNS: &str = "organization_id, sink, seq, replays, updated_at, version, seal, lease_owner, lease_until, fence";

pub async fn find(
    tx: &mut Tx,
    organization: OrganizationId,
    sink: &str,
) -> Result<Option<(Sealed<SinkCursor>, Lease)>, StoreError> {
    one(tx, organization, sink, "").await
}

/// Like [`find`], and nobody else changes it until this transaction ends.
pub async fn lock(
    tx: &mut Tx,
    organization: OrganizationId,
    sink: &str,
) -> Result<Option<(Sealed<SinkCursor>, Lease)>, StoreError> {
    let lock = tx.engine().for_update();
    one(tx, organization, sink, lock).await
}

async fn one(
    tx: &mut Tx,
    organization: OrganizationId,
    sink: &str,
    lock: &str,
) -> Result<Option<(Sealed<SinkCursor>, Lease)>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM sink_cursors WHERE organization_id = $1 AND sink = $2{lock}"
    );
    let key = [Param::Blob(organization.as_bytes()), Param::Text(sink)];
    let row = tx.fetch_optional(sql, &key).await?;
    row.as_ref().map(read).transpose()
}

/// By name.
pub async fn of_organization(
    tx: &mut Tx,
    organization: OrganizationId,
) -> Result<Vec<(Sealed<SinkCursor>, Lease)>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM sink_cursors WHERE organization_id = $1 ORDER BY sink");
    let rows = tx
        .fetch(sql, &[Param::Blob(organization.as_bytes())])
        .await?;
    rows.iter().map(read).collect()
}

/// Stores a first cursor without a lease. Two that do so at once: the later one changes nothing.
pub async fn insert(tx: &mut Tx, sealed: &Sealed<SinkCursor>) -> Result<(), StoreError> {
    let cursor = &sealed.value;
    tx.execute(
        format!(
            "INSERT INTO sink_cursors ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, 0, 0) ON CONFLICT DO NOTHING"
        ),
        &[
            Param::Blob(cursor.organization.as_bytes()),
            Param::Text(&cursor.sink),
            Param::Int(int(cursor.seq)?),
            Param::Int(int(cursor.replays)?),
            Param::Int(cursor.updated_at_ms),
            Param::Int(int(cursor.version)?),
            Param::Blob(&sealed.seal),
        ],
    )
    .await?;
    Ok(())
}

/// Stores the next cursor if its version still follows the stored one; answers whether it did.
pub async fn update(tx: &mut Tx, sealed: &Sealed<SinkCursor>) -> Result<bool, StoreError> {
    let cursor = &sealed.value;
    let changed = tx
        .execute(
            "UPDATE sink_cursors SET seq = $1, replays = $2, updated_at = $3, version = $4, seal = $5 \
             WHERE organization_id = $6 AND sink = $7 AND version = $8",
            &[
                Param::Int(int(cursor.seq)?),
                Param::Int(int(cursor.replays)?),
                Param::Int(cursor.updated_at_ms),
                Param::Int(int(cursor.version)?),
                Param::Blob(&sealed.seal),
                Param::Blob(cursor.organization.as_bytes()),
                Param::Text(&cursor.sink),
                Param::Int(int(cursor.version)? - 1),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Gives the lease to `lease.owner`, or to nobody.
pub async fn set_lease(
    tx: &mut Tx,
    organization: OrganizationId,
    sink: &str,
    lease: &Lease,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE sink_cursors SET lease_owner = $1, lease_until = $2, fence = $3 WHERE organization_id = $4 AND sink = $5",
        &[
            Param::OptBlob(lease.owner.as_ref().map(|owner| &owner[..])),
            Param::Int(lease.until_ms),
            Param::Int(lease.fence),
            Param::Blob(organization.as_bytes()),
            Param::Text(sink),
        ],
    )
    .await?;
    Ok(())
}

fn int(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Corrupt("a number beyond 2^63".to_owned()))
}

fn read(row: &Row) -> Result<(Sealed<SinkCursor>, Lease), StoreError> {
    let sealed = Sealed {
        value: SinkCursor {
            organization: OrganizationId::from_bytes(row.bytes(0)?),
            sink: row.text(1)?,
            seq: row.u64(2)?,
            replays: row.u64(3)?,
            updated_at_ms: row.int(4)?,
            version: row.u64(5)?,
        },
        seal: row.blob(6)?,
    };
    let lease = Lease {
        owner: row.opt_bytes(7)?,
        until_ms: row.int(8)?,
        fence: row.int(9)?,
    };
    Ok((sealed, lease))
}
