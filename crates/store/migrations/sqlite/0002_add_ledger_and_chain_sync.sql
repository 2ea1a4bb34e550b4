-- Amounts are big-endian bytes without leading zeros (zero is empty); hashes and ids are BLOB; times are Unix
-- milliseconds; heights are BIGINT. The PostgreSQL twin differs in types and in the form of its triggers only.

CREATE TABLE networks (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    chain TEXT NOT NULL,
    -- JSON, exactly as sealed.
    settings TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    resume_by BLOB,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    seal BLOB NOT NULL
);

CREATE TABLE assets (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    network_id BLOB NOT NULL REFERENCES networks (id),
    name TEXT NOT NULL,
    -- The contract's address with its kind; NULL for the chain's own coin.
    contract_kind BIGINT,
    contract BLOB,
    symbol TEXT NOT NULL,
    decimals BIGINT NOT NULL,
    deposit_units_min BLOB NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    seal BLOB NOT NULL
);

CREATE INDEX assets_by_network ON assets (network_id);

-- How far a network was followed. Changed by compare-and-set on the version.
CREATE TABLE network_progress (
    network_id BLOB NOT NULL PRIMARY KEY REFERENCES networks (id),
    tip_height BIGINT,
    tip_hash BLOB,
    finalized_height BIGINT,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    seal BLOB NOT NULL
);

-- The coverage record: one row per block of the chain that is followed, each naming its parent.
CREATE TABLE blocks (
    network_id BLOB NOT NULL,
    height BIGINT NOT NULL,
    hash BLOB NOT NULL,
    parent BLOB NOT NULL,
    unix_s BIGINT NOT NULL,
    transactions BIGINT NOT NULL,
    logs BIGINT NOT NULL,
    movements BIGINT NOT NULL,
    root BLOB NOT NULL,
    applied_at BIGINT NOT NULL,
    seal BLOB NOT NULL,
    PRIMARY KEY (network_id, height)
);

-- Blocks that a reorganization took back.
CREATE TABLE orphaned_blocks (
    network_id BLOB NOT NULL,
    height BIGINT NOT NULL,
    hash BLOB NOT NULL,
    parent BLOB NOT NULL,
    movements BIGINT NOT NULL,
    orphaned_at BIGINT NOT NULL,
    PRIMARY KEY (network_id, height, hash, orphaned_at)
);

CREATE TABLE deposits (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL,
    network_id BLOB NOT NULL,
    asset_id BLOB NOT NULL,
    wallet_id BLOB NOT NULL,
    address_kind BIGINT NOT NULL,
    address BLOB NOT NULL,
    sender BLOB,
    transaction_hash BLOB NOT NULL,
    part TEXT NOT NULL,
    face_units BLOB NOT NULL,
    units BLOB NOT NULL,
    block_height BIGINT NOT NULL,
    block_hash BLOB NOT NULL,
    inclusion BIGINT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    detected_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    seal BLOB NOT NULL
);

CREATE INDEX deposits_by_block ON deposits (network_id, block_height);
CREATE INDEX deposits_open ON deposits (network_id, block_height) WHERE state IN ('detected', 'confirmed');
CREATE INDEX deposits_by_time ON deposits (organization_id, detected_at, id);
CREATE INDEX deposits_by_wallet ON deposits (wallet_id, detected_at, id);

-- An account's head is the last of its entries, kept here so that posting need not look for it.
CREATE TABLE ledger_accounts (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL,
    asset_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    wallet_id BLOB,
    version BIGINT NOT NULL,
    posted_debits BLOB NOT NULL,
    posted_credits BLOB NOT NULL,
    pending_debits BLOB NOT NULL,
    pending_credits BLOB NOT NULL,
    seal BLOB NOT NULL
);

CREATE INDEX ledger_accounts_by_asset ON ledger_accounts (organization_id, asset_id, kind, id);
CREATE INDEX ledger_accounts_by_wallet ON ledger_accounts (wallet_id) WHERE wallet_id IS NOT NULL;

