//! The version that an object's row has now, for telling a row that changed meanwhile from one put back.

use crate::{Param, StoreError, Tx};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Vaults,
    ApiKeys,
    Batches,
    Networks,
    Assets,
    Webhooks,
}

pub async fn current(tx: &mut Tx, table: Table, id: &[u8; 16]) -> Result<Option<i64>, StoreError> {
    let sql = match table {
        Table::Vaults => "SELECT version FROM vaults WHERE id = $1",
        Table::ApiKeys => "SELECT version FROM api_keys WHERE id = $1",
        Table::Batches => "SELECT version FROM batches WHERE id = $1",
        Table::Networks => "SELECT version FROM networks WHERE id = $1",
        Table::Assets => "SELECT version FROM assets WHERE id = $1",
        Table::Webhooks => "SELECT version FROM webhooks WHERE id = $1",
    };
    let row = tx.fetch_optional(sql, &[Param::Blob(id)]).await?;
    row.map(|row| row.int(0)).transpose()
}
