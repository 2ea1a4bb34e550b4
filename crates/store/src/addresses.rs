//! The index from an address back to its wallet, in runs.
//!
//! Addresses are as good as random. An index ordered by them alone has its next entry anywhere, so that a
//! large one is written a page per entry. Here entries are ordered within runs of 8,192 derivation indexes of
//! one vault: whatever creates wallets writes into the run at the end, a few hundred pages that stay in memory,
//! and time per wallet does not grow with their number. The price is paid by a lookup: two probes for each run, a
//! run per 8,192 indexes given out.
//!
//! The table is only an index: what it says is checked against the wallet's sealed row. The database refuses an
//! address twice within a run; beyond it, that wallets' ids, and so their vaults and indexes, are unique.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use coffer_domain::address::AddressPayload;
use coffer_domain::id::{VaultId, WalletId};
use coffer_domain::wallet::Wallet;

use crate::{Engine, Param, Sealed, StoreError, Tx, bulk};

/// A run has two to this many indexes.
const RUN_BITS: u32 = 13;
/// Enough for the runs of all 2³¹ indexes of a vault.
const RUNS_PER_VAULT_BITS: u32 = 18;

/// Finds the wallet of an address, the newest runs first.
pub(crate) const WALLET_OF: &str = "WITH RECURSIVE runs (run) AS (SELECT max(run) FROM addresses UNION ALL \
    SELECT (SELECT max(older.run) FROM addresses older WHERE older.run < runs.run) \
    FROM runs WHERE runs.run IS NOT NULL) \
    SELECT wallet_id FROM (SELECT (SELECT a.wallet_id FROM addresses a WHERE a.run = runs.run \
    AND a.payload = $1 AND a.kind = $2) AS wallet_id FROM runs) AS found \
    WHERE wallet_id IS NOT NULL LIMIT 1";

/// Numbers of vaults in the index. One never changes once it was given.
pub type VaultNumbers = HashMap<VaultId, i64>;

/// The addresses of wallets, ready to be inserted: one that its run has already fails the whole. `None` when the number of
/// a vault is not among `numbers`.
pub(crate) fn insertion(
    engine: Engine,
    wallets: &[Sealed<Wallet>],
    numbers: &VaultNumbers,
) -> Option<bulk::Insertion> {
    let mut entries: Vec<(i64, &AddressPayload, &WalletId)> = Vec::with_capacity(wallets.len());
    for sealed in wallets {
        let wallet = &sealed.value;
        let number = numbers.get(&wallet.vault)?;
        let run = (number << RUNS_PER_VAULT_BITS) + i64::from(wallet.index >> RUN_BITS);
        entries.extend(
            wallet
                .payloads
                .iter()
                .map(|payload| (run, payload, &wallet.id)),
        );
    }
    // In key order each page is touched once per insert.
    entries
        .sort_unstable_by_key(|(run, payload, _)| (*run, payload.bytes(), payload.kind().code()));
    let rows = entries.iter().map(|(run, payload, id)| {
        vec![
            Param::Int(*run),
            Param::Blob(payload.bytes()),
            Param::Int(i64::from(payload.kind().code())),
            Param::Blob(id.as_bytes()),
        ]
    });
    let columns = ["run", "payload", "kind", "wallet_id"];
    Some(bulk::Insertion::of(engine, "addresses", &columns, rows))
}

/// The numbers of the wallets' vaults; a vault that has none is given one.
pub(crate) async fn numbers(
    tx: &mut Tx,
    wallets: &[Sealed<Wallet>],
) -> Result<VaultNumbers, StoreError> {
    let mut numbers = VaultNumbers::new();
    for sealed in wallets {
        let vault = sealed.value.vault;
        if let Entry::Vacant(place) = numbers.entry(vault) {
            place.insert(vault_number(tx, vault).await?);
        }
    }
    Ok(numbers)
}

const FIND_NUMBER: &str = "SELECT number FROM address_vaults WHERE vault_id = $1";

/// The number of one vault, if it has one.
pub async fn known_numbers(tx: &mut Tx, vault: VaultId) -> Result<VaultNumbers, StoreError> {
    let row = tx
        .fetch_optional(FIND_NUMBER, &[Param::Blob(vault.as_bytes())])
        .await?;
    row.map(|row| Ok((vault, row.int(0)?)))
        .into_iter()
        .collect()
}

/// The number of a vault in the index; its first wallet gives it one.
async fn vault_number(tx: &mut Tx, vault: VaultId) -> Result<i64, StoreError> {
    let id = [Param::Blob(vault.as_bytes())];
    if let Some(row) = tx.fetch_optional(FIND_NUMBER, &id).await? {
        return row.int(0);
    }
    // Whoever comes first for the same vault wins; the same number for another vault is a lost race.
    tx.execute(
        "INSERT INTO address_vaults (vault_id, number) SELECT $1, COALESCE(max(number), 0) + 1 \
         FROM address_vaults WHERE true ON CONFLICT DO NOTHING",
        &id,
    )
    .await?;
    let row = tx.fetch_optional(FIND_NUMBER, &id).await?;
    row.ok_or_else(|| {
        StoreError::Retry(format!(
            "another vault took the number of {vault} in the address index"
        ))
    })?
    .int(0)
}

/// The wallet an address belongs to, according to the index. The newest runs are looked at first.
pub async fn wallet_of(
    tx: &mut Tx,
    payload: &AddressPayload,
) -> Result<Option<WalletId>, StoreError> {
    let row = tx
        .fetch_optional(
            WALLET_OF,
            &[
                Param::Blob(payload.bytes()),
                Param::Int(i64::from(payload.kind().code())),
            ],
        )
        .await?;
    row.map(|row| row.bytes(0).map(WalletId::from_bytes))
        .transpose()
}
