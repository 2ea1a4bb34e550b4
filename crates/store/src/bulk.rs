//! Inserting many rows: binary COPY on PostgreSQL, multi-row prepared statements on SQLite.
//!
//! A broken uniqueness rule fails the whole insert; the caller rolls back and decides anew.

use crate::db::Tx;
use crate::dialect::store_error;
use crate::{Engine, Param, StoreError};

/// SQLite's default limit on bound values in one statement.
const SQLITE_MAX_PARAMS: usize = 32_766;
/// Rows of one statement: as many of the first size as there are, then of the next. More than the first gain
/// nothing, and few sizes leave few statements to keep prepared.
const SQLITE_ROWS: [usize; 4] = [500, 64, 8, 1];
/// COPY data is sent in pieces of about this size.
const COPY_BUFFER_BYTES: usize = 256 * 1024;

/// Inserts `rows`, each with one parameter per column.
pub async fn insert<'a, R>(
    tx: &mut Tx,
    table: &str,
    columns: &[&str],
    rows: R,
) -> Result<u64, StoreError>
where
    R: ExactSizeIterator<Item = Vec<Param<'a>>>,
{
    match tx {
        Tx::Sqlite(_) => insert_values(tx, table, columns, rows).await,
        Tx::Pg(pg) => copy(pg, table, columns, rows).await,
    }
}

async fn insert_values<'a, R>(
    tx: &mut Tx,
    table: &str,
    columns: &[&str],
    mut rows: R,
) -> Result<u64, StoreError>
where
    R: ExactSizeIterator<Item = Vec<Param<'a>>>,
{
    let mut inserted = 0;
    for size in SQLITE_ROWS {
        if size * columns.len() > SQLITE_MAX_PARAMS {
            continue;
        }
        let sql = values_sql(table, columns, size);
        while rows.len() >= size {
            let params: Vec<Param<'a>> = rows.by_ref().take(size).flatten().collect();
            inserted += tx.execute(sql.clone(), &params).await?;
        }
    }
    Ok(inserted)
}

/// Parameters without a number: SQLite finds a numbered one's name by going through all before it, and
/// `sqlx` asks for each name, which made inserting quadratic in the statement's length.
fn values_sql(table: &str, columns: &[&str], rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    let columns = columns.join(", ");
    format!(
        "INSERT INTO {table} ({columns}) VALUES {}",
        vec![row; rows].join(", ")
    )
}

/// Marks for an IN list. The list is filled up with its last value to one of few lengths, so that few
/// statements are kept prepared. SQLite's marks have no number; see [`values_sql`] for why.
pub(crate) fn placeholders(engine: Engine, params: &mut Vec<Param<'_>>) -> String {
    let length = params.len().next_power_of_two();
    if let Some(last) = params.last().copied() {
        params.resize(length, last);
    }
    match engine {
        Engine::Sqlite => vec!["?"; length].join(", "),
        Engine::Postgres => {
            let marks: Vec<String> = (1..=length).map(|n| format!("${n}")).collect();
            marks.join(", ")
        }
    }
}

async fn copy<'a, R>(
    tx: &mut sqlx::Transaction<'static, sqlx::Postgres>,
    table: &str,
    columns: &[&str],
    rows: R,
) -> Result<u64, StoreError>
where
    R: Iterator<Item = Vec<Param<'a>>>,
{
    let sql = format!(
        "COPY {table} ({}) FROM STDIN (FORMAT binary)",
        columns.join(", ")
    );
    let mut sink = tx.copy_in_raw(&sql).await.map_err(store_error)?;
    let mut buffer = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    let width = i16::try_from(columns.len()).expect("a table has fewer than 32,768 columns");
    for row in rows {
        buffer.extend_from_slice(&width.to_be_bytes());
        for param in row {
            copy_field(&mut buffer, param);
        }
        if buffer.len() >= COPY_BUFFER_BYTES {
            sink.send(std::mem::take(&mut buffer))
                .await
                .map_err(store_error)?;
        }
    }
    buffer.extend_from_slice(&(-1_i16).to_be_bytes());
    sink.send(buffer).await.map_err(store_error)?;
    sink.finish().await.map_err(store_error)
}

/// One field of PostgreSQL's binary COPY format: length, then bytes; length −1 is NULL.
fn copy_field(buffer: &mut Vec<u8>, param: Param<'_>) {
    let mut put = |bytes: &[u8]| {
        let length = i32::try_from(bytes.len()).expect("a field is shorter than 2 GiB");
        buffer.extend_from_slice(&length.to_be_bytes());
        buffer.extend_from_slice(bytes);
    };
    match param {
        Param::Int(value) | Param::OptInt(Some(value)) => put(&value.to_be_bytes()),
        Param::Text(value) | Param::OptText(Some(value)) => put(value.as_bytes()),
        Param::Blob(value) | Param::OptBlob(Some(value)) => put(value),
        Param::OptInt(None) | Param::OptText(None) | Param::OptBlob(None) => {
            buffer.extend_from_slice(&(-1_i32).to_be_bytes());
        }
    }
}