-- Append-only, and a hash chain: each hash covers the transaction, its legs, and the hash before it.
CREATE TABLE ledger_transactions (
    organization_id BLOB NOT NULL,
    seq BIGINT NOT NULL,
    id BLOB NOT NULL,
    source_kind TEXT NOT NULL,
    source_id TEXT NOT NULL,
    phase TEXT NOT NULL,
    resolves BLOB,
    asset_id BLOB NOT NULL,
    -- Per leg: account (16 bytes) and the version of its entry (8 bytes, big-endian).
    legs BLOB NOT NULL,
    at BIGINT NOT NULL,
    hash BLOB NOT NULL,
    seal BLOB NOT NULL,
    PRIMARY KEY (organization_id, seq)
);

CREATE UNIQUE INDEX ledger_transactions_id ON ledger_transactions (id);
CREATE UNIQUE INDEX ledger_transactions_resolves ON ledger_transactions (resolves) WHERE resolves IS NOT NULL;

-- Append-only. The balance columns are the account's balance with this entry.
CREATE TABLE ledger_entries (
    account_id BLOB NOT NULL,
    version BIGINT NOT NULL,
    organization_id BLOB NOT NULL,
    transaction_seq BIGINT NOT NULL,
    leg BIGINT NOT NULL,
    side TEXT NOT NULL,
    phase TEXT NOT NULL,
    units BLOB NOT NULL,
    posted_debits BLOB NOT NULL,
    posted_credits BLOB NOT NULL,
    pending_debits BLOB NOT NULL,
    pending_credits BLOB NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (account_id, version)
);

CREATE TABLE ledger_heads (
    organization_id BLOB NOT NULL PRIMARY KEY REFERENCES organizations (id),
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    hash BLOB NOT NULL,
    seal BLOB NOT NULL
);

CREATE TABLE reconciliations (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL,
    network_id BLOB NOT NULL,
    asset_id BLOB NOT NULL,
    block_height BIGINT NOT NULL,
    block_hash BLOB NOT NULL,
    addresses BIGINT NOT NULL,
    addresses_watched BIGINT NOT NULL,
    ledger_units BLOB NOT NULL,
    chain_units BLOB NOT NULL,
    differing BIGINT NOT NULL,
    -- Over the rows of reconciliation_differences, so that the seal covers them.
    differences_sha256 BLOB NOT NULL,
    state TEXT NOT NULL,
    finished_at BIGINT NOT NULL,
    seal BLOB NOT NULL
);

CREATE INDEX reconciliations_by_time ON reconciliations (organization_id, finished_at, id);
CREATE INDEX reconciliations_by_asset ON reconciliations (asset_id, finished_at);

-- Addresses on which ledger and chain differ.
CREATE TABLE reconciliation_differences (
    reconciliation_id BLOB NOT NULL REFERENCES reconciliations (id),
    wallet_id BLOB NOT NULL,
    address_kind BIGINT NOT NULL,
    address BLOB NOT NULL,
    ledger_units BLOB NOT NULL,
    chain_units BLOB NOT NULL,
    PRIMARY KEY (reconciliation_id, wallet_id)
);

-- What the chain said that an address holds, for showing; never for deciding.
CREATE TABLE balance_snapshots (
    wallet_id BLOB NOT NULL,
    asset_id BLOB NOT NULL,
    units BLOB NOT NULL,
    block_height BIGINT NOT NULL,
    block_hash BLOB NOT NULL,
    taken_at BIGINT NOT NULL,
    PRIMARY KEY (wallet_id, asset_id)
);

-- Ranges that are to be read again, and how far that has come.
CREATE TABLE rescans (
    id BLOB NOT NULL PRIMARY KEY,
    network_id BLOB NOT NULL REFERENCES networks (id),
    first_height BIGINT NOT NULL,
    last_height BIGINT NOT NULL,
    next_height BIGINT NOT NULL,
    state TEXT NOT NULL,
    blocks_differing BIGINT NOT NULL,
    deposits_found BIGINT NOT NULL,
    deposits_unexplained BIGINT NOT NULL,
    -- What it waits for.
    reason TEXT,
    requested_by BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT
);

CREATE INDEX rescans_open ON rescans (network_id) WHERE finished_at IS NULL;

-- The ledger is append-only, whoever writes.

CREATE TRIGGER ledger_transactions_refuse_update BEFORE UPDATE ON ledger_transactions
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER ledger_transactions_refuse_delete BEFORE DELETE ON ledger_transactions
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER ledger_entries_refuse_update BEFORE UPDATE ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER ledger_entries_refuse_delete BEFORE DELETE ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;
