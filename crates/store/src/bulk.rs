//! Many rows at once: inserting (binary COPY on PostgreSQL, multi-row prepared statements on SQLite), changing
//! and fetching by key (arrays on PostgreSQL, lists of values on SQLite).
//!
//! A broken uniqueness rule fails the whole insert; the caller rolls back and decides anew.

use std::sync::Arc;

use rusqlite::types::Value;
use sqlx::{AssertSqlSafe, Postgres};

use crate::db::Engine;
use crate::dialect::postgres_error;
use crate::tx::{On, Tx, postgres_rows};
use crate::{Param, Row, StoreError};

/// SQLite's default limit on bound values in one statement.
const SQLITE_MAX_PARAMS: usize = 32_766;
/// Rows of one statement: as many of the first size as there are, then of the next. More than the first gain
/// nothing, and few sizes leave few statements to keep prepared.
const SQLITE_ROWS: [usize; 4] = [500, 64, 8, 1];
/// Keys asked for in one statement.
const KEYS_PER_QUERY: usize = 500;
/// Stands in a statement for the rows given with it: a table `k` of `column1`, `column2`, …
pub const KEYS: &str = "{keys}";
/// COPY data is sent in pieces of about this size.
const COPY_BUFFER_BYTES: usize = 256 * 1024;

/// Rows ready to be inserted. Whatever needs no transaction was done: a transaction that inserts them holds its locks, on
/// SQLite the one writer, for no longer than the database takes.
pub struct Insertion(Ready);

enum Ready {
    Sqlite(Vec<(Arc<str>, Vec<Value>)>),
    /// The statement, and its data in pieces.
    Postgres(String, Vec<Vec<u8>>),
}

impl Insertion {
    /// From rows with one parameter per column.
    pub fn of<'a, R>(engine: Engine, table: &str, columns: &[&str], rows: R) -> Self
    where
        R: ExactSizeIterator<Item = Vec<Param<'a>>>,
    {
        match engine {
            Engine::Sqlite => Self(Ready::Sqlite(statements(table, columns, rows))),
            Engine::Postgres => {
                let sql = format!(
                    "COPY {table} ({}) FROM STDIN (FORMAT binary)",
                    columns.join(", ")
                );
                Self(Ready::Postgres(sql, copy_data(columns.len(), rows)))
            }
        }
    }

    /// Answers how many rows were inserted.
    pub async fn run(&self, tx: &mut Tx) -> Result<u64, StoreError> {
        match (&self.0, &mut tx.on) {
            (Ready::Sqlite(statements), On::Sqlite(tx)) => {
                let mut inserted = 0;
                for (sql, values) in statements {
                    inserted += tx.execute(sql, values).await?;
                }
                Ok(inserted)
            }
            (Ready::Postgres(sql, pieces), On::Pg(tx)) => {
                let mut sink = tx.copy_in_raw(sql).await.map_err(postgres_error)?;
                for piece in pieces {
                    sink.send(piece.as_slice()).await.map_err(postgres_error)?;
                }
                sink.finish().await.map_err(postgres_error)
            }
            _ => Err(StoreError::Other(
                "rows made ready for one engine were given to the other".to_owned(),
            )),
        }
    }
}

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
    let insertion = Insertion::of(tx.engine(), table, columns, rows);
    insertion.run(tx).await
}

fn statements<'a, R>(table: &str, columns: &[&str], mut rows: R) -> Vec<(Arc<str>, Vec<Value>)>
where
    R: ExactSizeIterator<Item = Vec<Param<'a>>>,
{
    let mut statements: Vec<(Arc<str>, Vec<Value>)> = Vec::new();
    let fits = |size: &&usize| **size * columns.len() <= SQLITE_MAX_PARAMS;
    while rows.len() > 0 {
        let size = SQLITE_ROWS
            .iter()
            .filter(fits)
            .find(|size| rows.len() >= **size);
        // The few that are left go in one: a wallet's addresses cost no statement each.
        let size = size.copied().filter(|size| *size > 1).unwrap_or(rows.len());
        let rows: Vec<Vec<Param<'a>>> = rows.by_ref().take(size).collect();
        let (sql, params) = values_of(table, columns, &rows);
        // Most have the text of the one before.
        let sql = match statements.last() {
            Some((last, _)) if **last == sql => Arc::clone(last),
            _ => Arc::from(sql),
        };
        statements.push((sql, params.into_iter().map(owned).collect()));
    }
    statements
}

