-- External ids are unique by their text instead of its hash; see docs/adr/0016. The PostgreSQL twin differs in the collation.

CREATE UNIQUE INDEX wallets_external_id ON wallets (organization_id, external_id);
DROP INDEX wallets_external_key;
ALTER TABLE wallets DROP COLUMN external_key;

-- A chunk's rows, some 500 KiB, apart from its lease: whoever reads or changes the lease does not touch them.
CREATE TABLE chunk_rows (
    batch_id BLOB NOT NULL,
    number BIGINT NOT NULL,
    rows_json BLOB NOT NULL,
    rows_seal BLOB NOT NULL,
    PRIMARY KEY (batch_id, number)
);

INSERT INTO chunk_rows (batch_id, number, rows_json, rows_seal)
SELECT batch_id, number, rows_json, rows_seal FROM batch_chunks;

ALTER TABLE batch_chunks DROP COLUMN rows_json;
ALTER TABLE batch_chunks DROP COLUMN rows_seal;
