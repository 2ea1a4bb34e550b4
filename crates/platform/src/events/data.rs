//! What events say, one shape per kind of object. A shape is never changed but by adding fields; another meaning
//! is another version beside it.

use coffer_domain::address::BitcoinNetwork;
use coffer_domain::asset::Asset;
use coffer_domain::batch::Batch;
use coffer_domain::block::BlockRef;
use coffer_domain::deposit::Deposit;
use coffer_domain::event::EventType;
use coffer_domain::id::VaultId;
use coffer_domain::network::Network;
use coffer_domain::reconciliation::Reconciliation;
use coffer_domain::unconfirmed::Unconfirmed;
use coffer_domain::vault::Vault;
use coffer_domain::wallet::{Wallet, WalletState};
use coffer_store::ledger::{EntryRow, TransactionRow};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// The name of the schema of a type's `data` in the OpenAPI document.
#[must_use]
pub fn schema_of(kind: EventType) -> &'static str {
    if matches!(
        kind,
        EventType::DepositUnconfirmed | EventType::DepositDropped
    ) {
        return "UnconfirmedDepositEventV1";
    }
    match kind.object() {
        "batch" => "BatchEventV1",
        "wallet" => "WalletEventV1",
        "deposit" => "DepositEventV1",
        "ledger" => "LedgerEventV1",
        "network" => "NetworkEventV1",
        "asset" => "AssetEventV1",
        "vault" => "VaultEventV1",
        "pool" => "PoolEventV1",
        "reconciliation" => "ReconciliationEventV1",
        _ => "AlarmEventV1",
    }
}

/// A batch as it was with the event.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchEventV1 {
    id: String,
    vault_id: String,
    state: &'static str,
    rows_total: u32,
    rows_created: u32,
    rows_existing: u32,
    rows_failed: u32,
    rows_done: u32,
}

impl From<&Batch> for BatchEventV1 {
    fn from(batch: &Batch) -> Self {
        Self {
            id: batch.id.to_string(),
            vault_id: batch.vault.to_string(),
            state: batch.state.name(),
            rows_total: batch.rows_total,
            rows_created: batch.rows_created,
            rows_existing: batch.rows_existing,
            rows_failed: batch.rows_failed,
            rows_done: batch.rows_done(),
        }
    }
}

/// A wallet as it was with the event.
#[derive(Debug, Serialize, ToSchema)]
pub struct WalletEventV1 {
    id: String,
    vault_id: String,
    external_id: String,
    label: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Box<RawValue>>,
    /// pending, active or rejected.
    state: &'static str,
    reason: Option<String>,
    index: u32,
    /// Empty unless the wallet is active.
    addresses: Vec<WalletAddressV1>,
    batch_id: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WalletAddressV1 {
    #[schema(example = "evm")]
    chain: &'static str,
    address: String,
}

impl WalletEventV1 {
    /// As it is.
    pub(crate) fn now(wallet: &Wallet, network: BitcoinNetwork) -> Self {
        Self::of(wallet, (wallet.state, wallet.reason.as_deref()), network)
    }

