//! Rows ↔ domain values.

use coffer_domain::id::{AssetId, LedgerAccountId, LedgerTransactionId, OrganizationId, WalletId};
use coffer_domain::ledger::{
    AccountKey, Balance, EntryPhase, Head, Phase, Side, Source, SourceKind,
};
use ruint::aliases::U256;

use crate::{Row, Sealed, StoreError, units};

/// An account and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub key: AccountKey,
    pub head: Head,
}

/// Where an organization's hash chain of transactions ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerHead {
    pub organization: OrganizationId,
    pub seq: u64,
    /// Time of the last transaction; the next is not earlier.
    pub at_ms: i64,
    pub hash: [u8; 32],
}

/// An entry's place: the account, and its version with the entry.
pub type EntryKey = (LedgerAccountId, u64);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionRow {
    pub organization: OrganizationId,
    pub seq: u64,
    pub id: LedgerTransactionId,
    pub source: Source,
    pub phase: Phase,
    pub asset: AssetId,
    pub legs: Vec<EntryKey>,
    pub at_ms: i64,
    pub hash: [u8; 32],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRow {
    pub account: LedgerAccountId,
    pub version: u64,
    pub organization: OrganizationId,
    pub transaction_seq: u64,
    /// Its place in the transaction, from 0.
    pub leg: u32,
    pub side: Side,
    pub phase: EntryPhase,
    pub units: U256,
    pub balance: Balance,
    pub at_ms: i64,
}

pub(super) fn count(value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Corrupt(format!("the ledger number {value}")))
}

pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Four sums from four columns.
pub(super) fn balance(row: &Row, first: usize) -> Result<Balance, StoreError> {
    let sum = |column| units::from_bytes(&row.blob(column)?);
    Ok(Balance {
        posted_debits: sum(first)?,
        posted_credits: sum(first + 1)?,
        pending_debits: sum(first + 2)?,
        pending_credits: sum(first + 3)?,
    })
}

pub(super) fn sums(balance: &Balance) -> [Vec<u8>; 4] {
    [
        balance.posted_debits,
        balance.posted_credits,
        balance.pending_debits,
        balance.pending_credits,
    ]
    .map(units::to_bytes)
}

pub(super) const ACCOUNT: &str = "a.id, a.organization_id, a.asset_id, a.kind, a.wallet_id, a.version, \
    a.posted_debits, a.posted_credits, a.pending_debits, a.pending_credits, a.seal";

/// Refuses a row whose id is not that of its key.
pub(super) fn account(row: &Row) -> Result<Sealed<Account>, StoreError> {
    let key = AccountKey {
        organization: OrganizationId::from_bytes(row.bytes(1)?),
        asset: AssetId::from_bytes(row.bytes(2)?),
        kind: row.parsed(3)?,
        wallet: row.opt_bytes(4)?.map(WalletId::from_bytes),
    };
    let id = LedgerAccountId::from_bytes(row.bytes(0)?);
    if key.id() != id {
        return Err(StoreError::Corrupt(format!(
            "{id} under the key of another account"
        )));
    }
    let head = Head {
        version: count(row.int(5)?)?,
        balance: balance(row, 6)?,
    };
    Ok(Sealed {
        value: Account { key, head },
        seal: row.blob(10)?,
    })
}

pub(super) const TRANSACTION: &str = "t.organization_id, t.seq, t.id, t.source_kind, t.source_id, t.phase, t.resolves, \
    t.asset_id, t.legs, t.at, t.hash, t.seal";

pub(super) fn transaction(row: &Row) -> Result<Sealed<TransactionRow>, StoreError> {
    let id = LedgerTransactionId::from_bytes(row.bytes(2)?);
    let resolves = row.opt_bytes(6)?.map(LedgerTransactionId::from_bytes);
    let phase = match (row.text(5)?.as_str(), resolves) {
        ("posted", None) => Phase::Posted,
        ("pending", None) => Phase::Pending,
        ("post", Some(of)) => Phase::Post { of },
        ("void", Some(of)) => Phase::Void { of },
        (other, _) => {
            return Err(StoreError::Corrupt(format!("{id} in the phase {other:?}")));
        }
    };
    let value = TransactionRow {
        organization: OrganizationId::from_bytes(row.bytes(0)?),
        seq: count(row.int(1)?)?,
        id,
        source: Source {
            kind: row.parsed::<SourceKind>(3)?,
            id: row.text(4)?,
        },
        phase,
        asset: AssetId::from_bytes(row.bytes(7)?),
        legs: unpack_legs(&row.blob(8)?)?,
        at_ms: row.int(9)?,
        hash: row.bytes(10)?,
    };
    Ok(Sealed {
        value,
        seal: row.blob(11)?,
    })
}

/// Bytes of a leg: the account's id and the version of its entry.
const LEG_BYTES: usize = 24;

pub(super) fn pack_legs(legs: &[EntryKey]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(legs.len() * LEG_BYTES);
    for (account, version) in legs {
        packed.extend_from_slice(account.as_bytes());
        packed.extend_from_slice(&version.to_be_bytes());
    }
    packed
}

fn unpack_legs(packed: &[u8]) -> Result<Vec<EntryKey>, StoreError> {
    let (legs, rest) = packed.as_chunks::<LEG_BYTES>();
    if !rest.is_empty() {
        return Err(StoreError::Corrupt("half a leg".to_owned()));
    }
    let leg = |leg: &[u8; LEG_BYTES]| {
        let (mut account, mut version) = ([0; 16], [0; 8]);
        account.copy_from_slice(&leg[..16]);
        version.copy_from_slice(&leg[16..]);
        (
            LedgerAccountId::from_bytes(account),
            u64::from_be_bytes(version),
        )
    };
    Ok(legs.iter().map(leg).collect())
}

pub(super) const ENTRY: &str = "e.account_id, e.version, e.organization_id, e.transaction_seq, e.leg, e.side, e.phase, \
    e.units, e.posted_debits, e.posted_credits, e.pending_debits, e.pending_credits, e.at";

pub(super) fn entry(row: &Row) -> Result<EntryRow, StoreError> {
    Ok(EntryRow {
        account: LedgerAccountId::from_bytes(row.bytes(0)?),
        version: count(row.int(1)?)?,
        organization: OrganizationId::from_bytes(row.bytes(2)?),
        transaction_seq: count(row.int(3)?)?,
        leg: row.u32(4)?,
        side: row.parsed(5)?,
        phase: row.parsed(6)?,
        units: units::from_bytes(&row.blob(7)?)?,
        balance: balance(row, 8)?,
        at_ms: row.int(12)?,
    })
}
