-- External ids are unique by their text instead of its hash; see docs/adr/0013. The PostgreSQL twin differs in the collation.

CREATE UNIQUE INDEX wallets_external_id ON wallets (organization_id, external_id);
DROP INDEX wallets_external_key;
ALTER TABLE wallets DROP COLUMN external_key;