fn owned(param: Param<'_>) -> Value {
    match param {
        Param::Int(value) | Param::OptInt(Some(value)) => Value::Integer(value),
        Param::Text(value) | Param::OptText(Some(value)) => Value::Text(value.to_owned()),
        Param::Blob(value) | Param::OptBlob(Some(value)) => Value::Blob(value.to_vec()),
        Param::OptInt(None) | Param::OptText(None) | Param::OptBlob(None) => Value::Null,
    }
}

/// One INSERT with its parameters. A column that has the same value in all rows is bound once: the cost of a
/// row is mostly that of its parameters, and most columns of a batch's wallets are the batch's.
fn values_of<'a>(
    table: &str,
    columns: &[&str],
    rows: &[Vec<Param<'a>>],
) -> (String, Vec<Param<'a>>) {
    let first = rows.first().map_or(&[][..], |row| &row[..]);
    let varying: Vec<usize> = (0..first.len())
        .filter(|at| rows.iter().any(|row| row[*at] != first[*at]))
        .collect();
    if varying.is_empty() || varying.len() == first.len() {
        return (values_sql(table, columns, rows.len()), rows.concat());
    }
    let mut selected = Vec::with_capacity(first.len());
    let mut params = Vec::with_capacity(first.len() + varying.len() * rows.len());
    let mut number = 0;
    for (at, param) in first.iter().enumerate() {
        if varying.contains(&at) {
            number += 1;
            selected.push(format!("v.column{number}"));
        } else {
            selected.push("?".to_owned());
            params.push(*param);
        }
    }
    for row in rows {
        params.extend(varying.iter().map(|at| row[*at]));
    }
    let marks = format!("({})", vec!["?"; varying.len()].join(", "));
    let sql = format!(
        "INSERT INTO {table} ({}) SELECT {} FROM (VALUES {}) AS v",
        columns.join(", "),
        selected.join(", "),
        vec![marks; rows.len()].join(", ")
    );
    (sql, params)
}

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

/// The data of a binary COPY, in pieces.
fn copy_data<'a>(width: usize, rows: impl Iterator<Item = Vec<Param<'a>>>) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut buffer = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    let width = i16::try_from(width).expect("a table has fewer than 32,768 columns");
    for row in rows {
        buffer.extend_from_slice(&width.to_be_bytes());
        for param in row {
            copy_field(&mut buffer, param);
        }
        if buffer.len() >= COPY_BUFFER_BYTES {
            let next = Vec::with_capacity(buffer.len() + buffer.len() / 8);
            pieces.push(std::mem::replace(&mut buffer, next));
        }
    }
    buffer.extend_from_slice(&(-1_i16).to_be_bytes());
    pieces.push(buffer);
    pieces
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

/// Changes rows, each given as id, the version it must still have, and a value per column. Answers how many
/// were changed; whoever gave more has lost a race.
pub async fn update<'a, R>(
    tx: &mut Tx,
    table: &str,
    columns: &[&str],
    rows: R,
) -> Result<u64, StoreError>
where
    R: ExactSizeIterator<Item = Vec<Param<'a>>>,
{
    let set: Vec<String> = (3..)
        .zip(columns)
        .map(|(number, column)| format!("{column} = k.column{number}"))
        .collect();
    let sql = format!(
        "UPDATE {table} SET {} FROM {KEYS} WHERE {table}.id = k.column1 AND {table}.version = k.column2",
        set.join(", ")
    );
    let mut changed = 0;
    let mut rows = rows;
    while let Some(part) = part(tx.engine(), columns.len() + 2, &mut rows) {
        changed += match &mut tx.on {
            On::Sqlite(_) => {
                let (sql, params) = with_values(&sql, &part);
                tx.execute(sql, &params).await?
            }
            On::Pg(pg) => with_arrays(&sql, &part)
                .execute(&mut **pg)
                .await
                .map_err(postgres_error)?
                .rows_affected(),
        };
    }
    Ok(changed)
}

/// Runs a SELECT that joins [`KEYS`].
pub async fn fetch_joined(
    tx: &mut Tx,
    sql: &str,
    keys: Vec<Vec<Param<'_>>>,
) -> Result<Vec<Row>, StoreError> {
    let width = keys.first().map_or(1, Vec::len);
    let mut found = Vec::with_capacity(keys.len());
    let mut rows = keys.into_iter();
    while let Some(part) = part(tx.engine(), width, &mut rows) {
        match &mut tx.on {
            On::Sqlite(_) => {
                let (sql, params) = with_values(sql, &part);
                found.extend(tx.fetch(sql, &params).await?);
            }
            On::Pg(pg) => {
                let rows = with_arrays(sql, &part).fetch_all(&mut **pg).await;
                found.extend(postgres_rows(rows)?);
            }
        }
    }
    Ok(found)
}

