-- The outbox: what other systems are told, in the order of commits. One row may stand for a range of events, such as
-- the wallets of a chunk; a row's sequence numbers end at last_seq. The SQLite twin differs in types only.

CREATE TABLE events (
    organization_id BYTEA NOT NULL,
    last_seq BIGINT NOT NULL,
    count BIGINT NOT NULL,
    -- one, wallets or ledger: what `data` is.
    form TEXT NOT NULL,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    at BIGINT NOT NULL,
    -- JSON, exactly as sealed.
    data TEXT NOT NULL,
    seal BYTEA NOT NULL,
    PRIMARY KEY (organization_id, last_seq)
);

-- The number of the newest event, assigned under the lock of the audit's head.
ALTER TABLE audit_heads ADD COLUMN event_seq BIGINT NOT NULL DEFAULT 0;
