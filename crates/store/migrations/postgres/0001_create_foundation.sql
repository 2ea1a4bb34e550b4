-- Ids, keys, hashes and seals are BYTEA; times are Unix milliseconds. The SQLite twin differs in types only.

CREATE TABLE organizations (
    id BYTEA NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE vaults (
    id BYTEA NOT NULL PRIMARY KEY,
    organization_id BYTEA NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    tier TEXT NOT NULL,
    account BIGINT NOT NULL,
    bitcoin_network TEXT NOT NULL,
    state TEXT NOT NULL,
    gate_mode TEXT NOT NULL,
    gate_hook_url TEXT,
    attestation_public_key BYTEA NOT NULL,
    descriptors BYTEA NOT NULL,
    next_index BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    drilled_at BIGINT,
    version BIGINT NOT NULL,
    seal BYTEA NOT NULL,
    UNIQUE (attestation_public_key, account)
);

CREATE TABLE drills (
    id BYTEA NOT NULL PRIMARY KEY,
    vault_id BYTEA NOT NULL REFERENCES vaults (id),
    challenge TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    passed_at BIGINT,
    seal BYTEA NOT NULL
);

CREATE TABLE wallets (
    id BYTEA NOT NULL PRIMARY KEY,
    organization_id BYTEA NOT NULL,
    vault_id BYTEA NOT NULL,
    derivation_index BIGINT NOT NULL,
    external_key BYTEA NOT NULL,
    external_id TEXT NOT NULL,
    label TEXT,
    metadata TEXT,
    state TEXT NOT NULL,
    reason TEXT,
    kinds BIGINT NOT NULL,
    payloads BYTEA NOT NULL,
    batch_id BYTEA,
    created_by BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    seal BYTEA NOT NULL
);

CREATE UNIQUE INDEX wallets_external_key ON wallets (external_key);
CREATE INDEX wallets_pending ON wallets (vault_id, id) WHERE state = 'pending';

CREATE TABLE addresses (
    payload BYTEA NOT NULL,
    kind BIGINT NOT NULL,
    wallet_id BYTEA NOT NULL,
    PRIMARY KEY (payload, kind)
);

CREATE TABLE batches (
    id BYTEA NOT NULL PRIMARY KEY,
    organization_id BYTEA NOT NULL,
    vault_id BYTEA NOT NULL,
    state TEXT NOT NULL,
    kinds BIGINT NOT NULL,
    on_error TEXT NOT NULL,
    first_index BIGINT NOT NULL,
    rows_total BIGINT NOT NULL,
    rows_created BIGINT NOT NULL,
    rows_existing BIGINT NOT NULL,
    rows_failed BIGINT NOT NULL,
    chunks_total BIGINT NOT NULL,
    chunks_done BIGINT NOT NULL,
    content_sha256 BYTEA NOT NULL,
    created_by BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    version BIGINT NOT NULL,
    seal BYTEA NOT NULL
);

CREATE INDEX batches_by_organization ON batches (organization_id, id);
CREATE INDEX batches_live ON batches (id) WHERE state IN ('accepted', 'running');

-- Chunks are staged while their file is still arriving; they count once their batch exists.
CREATE TABLE batch_chunks (
    batch_id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    first_row BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    rows_json BYTEA NOT NULL,
    rows_seal BYTEA NOT NULL,
    outcome TEXT,
    outcome_seal BYTEA,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    lease_owner BYTEA,
    lease_until BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    last_error TEXT,
    staged_at BIGINT NOT NULL,
    PRIMARY KEY (batch_id, number)
);

CREATE INDEX batch_chunks_open ON batch_chunks (batch_id, number) WHERE state <> 'done';

CREATE TABLE pools (
    vault_id BYTEA NOT NULL PRIMARY KEY REFERENCES vaults (id),
    low BIGINT NOT NULL,
    high BIGINT NOT NULL
);

CREATE TABLE pool_entries (
    vault_id BYTEA NOT NULL,
    derivation_index BIGINT NOT NULL,
    payloads BYTEA NOT NULL,
    seal BYTEA NOT NULL,
    PRIMARY KEY (vault_id, derivation_index)
);

CREATE TABLE api_keys (
    id BYTEA NOT NULL PRIMARY KEY,
    organization_id BYTEA NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    secret_hash BYTEA NOT NULL,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    version BIGINT NOT NULL,
    seal BYTEA NOT NULL
);

CREATE TABLE allow_list (
    vault_id BYTEA NOT NULL REFERENCES vaults (id),
    external_key BYTEA NOT NULL,
    external_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    seal BYTEA NOT NULL,
    PRIMARY KEY (vault_id, external_key)
);

CREATE TABLE hook_jobs (
    wallet_id BYTEA NOT NULL PRIMARY KEY,
    vault_id BYTEA NOT NULL,
    attempts BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    last_error TEXT,
    parked_at BIGINT
);

CREATE INDEX hook_jobs_due ON hook_jobs (not_before) WHERE parked_at IS NULL;

CREATE TABLE idempotency_keys (
    organization_id BYTEA NOT NULL,
    caller BYTEA NOT NULL,
    operation TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    status BIGINT NOT NULL,
    answer TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seal BYTEA NOT NULL,
    PRIMARY KEY (organization_id, caller, operation, idempotency_key)
);

CREATE TABLE audit_records (
    organization_id BYTEA NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    payload TEXT NOT NULL,
    prev_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (organization_id, seq)
);

CREATE TABLE audit_heads (
    organization_id BYTEA NOT NULL PRIMARY KEY REFERENCES organizations (id),
    seq BIGINT NOT NULL,
    hash BYTEA NOT NULL
);
