-- Amounts are big-endian bytes without leading zeros (zero is empty); hashes and ids are BYTEA; times are Unix
-- milliseconds; heights are BIGINT. The SQLite twin differs in types and in the form of its triggers only.

CREATE TABLE networks (
    id BYTEA NOT NULL PRIMARY KEY,
    organization_id BYTEA NOT NULL REFERENCES organizations (id),
    chain TEXT NOT NULL,
    -- JSON, exactly as sealed.
    settings TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    resume_by BYTEA,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    seal BYTEA NOT NULL
);

CREATE TABLE assets (
    id BYTEA NOT NULL PRIMARY KEY,
    organization_id BYTEA NOT NULL REFERENCES organizations (id),
    network_id BYTEA NOT NULL REFERENCES networks (id),
    name TEXT NOT NULL,
    -- The contract's address with its kind; NULL for the chain's own coin.
    contract_kind BIGINT,
    contract BYTEA,
    symbol TEXT NOT NULL,
    decimals BIGINT NOT NULL,
    deposit_units_min BYTEA NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    seal BYTEA NOT NULL
);

CREATE INDEX assets_by_network ON assets (network_id);

-- How far a network was followed. Changed by compare-and-set on the version.
CREATE TABLE network_progress (
    network_id BYTEA NOT NULL PRIMARY KEY REFERENCES networks (id),
    tip_height BIGINT,
    tip_hash BYTEA,
    finalized_height BIGINT,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    seal BYTEA NOT NULL
);

-- The coverage record: one row per block of the chain that is followed, each naming its parent.
CREATE TABLE blocks (
    network_id BYTEA NOT NULL,
    height BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    parent BYTEA NOT NULL,
    unix_s BIGINT NOT NULL,
    transactions BIGINT NOT NULL,
    logs BIGINT NOT NULL,
    movements BIGINT NOT NULL,
    root BYTEA NOT NULL,
    applied_at BIGINT NOT NULL,
    seal BYTEA NOT NULL,
    PRIMARY KEY (network_id, height)
);

-- Blocks that a reorganization took back.
CREATE TABLE orphaned_blocks (
    network_id BYTEA NOT NULL,
    height BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    parent BYTEA NOT NULL,
    movements BIGINT NOT NULL,
    orphaned_at BIGINT NOT NULL,
    PRIMARY KEY (network_id, height, hash, orphaned_at)
);

CREATE TABLE deposits (
    id BYTEA NOT NULL PRIMARY KEY,
    organization_id BYTEA NOT NULL,
    network_id BYTEA NOT NULL,
    asset_id BYTEA NOT NULL,
    wallet_id BYTEA NOT NULL,
    address_kind BIGINT NOT NULL,
    address BYTEA NOT NULL,
    sender BYTEA,
    transaction_hash BYTEA NOT NULL,
    part TEXT NOT NULL,
    face_units BYTEA NOT NULL,
    units BYTEA NOT NULL,
    block_height BIGINT NOT NULL,
    block_hash BYTEA NOT NULL,
    inclusion BIGINT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    detected_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    seal BYTEA NOT NULL
);

CREATE INDEX deposits_by_block ON deposits (network_id, block_height);
CREATE INDEX deposits_open ON deposits (network_id, block_height) WHERE state IN ('detected', 'confirmed');
CREATE INDEX deposits_by_time ON deposits (organization_id, detected_at, id);
CREATE INDEX deposits_by_wallet ON deposits (wallet_id, detected_at, id);

-- An account's head is the last of its entries, kept here so that posting need not look for it.
CREATE TABLE ledger_accounts (
    id BYTEA NOT NULL PRIMARY KEY,
    organization_id BYTEA NOT NULL,
    asset_id BYTEA NOT NULL,
    kind TEXT NOT NULL,
    wallet_id BYTEA,
    version BIGINT NOT NULL,
    posted_debits BYTEA NOT NULL,
    posted_credits BYTEA NOT NULL,
    pending_debits BYTEA NOT NULL,
    pending_credits BYTEA NOT NULL,
    seal BYTEA NOT NULL
);

CREATE INDEX ledger_accounts_by_asset ON ledger_accounts (organization_id, asset_id, kind, id);
CREATE INDEX ledger_accounts_by_wallet ON ledger_accounts (wallet_id) WHERE wallet_id IS NOT NULL;

