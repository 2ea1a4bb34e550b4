-- Webhooks, how far each was told, and the log of deliveries. The PostgreSQL twin differs in types only.

CREATE TABLE webhooks (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL,
    url TEXT NOT NULL,
    description TEXT,
    -- Patterns of event types, parted by spaces; none is all.
    types TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    rate_per_second BIGINT,
    concurrency BIGINT NOT NULL,
    -- Encrypted under a key that the database does not hold.
    secret BLOB NOT NULL,
    previous_secret BLOB,
    previous_until BIGINT,
    created_by BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    seal BLOB NOT NULL
);

CREATE INDEX webhooks_organization ON webhooks (organization_id, id);

CREATE TABLE webhook_progress (
    webhook_id BLOB NOT NULL PRIMARY KEY,
    -- Every event up to this number is delivered, parked, not wanted, or in open_events.
    told_to BIGINT NOT NULL,
    -- JSON: events behind told_to that are still to be delivered; a bounded number.
    open_events TEXT NOT NULL,
    failing_since BIGINT,
    failures BIGINT NOT NULL,
    paused_until BIGINT,
    last_success_at BIGINT,
    last_error TEXT,
    next_number BIGINT NOT NULL,
    moves BIGINT NOT NULL,
    seal BLOB NOT NULL,
    lease_owner BLOB,
    lease_until BIGINT NOT NULL,
    fence BIGINT NOT NULL
);

CREATE TABLE webhook_deliveries (
    webhook_id BLOB NOT NULL,
    number BIGINT NOT NULL,
    event_seq BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    subject TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    result TEXT NOT NULL,
    status BIGINT,
    latency_ms BIGINT NOT NULL,
    error TEXT,
    excerpt TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (webhook_id, number)
);

CREATE INDEX webhook_deliveries_event ON webhook_deliveries (webhook_id, event_seq);
CREATE INDEX webhook_deliveries_undelivered ON webhook_deliveries (webhook_id, number) WHERE result <> 'delivered';

-- Ranges of events that a caller wants again.
CREATE TABLE webhook_redeliveries (
    id BLOB NOT NULL PRIMARY KEY,
    webhook_id BLOB NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    subject TEXT,
    from_at BIGINT,
    until_at BIGINT,
    -- The last number looked at.
    looked_to BIGINT NOT NULL,
    created_by BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    seal BLOB NOT NULL
);

CREATE INDEX webhook_redeliveries_webhook ON webhook_redeliveries (webhook_id, id);
