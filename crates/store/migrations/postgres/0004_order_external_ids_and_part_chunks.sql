-- External ids are unique by their text instead of its hash; see docs/adr/0016. The SQLite twin differs in the collation:
-- here it is named, since the server's own may be a language's, which compares slowly and changes with the system's libraries.

ALTER TABLE wallets ALTER COLUMN external_id TYPE TEXT COLLATE "C";
CREATE UNIQUE INDEX wallets_external_id ON wallets (organization_id, external_id);
DROP INDEX wallets_external_key;
ALTER TABLE wallets DROP COLUMN external_key;

-- A chunk's rows, some 500 KiB, apart from its lease: whoever reads or changes the lease does not touch them.
CREATE TABLE chunk_rows (
    batch_id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    rows_json BYTEA NOT NULL,
    rows_seal BYTEA NOT NULL,
    PRIMARY KEY (batch_id, number)
);

INSERT INTO chunk_rows (batch_id, number, rows_json, rows_seal)
SELECT batch_id, number, rows_json, rows_seal FROM batch_chunks;

ALTER TABLE batch_chunks DROP COLUMN rows_json;
ALTER TABLE batch_chunks DROP COLUMN rows_seal;
