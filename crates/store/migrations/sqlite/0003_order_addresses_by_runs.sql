-- The address index in runs of 8,192 derivation indexes; see docs/adr/0011. A run is its vault's number times
-- 2^18, and index / 2^13. The PostgreSQL twin differs in types and in the name of the primary key.

CREATE TABLE address_vaults (
    vault_id BLOB NOT NULL PRIMARY KEY,
    -- From 1, in the order in which the vaults had their first wallet.
    number BIGINT NOT NULL UNIQUE
);

INSERT INTO address_vaults (vault_id, number)
SELECT known.vault_id, row_number() OVER (ORDER BY known.vault_id)
FROM (SELECT DISTINCT vault_id FROM wallets) AS known;

CREATE TABLE addresses_in_runs (
    run BIGINT NOT NULL,
    payload BLOB NOT NULL,
    kind BIGINT NOT NULL,
    wallet_id BLOB NOT NULL,
    PRIMARY KEY (run, payload, kind)
) WITHOUT ROWID;

-- An entry whose wallet is gone is kept, in run 0: it is the evidence that the wallet was there.
INSERT INTO addresses_in_runs (run, payload, kind, wallet_id)
SELECT COALESCE(v.number * 262144 + w.derivation_index / 8192, 0), a.payload, a.kind, a.wallet_id
FROM addresses a
LEFT JOIN wallets w ON w.id = a.wallet_id
LEFT JOIN address_vaults v ON v.vault_id = w.vault_id
ORDER BY 1, 2, 3;

DROP TABLE addresses;
ALTER TABLE addresses_in_runs RENAME TO addresses;
