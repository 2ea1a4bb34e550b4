use bitcoin::consensus;
use bitcoin::hashes::Hash;
use coffer_domain::address::{AddressKind, BitcoinNetwork};
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use serde::Deserialize;

use super::block::{has_least_work, read, read_transaction};
use super::{BitcoinError, script};

/// A block that a regtest node made, beside what that node says of it.
#[derive(Deserialize)]
struct Told {
    hash: String,
    height: u64,
    previous: String,
    time: u64,
    merkle_root: String,
    raw: String,
    transactions: Vec<ToldTransaction>,
}

#[derive(Deserialize)]
struct ToldTransaction {
    txid: String,
    spends: Vec<String>,
    outputs: Vec<ToldOutput>,
}

#[derive(Deserialize)]
struct ToldOutput {
    sats: u64,
    script: String,
}

fn told() -> Told {
    let text = include_str!("../../tests/vectors/bitcoin-regtest-block.json");
    serde_json::from_str(text).expect("a block")
}

fn at(hash: &str, height: u64) -> BlockRef {
    let hash = hex::decode(hash).expect("hexadecimal");
    BlockRef {
        height: BlockHeight(height),
        hash: BlockHash(hash.try_into().expect("32 bytes")),
    }
}

impl Told {
    fn at(&self) -> BlockRef {
        at(&self.hash, self.height)
    }

    fn raw(&self) -> Vec<u8> {
        hex::decode(&self.raw).expect("hexadecimal")
    }
}

#[test]
fn a_block_says_what_the_node_that_made_it_says() {
    let told = told();
    let block = read(&told.raw(), told.at(), BitcoinNetwork::Regtest).expect("verifies");
    assert_eq!(block.block, told.at());
    assert_eq!(hex::encode(block.parent.0), told.previous);
    assert_eq!(block.unix_s, told.time);
    assert_eq!(hex::encode(block.merkle_root), told.merkle_root);
    assert_eq!(block.transactions.len(), told.transactions.len());
    let mut kinds = Vec::new();
    for (transaction, told) in block.transactions.iter().zip(&told.transactions) {
        assert_eq!(hex::encode(transaction.hash.0), told.txid);
        assert_eq!(transaction.is_coinbase, told.spends.is_empty());
        let spends = transaction.spends.iter();
        let spends: Vec<_> = spends
            .map(|output| format!("{}:{}", hex::encode(output.transaction.0), output.number))
            .collect();
        assert_eq!(spends, told.spends);
        assert_eq!(transaction.outputs.len(), told.outputs.len());
        for (output, told) in transaction.outputs.iter().zip(&told.outputs) {
            assert_eq!(output.sats, told.sats);
            let expected = hex::decode(&told.script).expect("hexadecimal");
            match output.to {
                Some(to) => {
                    assert_eq!(script::script(&to), Some(expected));
                    kinds.push(to.kind());
                }
                None => {
                    assert!(!told.script.starts_with("0014") && !told.script.starts_with("5120"))
                }
            }
        }
    }
    assert!(kinds.contains(&AddressKind::BitcoinP2tr));
    assert!(kinds.contains(&AddressKind::BitcoinP2wpkh));
    let spends = block.spends().count();
    let inputs = told.transactions.iter().map(|one| one.spends.len());
    assert_eq!(spends, inputs.sum::<usize>());
}

#[test]
fn no_byte_of_a_block_can_be_changed() {
    let told = told();
    let raw = told.raw();
    for position in 0..raw.len() {
        for bit in [0x01, 0x80] {
            let mut forged = raw.clone();
            forged[position] ^= bit;
            let read = read(&forged, told.at(), BitcoinNetwork::Regtest);
            assert!(read.is_err(), "byte {position}, bit {bit:#x}");
        }
    }
    for length in [0, 79, 80, 81, raw.len() - 1] {
        assert!(read(&raw[..length], told.at(), BitcoinNetwork::Regtest).is_err());
    }
    let longer = [&raw[..], &[0]].concat();
    assert!(read(&longer, told.at(), BitcoinNetwork::Regtest).is_err());
}

#[test]
fn witnesses_cannot_be_left_out() {
    let told = told();
    let mut block: bitcoin::Block = consensus::deserialize(&told.raw()).expect("a block");
    for transaction in &mut block.txdata {
        for input in &mut transaction.input {
            input.witness.clear();
        }
    }
    let bare = consensus::serialize(&block);
    let error = read(&bare, told.at(), BitcoinNetwork::Regtest).expect_err("is refused");
    assert!(matches!(error, BitcoinError::Impossible(_)), "{error}");
}

#[test]
fn a_list_that_repeats_its_end_is_refused_although_its_root_is_right() {
    let told = told();
    let mut block: bitcoin::Block = consensus::deserialize(&told.raw()).expect("a block");
    assert_eq!(
        block.txdata.len() % 2,
        1,
        "an odd number has its last hashed with itself"
    );
    let last = block.txdata.last().cloned().expect("not empty");
    block.txdata.push(last);
    assert!(block.check_merkle_root(), "the root alone does not tell");
    let forged = consensus::serialize(&block);
    let error = read(&forged, told.at(), BitcoinNetwork::Regtest).expect_err("is refused");
    assert!(matches!(error, BitcoinError::Impossible(_)), "{error}");
}

