//! Parameters and rows in the three types that the schema uses on both engines: integer, text, bytes.

use rusqlite::types::{FromSql, Value, ValueRef};
use sqlx::postgres::PgRow;

use crate::StoreError;

/// One bound value. PostgreSQL wants a type even for NULL, hence the optional forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param<'a> {
    Int(i64),
    OptInt(Option<i64>),
    Text(&'a str),
    OptText(Option<&'a str>),
    Blob(&'a [u8]),
    OptBlob(Option<&'a [u8]>),
}

/// One row; columns are read by position, in the order of the SELECT.
pub enum Row {
    Sqlite(Vec<Value>),
    Pg(PgRow),
}

macro_rules! getter {
    ($name:ident, $type:ty) => {
        pub fn $name(&self, column: usize) -> Result<$type, StoreError> {
            match self {
                Self::Sqlite(cells) => {
                    let cell = cells.get(column).map_or(ValueRef::Null, ValueRef::from);
                    FromSql::column_result(cell).map_err(|error| unreadable(&error))
                }
                Self::Pg(row) => {
                    sqlx::Row::try_get(row, column).map_err(|error| unreadable(&error))
                }
            }
        }
    };
}

pub(crate) fn unreadable(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("an unreadable column: {error}"))
}

impl Row {
    getter!(int, i64);
    getter!(opt_int, Option<i64>);
    getter!(text, String);
    getter!(opt_text, Option<String>);
    getter!(blob, Vec<u8>);
    getter!(opt_blob, Option<Vec<u8>>);

    /// A column of fixed length, such as an id or a hash.
    pub fn bytes<const N: usize>(&self, column: usize) -> Result<[u8; N], StoreError> {
        let blob = self.blob(column)?;
        let length = blob.len();
        blob.try_into()
            .map_err(|_| StoreError::Corrupt(format!("{length} bytes where {N} belong")))
    }

    pub fn opt_bytes<const N: usize>(&self, column: usize) -> Result<Option<[u8; N]>, StoreError> {
        if self.opt_blob(column)?.is_none() {
            return Ok(None);
        }
        self.bytes(column).map(Some)
    }

    /// A text column that names a value of `T`; an unknown name is an error.
    pub fn parsed<T: std::str::FromStr>(&self, column: usize) -> Result<T, StoreError>
    where
        T::Err: std::fmt::Display,
    {
        self.text(column)?
            .parse()
            .map_err(|error: T::Err| StoreError::Corrupt(error.to_string()))
    }

    /// A height, a count or a version: never negative.
    pub fn u64(&self, column: usize) -> Result<u64, StoreError> {
        let value = self.int(column)?;
        u64::try_from(value)
            .map_err(|_| StoreError::Corrupt(format!("{value} where a number from 0 belongs")))
    }

    pub fn u32(&self, column: usize) -> Result<u32, StoreError> {
        let value = self.int(column)?;
        u32::try_from(value)
            .map_err(|_| StoreError::Corrupt(format!("{value} where a 32-bit number belongs")))
    }
}
