-- What mempools would bring to wallets of ours, and what became of it. Nothing of it is in the ledger. Ended ones are
-- removed after a while; the deposits that follow stay.
CREATE TABLE unconfirmed_deposits (
    -- That of the deposit that follows when a block includes the transaction.
    id BLOB PRIMARY KEY,
    organization_id BLOB NOT NULL,
    network_id BLOB NOT NULL,
    asset_id BLOB NOT NULL,
    wallet_id BLOB NOT NULL,
    address_kind BIGINT NOT NULL,
    address BLOB NOT NULL,
    transaction_hash BLOB NOT NULL,
    part TEXT NOT NULL,
    units BLOB NOT NULL,
    -- The outputs that the transaction spends: 32 bytes of the hash and 4 of the number each.
    inputs BLOB NOT NULL,
    state TEXT NOT NULL,
    -- The transaction that took an input, and the block that settled it; NULL where there is none.
    replaced_by BLOB,
    block_height BIGINT,
    block_hash BLOB,
    detected_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    seal BLOB NOT NULL
);

CREATE INDEX unconfirmed_by_organization ON unconfirmed_deposits (organization_id, detected_at, id);
CREATE INDEX unconfirmed_by_state ON unconfirmed_deposits (network_id, state, changed_at);
CREATE INDEX unconfirmed_by_transaction ON unconfirmed_deposits (transaction_hash);
CREATE INDEX unconfirmed_by_block ON unconfirmed_deposits (network_id, block_height) WHERE block_height IS NOT NULL;
CREATE INDEX unconfirmed_by_wallet ON unconfirmed_deposits (wallet_id) WHERE state = 'detected';

-- Finds the rows whose inputs a block spends; what they spend is in the rows, under their seals.
CREATE TABLE unconfirmed_inputs (
    output_hash BLOB NOT NULL,
    output_number BIGINT NOT NULL,
    network_id BLOB NOT NULL,
    transaction_hash BLOB NOT NULL,
    PRIMARY KEY (output_hash, output_number, network_id, transaction_hash)
);

CREATE INDEX unconfirmed_inputs_by_transaction ON unconfirmed_inputs (transaction_hash);