-- Append-only, and a hash chain: each hash covers the transaction, its legs, and the hash before it.
CREATE TABLE ledger_transactions (
    organization_id BYTEA NOT NULL,
    seq BIGINT NOT NULL,
    id BYTEA NOT NULL,
    source_kind TEXT NOT NULL,
    source_id TEXT NOT NULL,
    phase TEXT NOT NULL,
    resolves BYTEA,
    asset_id BYTEA NOT NULL,
    -- Per leg: account (16 bytes) and the version of its entry (8 bytes, big-endian).
    legs BYTEA NOT NULL,
    at BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    seal BYTEA NOT NULL,
    PRIMARY KEY (organization_id, seq)
);

CREATE UNIQUE INDEX ledger_transactions_id ON ledger_transactions (id);
CREATE UNIQUE INDEX ledger_transactions_resolves ON ledger_transactions (resolves) WHERE resolves IS NOT NULL;

-- Append-only. The balance columns are the account's balance with this entry.
CREATE TABLE ledger_entries (
    account_id BYTEA NOT NULL,
    version BIGINT NOT NULL,
    organization_id BYTEA NOT NULL,
    transaction_seq BIGINT NOT NULL,
    leg BIGINT NOT NULL,
    side TEXT NOT NULL,
    phase TEXT NOT NULL,
    units BYTEA NOT NULL,
    posted_debits BYTEA NOT NULL,
    posted_credits BYTEA NOT NULL,
    pending_debits BYTEA NOT NULL,
    pending_credits BYTEA NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (account_id, version)
);

CREATE TABLE ledger_heads (
    organization_id BYTEA NOT NULL PRIMARY KEY REFERENCES organizations (id),
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    seal BYTEA NOT NULL
);

CREATE TABLE reconciliations (
    id BYTEA NOT NULL PRIMARY KEY,
    organization_id BYTEA NOT NULL,
    network_id BYTEA NOT NULL,
    asset_id BYTEA NOT NULL,
    block_height BIGINT NOT NULL,
    block_hash BYTEA NOT NULL,
    addresses BIGINT NOT NULL,
    addresses_watched BIGINT NOT NULL,
    ledger_units BYTEA NOT NULL,
    chain_units BYTEA NOT NULL,
    differing BIGINT NOT NULL,
    -- Over the rows of reconciliation_differences, so that the seal covers them.
    differences_sha256 BYTEA NOT NULL,
    state TEXT NOT NULL,
    finished_at BIGINT NOT NULL,
    seal BYTEA NOT NULL
);

CREATE INDEX reconciliations_by_time ON reconciliations (organization_id, finished_at, id);
CREATE INDEX reconciliations_by_asset ON reconciliations (asset_id, finished_at);

-- Addresses on which ledger and chain differ.
CREATE TABLE reconciliation_differences (
    reconciliation_id BYTEA NOT NULL REFERENCES reconciliations (id),
    wallet_id BYTEA NOT NULL,
    address_kind BIGINT NOT NULL,
    address BYTEA NOT NULL,
    ledger_units BYTEA NOT NULL,
    chain_units BYTEA NOT NULL,
    PRIMARY KEY (reconciliation_id, wallet_id)
);

-- What the chain said that an address holds, for showing; never for deciding.
CREATE TABLE balance_snapshots (
    wallet_id BYTEA NOT NULL,
    asset_id BYTEA NOT NULL,
    units BYTEA NOT NULL,
    block_height BIGINT NOT NULL,
    block_hash BYTEA NOT NULL,
    taken_at BIGINT NOT NULL,
    PRIMARY KEY (wallet_id, asset_id)
);

-- Ranges that are to be read again, and how far that has come.
CREATE TABLE rescans (
    id BYTEA NOT NULL PRIMARY KEY,
    network_id BYTEA NOT NULL REFERENCES networks (id),
    first_height BIGINT NOT NULL,
    last_height BIGINT NOT NULL,
    next_height BIGINT NOT NULL,
    state TEXT NOT NULL,
    blocks_differing BIGINT NOT NULL,
    deposits_found BIGINT NOT NULL,
    deposits_unexplained BIGINT NOT NULL,
    -- What it waits for.
    reason TEXT,
    requested_by BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT
);

CREATE INDEX rescans_open ON rescans (network_id) WHERE finished_at IS NULL;

-- The ledger is append-only, whoever writes.
CREATE FUNCTION refuse_ledger_change() RETURNS trigger AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only';
END;
$$ LANGUAGE plpgsql;

CREATE TRIGGER ledger_transactions_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

CREATE TRIGGER ledger_entries_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
