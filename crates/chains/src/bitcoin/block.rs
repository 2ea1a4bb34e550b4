//! A raw block as `getblock` with verbosity 0 gives it, checked against its hash.
//!
//! Every byte is covered: the header by the block's hash, the transactions by the header's root, the witnesses by
//! the commitment in the coinbase ([BIP-141](https://github.com/bitcoin/bips/blob/master/bip-0141.mediawiki)). Only
//! where a block has no witness at all there is no commitment either.

use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{Target, consensus};
use coffer_domain::address::{AddressPayload, BitcoinNetwork};
use coffer_domain::block::{BlockHash, BlockRef, TransactionHash};
use coffer_domain::output::{OutputId, Spend};

use super::error::{BitcoinError, same};
use super::{merkle, script};

/// A block whose header hashes to its hash, with enough work, and whose transactions hash into the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub block: BlockRef,
    pub parent: BlockHash,
    pub unix_s: u64,
    /// Of the transactions, as nodes print it.
    pub merkle_root: [u8; 32],
    /// The first is the coinbase.
    pub transactions: Vec<Transaction>,
}

/// What a transaction moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    pub hash: TransactionHash,
    pub is_coinbase: bool,
    /// The outputs that it spends; none of a coinbase.
    pub spends: Vec<OutputId>,
    pub outputs: Vec<Output>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    pub sats: u64,
    /// `None` for a script of a kind that is never ours.
    pub to: Option<AddressPayload>,
}

/// Sixty-four bytes could be two hashes of the tree above the transactions, read as a transaction (CVE-2017-12842).
const AMBIGUOUS_BYTES: usize = 64;

impl Block {
    /// Every output that the block spends.
    pub fn spends(&self) -> impl Iterator<Item = Spend> {
        self.transactions.iter().flat_map(|transaction| {
            transaction.spends.iter().map(|output| Spend {
                output: *output,
                by: transaction.hash,
            })
        })
    }
}

/// Reads a block and checks that it is the one that was asked for.
pub fn read(
    raw: &[u8],
    expected: BlockRef,
    network: BitcoinNetwork,
) -> Result<Block, BitcoinError> {
    let block: bitcoin::Block =
        consensus::deserialize(raw).map_err(|error| BitcoinError::malformed("block", error))?;
    let hash = BlockHash(printed(block.block_hash().to_byte_array()));
    same("header's bytes", &expected.hash, &hash)?;
    check_work(&block.header, network)?;
    check_shape(&block)?;
    let hashes: Vec<sha256d::Hash> = block
        .txdata
        .iter()
        .map(|transaction| transaction.compute_txid().to_raw_hash())
        .collect();
    let root = merkle::root(hashes.clone()).ok_or(BitcoinError::Impossible(
        "its list of transactions repeats its end",
    ))?;
    same(
        "transactions",
        &block.header.merkle_root.to_raw_hash(),
        &root,
    )?;
    check_witnesses(&block, expected, network)?;
    check_height(&block, expected, network)?;
    let transactions = block.txdata.iter().zip(hashes);
    Ok(Block {
        block: expected,
        parent: BlockHash(printed(block.header.prev_blockhash.to_byte_array())),
        unix_s: u64::from(block.header.time),
        merkle_root: printed(root.to_byte_array()),
        transactions: transactions
            .map(|(transaction, hash)| moved(transaction, hash))
            .collect(),
    })
}

/// Whether a hash alone shows the least work that the network takes.
#[must_use]
pub fn has_least_work(hash: BlockHash, network: BitcoinNetwork) -> bool {
    Target::from_be_bytes(hash.0) <= limit(network)
}

/// A hash in the order of its bytes in which nodes print it.
fn printed(mut bytes: [u8; 32]) -> [u8; 32] {
    bytes.reverse();
    bytes
}

fn limit(network: BitcoinNetwork) -> Target {
    match network {
        BitcoinNetwork::Mainnet => Target::MAX_ATTAINABLE_MAINNET,
        BitcoinNetwork::Testnet => Target::MAX_ATTAINABLE_TESTNET,
        BitcoinNetwork::Signet => Target::MAX_ATTAINABLE_SIGNET,
        BitcoinNetwork::Regtest => Target::MAX_ATTAINABLE_REGTEST,
    }
}

fn check_work(
    header: &bitcoin::block::Header,
    network: BitcoinNetwork,
) -> Result<(), BitcoinError> {
    let target = header.target();
    if target > limit(network) || !target.is_met_by(header.block_hash()) {
        return Err(BitcoinError::Work);
    }
    Ok(())
}

fn check_shape(block: &bitcoin::Block) -> Result<(), BitcoinError> {
    let mut transactions = block.txdata.iter();
    if !transactions
        .next()
        .is_some_and(bitcoin::Transaction::is_coinbase)
    {
        return Err(BitcoinError::Impossible(
            "its first transaction is no coinbase",
        ));
    }
    if transactions.any(bitcoin::Transaction::is_coinbase) {
        return Err(BitcoinError::Impossible("it has a second coinbase"));
    }
    let ambiguous = |transaction: &bitcoin::Transaction| transaction.base_size() == AMBIGUOUS_BYTES;
    if block.txdata.iter().any(ambiguous) {
        return Err(BitcoinError::Impossible(
            "a transaction of 64 bytes cannot be told from two hashes",
        ));
    }
    Ok(())
}

/// The last output of the coinbase that has the form of a commitment holds it.
fn commitment(coinbase: &bitcoin::Transaction) -> Option<&[u8]> {
    const HEAD: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];
    let scripts = coinbase
        .output
        .iter()
        .map(|output| output.script_pubkey.as_bytes());
    let found = scripts.rev().find(|script| script.starts_with(&HEAD))?;
    found.get(HEAD.len()..HEAD.len() + 32)
}

