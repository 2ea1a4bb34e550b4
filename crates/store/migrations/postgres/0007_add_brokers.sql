-- Message brokers: how far each sink has come, and messages that could not be worked on. The SQLite twin differs in
-- types alone.

CREATE TABLE sink_cursors (
    organization_id BYTEA NOT NULL,
    sink TEXT NOT NULL,
    -- The broker has confirmed everything up to this event.
    seq BIGINT NOT NULL,
    -- How often a person has set it back.
    replays BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    seal BYTEA NOT NULL,
    -- Which process relays; not sealed, and not believed about anything else.
    lease_owner BYTEA,
    lease_until BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    PRIMARY KEY (organization_id, sink)
);

CREATE TABLE parked_messages (
    id BYTEA NOT NULL PRIMARY KEY,
    organization_id BYTEA NOT NULL,
    source TEXT NOT NULL,
    subject TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    -- The first 65,536 bytes, and the digest and length of all.
    body BYTEA NOT NULL,
    body_sha256 BYTEA NOT NULL,
    body_bytes BIGINT NOT NULL,
    times BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    seal BYTEA NOT NULL
);

CREATE INDEX parked_messages_by_source ON parked_messages (organization_id, source, id);