    /// `wallet` in the state `state`, for `reason`: of a wallet just made, not what it became later.
    pub(super) fn of(
        wallet: &Wallet,
        (state, reason): (WalletState, Option<&str>),
        network: BitcoinNetwork,
    ) -> Self {
        let shown = match state {
            WalletState::Active => &wallet.payloads[..],
            WalletState::Pending | WalletState::Rejected => &[],
        };
        let metadata = wallet.metadata.clone();
        Self {
            id: wallet.id.to_string(),
            vault_id: wallet.vault.to_string(),
            external_id: wallet.external_id.as_str().to_owned(),
            label: wallet.label.clone(),
            metadata: metadata.and_then(|text| RawValue::from_string(text).ok()),
            state: state.name(),
            reason: reason.map(str::to_owned),
            index: wallet.index,
            addresses: shown
                .iter()
                .map(|payload| WalletAddressV1 {
                    chain: payload.kind().name(),
                    address: coffer_chains::encode(payload, network),
                })
                .collect(),
            batch_id: wallet.batch.map(|batch| batch.to_string()),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BlockV1 {
    height: u64,
    hash: String,
}

impl From<BlockRef> for BlockV1 {
    fn from(block: BlockRef) -> Self {
        Self {
            height: block.height.0,
            hash: block.hash.to_string(),
        }
    }
}

/// A deposit as it was with the event. A retracted one was taken back from the ledger, and may come again.
#[derive(Debug, Serialize, ToSchema)]
pub struct DepositEventV1 {
    id: String,
    network_id: String,
    asset_id: String,
    /// CAIP-19.
    #[schema(example = "eip155:1/slip44:60")]
    asset: String,
    symbol: String,
    decimals: u8,
    wallet_id: String,
    /// The customer, where the address belonged to one.
    external_id: Option<String>,
    address: String,
    from: Option<String>,
    transaction: String,
    part: String,
    /// What is credited, in base units.
    units: String,
    /// The block that includes it, or included it last.
    block: BlockV1,
    /// How often a block has included it.
    inclusion: u32,
    /// detected, confirmed, finalized, retracted, rejected or held.
    state: &'static str,
    reason: Option<String>,
}

impl DepositEventV1 {
    pub(crate) fn of(deposit: &Deposit, asset: &Asset, external_id: Option<String>) -> Self {
        let network = asset.name.chain.bitcoin_network();
        let text = |payload| coffer_chains::encode(payload, network);
        Self {
            id: deposit.id.to_string(),
            network_id: deposit.network.to_string(),
            asset_id: deposit.asset.to_string(),
            asset: asset.name.to_string(),
            symbol: asset.symbol.clone(),
            decimals: asset.decimals,
            wallet_id: deposit.wallet.to_string(),
            external_id,
            address: text(&deposit.address),
            from: deposit.from.as_ref().map(text),
            transaction: deposit.movement.transaction.to_string(),
            part: deposit.movement.part.to_string(),
            units: deposit.units.to_string(),
            block: deposit.block.into(),
            inclusion: deposit.inclusion,
            state: deposit.state.name(),
            reason: deposit.reason.clone(),
        }
    }
}

/// A payment that no block has yet, as it was with the event. It has the id of the deposit that follows when a block
/// includes it; nothing of it is credited before.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnconfirmedDepositEventV1 {
    id: String,
    network_id: String,
    asset_id: String,
    /// CAIP-19.
    #[schema(example = "bip122:000000000019d6689c085ae165831e93/slip44:0")]
    asset: String,
    symbol: String,
    decimals: u8,
    wallet_id: String,
    /// The customer, where the address belonged to one.
    external_id: Option<String>,
    address: String,
    transaction: String,
    part: String,
    /// What it would bring, in base units.
    units: String,
    /// detected, replaced, double_spent or evicted.
    state: &'static str,
    /// Why it was dropped.
    reason: Option<&'static str>,
    /// The transaction that took one of its inputs.
    replaced_by: Option<String>,
    /// The block that has that transaction.
    replaced_in: Option<BlockV1>,
}

impl UnconfirmedDepositEventV1 {
    pub(crate) fn of(one: &Unconfirmed, asset: &Asset, external_id: Option<String>) -> Self {
        let network = asset.name.chain.bitcoin_network();
        Self {
            id: one.id.to_string(),
            network_id: one.network.to_string(),
            asset_id: one.asset.to_string(),
            asset: asset.name.to_string(),
            symbol: asset.symbol.clone(),
            decimals: asset.decimals,
            wallet_id: one.wallet.to_string(),
            external_id,
            address: coffer_chains::encode(&one.address, network),
            transaction: one.movement.transaction.to_string(),
            part: one.movement.part.to_string(),
            units: one.units.to_string(),
            state: one.standing.state().name(),
            reason: one.standing.reason(),
            replaced_by: one.standing.replaced_by().map(|by| by.to_string()),
            replaced_in: one.standing.settled_in().map(BlockV1::from),
        }
    }
}

/// A ledger transaction, which never changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct LedgerEventV1 {
    id: String,
    /// Its place in the ledger's hash chain.
    seq: u64,
    source_kind: &'static str,
    source_id: String,
    /// posted, pending, post or void.
    phase: &'static str,
    /// The pending transaction that it posts or voids.
    resolves: Option<String>,
    asset_id: String,
    entries: Vec<LedgerEntryV1>,
    hash: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LedgerEntryV1 {
    account_id: String,
    /// debit or credit.
    side: &'static str,
    /// posted, pending, post or void.
    phase: &'static str,
    /// In base units.
    units: String,
}

impl LedgerEventV1 {
    pub(super) fn of(row: &TransactionRow, entries: &[EntryRow]) -> Self {
        Self {
            id: row.id.to_string(),
            seq: row.seq,
            source_kind: row.source.kind.name(),
            source_id: row.source.id.clone(),
            phase: row.phase.name(),
            resolves: row.phase.resolves().map(|id| id.to_string()),
            asset_id: row.asset.to_string(),
            entries: entries
                .iter()
                .map(|entry| LedgerEntryV1 {
                    account_id: entry.account.to_string(),
                    side: entry.side.name(),
                    phase: entry.phase.name(),
                    units: entry.units.to_string(),
                })
                .collect(),
            hash: hex::encode(row.hash),
        }
    }
}

/// A network as it was with the event. Its nodes are not told.
#[derive(Debug, Serialize, ToSchema)]
pub struct NetworkEventV1 {
    id: String,
    #[schema(example = "eip155:1")]
    chain: String,
    name: String,
    /// active, paused or frozen.
    state: &'static str,
    reason: Option<String>,
    /// Settings that believe more easily than before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    weakened: Vec<&'static str>,
}

impl NetworkEventV1 {
    pub(crate) fn of(network: &Network, weakened: Vec<&'static str>) -> Self {
        Self {
            id: network.id.to_string(),
            chain: network.chain.as_str().to_owned(),
            name: network.settings.name.clone(),
            state: network.state.name(),
            reason: network.reason.clone(),
            weakened,
        }
    }
}

/// An asset of the allow-list as it was with the event.
#[derive(Debug, Serialize, ToSchema)]
pub struct AssetEventV1 {
    id: String,
    network_id: String,
    /// CAIP-19.
    name: String,
    symbol: String,
    decimals: u8,
    deposit_units_min: String,
    /// active, tripped or disabled.
    state: &'static str,
    reason: Option<String>,
}

impl From<&Asset> for AssetEventV1 {
    fn from(asset: &Asset) -> Self {
        Self {
            id: asset.id.to_string(),
            network_id: asset.network.to_string(),
            name: asset.name.to_string(),
            symbol: asset.symbol.clone(),
            decimals: asset.decimals,
            deposit_units_min: asset.deposit_units_min.to_string(),
            state: asset.state.name(),
            reason: asset.reason.clone(),
        }
    }
}

/// A vault as it was with the event.
#[derive(Debug, Serialize, ToSchema)]
pub struct VaultEventV1 {
    id: String,
    name: String,
    tier: &'static str,
    /// awaiting_drill or open.
    state: &'static str,
    /// automatic, allow-list, manual or hook.
    gate: &'static str,
}

impl From<&Vault> for VaultEventV1 {
    fn from(vault: &Vault) -> Self {
        Self {
            id: vault.id.to_string(),
            name: vault.name.clone(),
            tier: vault.tier.name(),
            state: vault.state.name(),
            gate: vault.gate.mode.name(),
        }
    }
}

/// The pool of a vault: its watermarks when they were set, or what was added to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PoolEventV1 {
    vault_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    low: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    high: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<u32>,
}

impl PoolEventV1 {
    pub(crate) fn changed(vault: VaultId, low: u32, high: u32) -> Self {
        Self {
            vault_id: vault.to_string(),
            low: Some(low),
            high: Some(high),
            added: None,
        }
    }