/// From this height on a block with a commitment must show what it commits to (BIP-141). Earlier ones hold
/// commitments of miners that were ready before the rule was.
fn witnesses_are_checked_from(network: BitcoinNetwork) -> u64 {
    match network {
        BitcoinNetwork::Mainnet => 481_824,
        BitcoinNetwork::Testnet => 834_624,
        BitcoinNetwork::Signet | BitcoinNetwork::Regtest => 0,
    }
}

fn check_witnesses(
    block: &bitcoin::Block,
    expected: BlockRef,
    network: BitcoinNetwork,
) -> Result<(), BitcoinError> {
    let bare = |transaction: &bitcoin::Transaction| {
        let mut inputs = transaction.input.iter();
        inputs.all(|input| input.witness.is_empty())
    };
    let is_bare = block.txdata.iter().all(bare);
    if is_bare && expected.height.0 < witnesses_are_checked_from(network) {
        return Ok(());
    }
    let Some((coinbase, others)) = block.txdata.split_first() else {
        return Err(BitcoinError::Impossible("it has no transactions"));
    };
    let input = coinbase.input.first();
    let input = input.ok_or(BitcoinError::Impossible("its coinbase has no input"))?;
    let Some(commitment) = commitment(coinbase) else {
        return if is_bare {
            Ok(())
        } else {
            Err(BitcoinError::Impossible(
                "its witnesses are not committed to",
            ))
        };
    };
    let reserved = match (input.witness.len(), input.witness.nth(0)) {
        (1, Some(reserved)) if reserved.len() == 32 => reserved,
        _ => {
            return Err(BitcoinError::Impossible(
                "its coinbase has no 32 bytes as its witness",
            ));
        }
    };
    let own = std::iter::once(sha256d::Hash::all_zeros());
    let hashes = others
        .iter()
        .map(|transaction| transaction.compute_wtxid().to_raw_hash());
    let root = merkle::root(own.chain(hashes).collect()).ok_or(BitcoinError::Impossible(
        "its list of witnesses repeats its end",
    ))?;
    let found = sha256d::Hash::hash(&[root.as_byte_array(), reserved].concat());
    let expected = sha256d::Hash::from_slice(commitment)
        .map_err(|error| BitcoinError::malformed("commitment to witnesses", error))?;
    same("witnesses", &expected, &found)
}

/// From this height on a coinbase names its block's height
/// ([BIP-34](https://github.com/bitcoin/bips/blob/master/bip-0034.mediawiki)). On a test network it is the lowest at
/// which any of its deployments asks for it.
fn heights_are_named_from(network: BitcoinNetwork) -> u64 {
    match network {
        BitcoinNetwork::Mainnet => 227_931,
        BitcoinNetwork::Testnet => 21_111,
        BitcoinNetwork::Signet | BitcoinNetwork::Regtest => 1,
    }
}

/// A node that gives another height's block by its right hash is caught here, not only by the parent's hash.
fn check_height(
    block: &bitcoin::Block,
    expected: BlockRef,
    network: BitcoinNetwork,
) -> Result<(), BitcoinError> {
    if expected.height.0 < heights_are_named_from(network) {
        return Ok(());
    }
    let script = block.txdata.first().and_then(|coinbase| {
        let input = coinbase.input.first()?;
        Some(input.script_sig.as_bytes())
    });
    let named = script
        .and_then(named_height)
        .ok_or(BitcoinError::Impossible(
            "its coinbase does not name a height",
        ))?;
    same("coinbase's bytes", &expected.height.0, &named)
}

/// The number that a script pushes first: an opcode of its own up to 16, else the least bytes, the lowest first.
fn named_height(script: &[u8]) -> Option<u64> {
    const OP_0: u8 = 0x00;
    const OP_1: u8 = 0x51;
    const OP_16: u8 = 0x60;
    const BYTES_MAX: usize = 5;
    match *script.first()? {
        OP_0 => Some(0),
        op @ OP_1..=OP_16 => Some(u64::from(op - OP_1 + 1)),
        length => {
            let length = usize::from(length);
            let bytes = script.get(1..=length).filter(|_| length <= BYTES_MAX)?;
            // The highest bit is the sign.
            let negative = bytes.last().is_none_or(|last| last & 0x80 != 0);
            let sum = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
            (!negative).then(|| bytes.iter().rev().fold(0, sum))
        }
    }
}

fn moved(transaction: &bitcoin::Transaction, hash: sha256d::Hash) -> Transaction {
    let is_coinbase = transaction.is_coinbase();
    let spends = transaction.input.iter().filter(|_| !is_coinbase);
    Transaction {
        hash: TransactionHash(printed(hash.to_byte_array())),
        is_coinbase,
        spends: spends
            .map(|input| OutputId {
                transaction: TransactionHash(printed(input.previous_output.txid.to_byte_array())),
                number: input.previous_output.vout,
            })
            .collect(),
        outputs: transaction
            .output
            .iter()
            .map(|output| Output {
                sats: output.value.to_sat(),
                to: script::payload(output.script_pubkey.as_bytes()),
            })
            .collect(),
    }
}

/// A raw transaction as the pool holds it; only its bytes say anything, nothing covers them.
pub fn read_transaction(raw: &[u8]) -> Result<Transaction, BitcoinError> {
    let transaction: bitcoin::Transaction = consensus::deserialize(raw)
        .map_err(|error| BitcoinError::malformed("transaction", error))?;
    let hash = transaction.compute_txid().to_raw_hash();
    Ok(moved(&transaction, hash))
}