/// Runs a SELECT that ends in the name of a column of bytes, for the rows in which it is one of `keys`.
pub async fn fetch_in(tx: &mut Tx, select: &str, keys: &[&[u8]]) -> Result<Vec<Row>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::with_capacity(keys.len());
    match &mut tx.on {
        On::Sqlite(_) => {
            for keys in keys.chunks(KEYS_PER_QUERY) {
                let mut params: Vec<Param<'_>> = keys.iter().map(|key| Param::Blob(key)).collect();
                // Filled up with the last one, so that few statements are kept prepared.
                let length = params.len().next_power_of_two();
                params.resize(length, params[params.len() - 1]);
                let marks = vec!["?"; length].join(", ");
                found.extend(tx.fetch(format!("{select} IN ({marks})"), &params).await?);
            }
        }
        On::Pg(pg) => {
            let sql = format!("{select} = ANY($1)");
            let query = sqlx::query::<Postgres>(AssertSqlSafe(sql)).bind(keys);
            found.extend(postgres_rows(query.fetch_all(&mut **pg).await)?);
        }
    }
    Ok(found)
}

/// The rows of the next statement: on PostgreSQL all, on SQLite one of few lengths.
fn part<'a>(
    engine: Engine,
    width: usize,
    rows: &mut impl ExactSizeIterator<Item = Vec<Param<'a>>>,
) -> Option<Vec<Vec<Param<'a>>>> {
    let left = rows.len();
    let size = match engine {
        Engine::Postgres => left,
        Engine::Sqlite => SQLITE_ROWS
            .into_iter()
            .find(|size| *size <= left && size * width <= SQLITE_MAX_PARAMS)
            .unwrap_or(0),
    };
    (size > 0).then(|| rows.by_ref().take(size).collect())
}

fn with_values<'a>(sql: &str, rows: &[Vec<Param<'a>>]) -> (String, Vec<Param<'a>>) {
    let row = format!(
        "({})",
        vec!["?"; rows.first().map_or(0, Vec::len)].join(", ")
    );
    let values = format!("(VALUES {}) AS k", vec![row; rows.len()].join(", "));
    (sql.replacen(KEYS, &values, 1), rows.concat())
}

type PgQuery = sqlx::query::Query<'static, Postgres, sqlx::postgres::PgArguments>;

/// One array for each column; its type is that of the first row's value.
fn with_arrays(sql: &str, rows: &[Vec<Param<'_>>]) -> PgQuery {
    let first = rows.first().map_or(&[][..], |row| &row[..]);
    let (mut arrays, mut names) = (Vec::new(), Vec::new());
    for (number, param) in (1..).zip(first) {
        let kind = match param {
            Param::Int(_) | Param::OptInt(_) => "bigint",
            Param::Text(_) | Param::OptText(_) => "text",
            Param::Blob(_) | Param::OptBlob(_) => "bytea",
        };
        arrays.push(format!("${number}::{kind}[]"));
        names.push(format!("column{number}"));
    }
    let source = format!("UNNEST({}) AS k({})", arrays.join(", "), names.join(", "));
    let mut query = sqlx::query(AssertSqlSafe(sql.replacen(KEYS, &source, 1)));
    for (at, param) in first.iter().enumerate() {
        let column = rows.iter().map(|row| row[at]);
        query = match param {
            Param::Int(_) | Param::OptInt(_) => query.bind(column.map(int).collect::<Vec<_>>()),
            Param::Text(_) | Param::OptText(_) => query.bind(column.map(text).collect::<Vec<_>>()),
            Param::Blob(_) | Param::OptBlob(_) => query.bind(column.map(blob).collect::<Vec<_>>()),
        };
    }
    query
}

fn int(param: Param<'_>) -> Option<i64> {
    match param {
        Param::Int(value) => Some(value),
        Param::OptInt(value) => value,
        _ => None,
    }
}

fn text(param: Param<'_>) -> Option<&str> {
    match param {
        Param::Text(value) => Some(value),
        Param::OptText(value) => value,
        _ => None,
    }
}

fn blob(param: Param<'_>) -> Option<&[u8]> {
    match param {
        Param::Blob(value) => Some(value),
        Param::OptBlob(value) => value,
        _ => None,
    }
}
