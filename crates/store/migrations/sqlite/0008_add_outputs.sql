-- Outputs of Bitcoin-like chains that pay wallets of ours, in blocks of the chain that is followed. A block that is
-- taken back takes its rows with it; the deposit of each stays, retracted.
CREATE TABLE outputs (
    network_id BLOB NOT NULL,
    transaction_hash BLOB NOT NULL,
    number BIGINT NOT NULL,
    asset_id BLOB NOT NULL,
    wallet_id BLOB NOT NULL,
    address_kind BIGINT NOT NULL,
    address BLOB NOT NULL,
    units BLOB NOT NULL,
    block_height BIGINT NOT NULL,
    block_hash BLOB NOT NULL,
    is_coinbase BIGINT NOT NULL,
    -- The transaction that spends it and that one's block; NULL while it is unspent.
    spent_by BLOB,
    spent_height BIGINT,
    spent_hash BLOB,
    version BIGINT NOT NULL,
    seal BLOB NOT NULL,
    PRIMARY KEY (transaction_hash, number, network_id)
);

CREATE INDEX outputs_by_block ON outputs (network_id, block_height);
CREATE INDEX outputs_by_spend ON outputs (network_id, spent_height) WHERE spent_height IS NOT NULL;
CREATE INDEX outputs_unspent ON outputs (wallet_id) WHERE spent_height IS NULL;