    pub(crate) fn filled(vault: VaultId, added: u32) -> Self {
        Self {
            vault_id: vault.to_string(),
            low: None,
            high: None,
            added: Some(added),
        }
    }
}

/// Ledger and chain differ on an asset.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReconciliationEventV1 {
    id: String,
    network_id: String,
    asset_id: String,
    block: BlockV1,
    ledger_units: String,
    chain_units: String,
    /// Addresses that differ.
    differing: u64,
    /// Whether it stopped crediting of the asset.
    tripped: bool,
}

impl ReconciliationEventV1 {
    pub(crate) fn of(line: &Reconciliation, tripped: bool) -> Self {
        Self {
            id: line.id.to_string(),
            network_id: line.network.to_string(),
            asset_id: line.asset.to_string(),
            block: line.block.into(),
            ledger_units: line.ledger_units.to_string(),
            chain_units: line.chain_units.to_string(),
            differing: line.differing,
            tripped,
        }
    }
}

/// Something that a person must look at; the runbook says what to do.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlarmEventV1 {
    /// integrity: a stored object was changed outside Coffer and is refused.
    alarm: &'static str,
    #[schema(example = "wal_9f2d6c1e8a7b8c5d8000000000012ab3")]
    object: String,
}

impl AlarmEventV1 {
    pub(crate) fn integrity(object: &str) -> Self {
        Self {
            alarm: "integrity",
            object: object.to_owned(),
        }
    }
}
