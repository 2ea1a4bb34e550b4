-- External ids are unique by their text instead of its hash; see docs/adr/0013. The SQLite twin differs in the collation:
-- here it is named, since the server's own may be a language's, which compares slowly and changes with the system's libraries.

ALTER TABLE wallets ALTER COLUMN external_id TYPE TEXT COLLATE "C";
CREATE UNIQUE INDEX wallets_external_id ON wallets (organization_id, external_id);
DROP INDEX wallets_external_key;
ALTER TABLE wallets DROP COLUMN external_key;