#[test]
fn another_height_or_another_hash_is_not_this_block() {
    let told = told();
    let raw = told.raw();
    let other = BlockRef {
        height: BlockHeight(told.height + 1),
        ..told.at()
    };
    assert!(read(&raw, other, BitcoinNetwork::Regtest).is_err());
    let other = at(&told.previous, told.height);
    assert!(read(&raw, other, BitcoinNetwork::Regtest).is_err());
}

#[test]
fn regtest_work_is_too_little_elsewhere() {
    let told = told();
    for network in [
        BitcoinNetwork::Mainnet,
        BitcoinNetwork::Testnet,
        BitcoinNetwork::Signet,
    ] {
        let read = read(&told.raw(), told.at(), network);
        assert_eq!(read, Err(BitcoinError::Work), "{network}");
        assert!(!has_least_work(told.at().hash, network), "{network}");
    }
    assert!(has_least_work(told.at().hash, BitcoinNetwork::Regtest));
    assert!(!has_least_work(
        BlockHash([0xff; 32]),
        BitcoinNetwork::Regtest
    ));
}

/// Enough for the network is not enough for a header that claims more; what is no target at all is met by nothing.
#[test]
fn the_hash_meets_the_target_that_the_header_claims() {
    let told = told();
    let claimed = |bits: u32| {
        let mut block: bitcoin::Block = consensus::deserialize(&told.raw()).expect("a block");
        block.header.bits = bitcoin::CompactTarget::from_consensus(bits);
        let mut hash = block.block_hash().to_byte_array();
        hash.reverse();
        let at = BlockRef {
            hash: BlockHash(hash),
            ..told.at()
        };
        let raw = consensus::serialize(&block);
        read(&raw, at, BitcoinNetwork::Regtest)
    };
    // The main network's easiest; nothing; negative; more than 256 bits; easier than the network's limit.
    for bits in [0x1d00_ffff, 0, 0x2080_0001, 0x2300_ffff, 0x2100_ffff] {
        assert_eq!(claimed(bits), Err(BitcoinError::Work), "{bits:08x}");
    }
}

#[test]
fn heights_below_seventeen_are_opcodes() {
    #[derive(Deserialize)]
    struct Low {
        hash: String,
        height: u64,
        raw: String,
    }
    let text = include_str!("../../tests/vectors/bitcoin-regtest-low-block.json");
    let low: Low = serde_json::from_str(text).expect("a block");
    let raw = hex::decode(&low.raw).expect("hexadecimal");
    let block = at(&low.hash, low.height);
    assert!(read(&raw, block, BitcoinNetwork::Regtest).is_ok());
    let other = at(&low.hash, low.height + 1);
    assert!(read(&raw, other, BitcoinNetwork::Regtest).is_err());
}

#[test]
fn the_first_blocks_of_all_networks_verify() {
    for (network, ours, hash) in [
        (
            bitcoin::Network::Bitcoin,
            BitcoinNetwork::Mainnet,
            "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
        ),
        (
            bitcoin::Network::Testnet,
            BitcoinNetwork::Testnet,
            "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
        ),
        (
            bitcoin::Network::Signet,
            BitcoinNetwork::Signet,
            "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
        ),
        (
            bitcoin::Network::Regtest,
            BitcoinNetwork::Regtest,
            "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
        ),
    ] {
        let raw = consensus::serialize(&bitcoin::constants::genesis_block(network));
        let block = read(&raw, at(hash, 0), ours).expect("verifies");
        assert_eq!(block.transactions.len(), 1);
        assert_eq!(block.transactions[0].outputs[0].sats, 5_000_000_000);
        assert_eq!(block.transactions[0].outputs[0].to, None);
    }
}

#[test]
fn scripts_of_other_kinds_are_nobodys() {
    for text in [
        "",
        "00",
        "0014",
        "001400000000000000000000000000000000000000",
        "00140000000000000000000000000000000000000000000000",
        "0020000000000000000000000000000000000000000000000000000000000000000000",
        "5114000000000000000000000000000000000000000000",
        "52200000000000000000000000000000000000000000000000000000000000000000",
        "a914000000000000000000000000000000000000000087",
        "6a0548656c6c6f",
    ] {
        let bytes = hex::decode(text).expect("hexadecimal");
        assert_eq!(script::payload(&bytes), None, "{text}");
    }
}

#[test]
fn a_transaction_of_the_pool_is_read_by_its_bytes() {
    let told = told();
    let block: bitcoin::Block = consensus::deserialize(&told.raw()).expect("a block");
    let transaction = block.txdata.last().expect("not empty");
    let read = read_transaction(&consensus::serialize(transaction)).expect("reads");
    assert_eq!(
        hex::encode(read.hash.0),
        told.transactions.last().expect("same").txid
    );
    assert!(read_transaction(&[1, 2, 3]).is_err());
}
