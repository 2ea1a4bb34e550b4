//! How fast Bitcoin blocks are scanned, beside how fast the node hands the same raw blocks out.
//!
//! The chain is made of transactions that anybody may spend, built here, so that making it takes seconds. Both
//! measurements ask the same node over the same number of connections; the scan asks for each block's hash as well,
//! verifies every byte, and looks each output up among the watched scripts.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::script::Builder;
use bitcoin::transaction::Version;
use bitcoin::{
    Address, Amount, OutPoint, ScriptBuf, Sequence, Target, Transaction, TxIn, TxOut, Witness,
};
use coffer_domain::address::AddressKind;
use coffer_domain::asset::AssetKind;
use coffer_domain::block::BlockRef;
use coffer_domain::id::{AssetId, NetworkId, OrganizationId, VaultId};
use coffer_domain::network::{Finality, Network, NetworkSettings, NetworkState, NodeUrl};
use coffer_nodes::bitcoin::BitcoinSource;
use coffer_nodes::{ChainSource, Limits, Random, Scope, WatchedAsset};
use coffer_platform::WatchedSet;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use super::machine;
use crate::bitcoind::{Bitcoind, Options as Node};

const REGTEST: &str = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328";
/// Questions under way at once, as the watcher has them.
const AT_ONCE: usize = 8;
/// Blocks whose hashes are asked for together, as the watcher does.
const AHEAD: usize = 64;
/// Beside the reward and the commitment of the coinbase, and the change.
const PAID_PER_BLOCK: u32 = 7;
const OUTPUTS_PER_BLOCK: u32 = PAID_PER_BLOCK + 3;
/// One output in so many is ours.
const OURS_IN: u32 = 50;
/// Payloads added to the set in one go.
const STEP: u32 = 65_536;
const PAID_SATS: u64 = 1_000;
/// Blocks handed to the node in one call.
const SUBMITTED_AT_ONCE: usize = 100;
/// A block's time is above the median of so many before it.
const MEDIAN_OF: usize = 11;
/// How the coinbase's output begins that commits to the witnesses (BIP-141).
const COMMITMENT: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];
/// The script that the chain's change is locked with: anybody may spend it.
const TRUE: [u8; 1] = [0x51];

#[derive(Debug, Clone, Copy)]
pub struct BitcoinOptions {
    pub blocks: u32,
    /// Watched scripts.
    pub addresses: u32,
}

/// Measures; the answer is a JSON object and its text for people.
///
/// # Errors
/// When the node cannot be had, or the scan finds another number of outputs than there are.
pub async fn bitcoin(options: BitcoinOptions) -> Result<(Value, String)> {
    let node = Bitcoind::start(&Node::default()).await?;
    let started = Instant::now();
    let first = make_chain(&node, options).await?;
    let made = started.elapsed().as_secs_f64();
    let set = watched(options.addresses)?;
    let source = open(&node)?;
    let last = first + u64::from(options.blocks) - 1;
    let refs = asked(&source, first, last).await?;
    let hashes: Vec<String> = refs.iter().map(|block| hex::encode(block.hash.0)).collect();
    let handed_out = hand_out(&node, &hashes).await?;
    let (scanned, outputs, found) = scan(&source, &set, (first, last)).await?;
    let expected = options.blocks * OUTPUTS_PER_BLOCK / OURS_IN;
    ensure!(
        found == u64::from(expected),
        "{found} outputs of ours were found, and {expected} were made"
    );
    let rate = |seconds: f64| f64::from(options.blocks) / seconds;
    let share = rate(scanned) / rate(handed_out) * 100.0;
    let text = format!(
        "{}\n{} blocks with {outputs} outputs, made in {made:.1} s; {} watched scripts\n\
         node hands out (baseline) {:>8.0} blocks/s\n\
         scanned                   {:>8.0} blocks/s, {share:.0} % of it; {found} outputs of ours found\n",
        machine(),
        options.blocks,
        options.addresses,
        rate(handed_out),
        rate(scanned),
    );
    let json = json!({
        "machine": machine(), "blocks": options.blocks, "outputs": outputs, "ours": found,
        "watched": options.addresses, "handed_out_per_second": rate(handed_out),
        "scanned_per_second": rate(scanned), "share_percent": share,
    });
    Ok((json, text))
}

/// A number's own 20 bytes; those below the number of watched scripts are ours.
fn payload(number: u32) -> [u8; 20] {
    let mut bytes = [0; 20];
    let mut state = u64::from(number);
    for part in bytes.chunks_mut(8) {
        // SplitMix64: different numbers give different bytes.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let length = part.len();
        part.copy_from_slice(&mixed.to_be_bytes()[..length]);
    }
    bytes[16..].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn watched(addresses: u32) -> Result<WatchedSet> {
    let set = WatchedSet::new(AddressKind::BitcoinP2wpkh, [7; 16]);
    set.reserve(addresses);
    let vault = VaultId::of_key(&[1; 32], 0);
    for first in (0..addresses).step_by(STEP as usize) {
        let numbers = first..addresses.min(first.saturating_add(STEP));
        let bytes: Vec<u8> = numbers.flat_map(payload).collect();
        set.add(vault, first, &bytes)?;
    }
    Ok(set)
}

/// A script of ours, spread over the watched ones, or a stranger's.
fn script(number: u32, is_ours: bool, options: BitcoinOptions) -> ScriptBuf {
    let whose = if is_ours {
        number.wrapping_mul(7_919) % options.addresses
    } else {
        // Behind the watched ones, so nobody's.
        options.addresses + number
    };
    ScriptBuf::from([&[0, 20][..], &payload(whose)].concat())
}

/// Makes the blocks that are scanned; answers the height of the first. They are built here and handed to the node,
/// many in one call: the node would build each of them twice, and be asked for each.
async fn make_chain(node: &Bitcoind, options: BitcoinOptions) -> Result<u64> {
    let locked = ScriptBuf::new_p2wsh(&bitcoin::WScriptHash::hash(&TRUE));
    let address = Address::from_script(&locked, bitcoin::Network::Regtest)?.to_string();
    let rich = node.mine_to(1, &address).await?.remove(0);
    node.mine(100).await?;
    let rich = node.rpc().call("getblock", json!([rich, 1])).await?;
    let txid = rich["tx"][0].as_str().context("no coinbase")?.parse()?;
    let (head, tip) = node.head().await?;
    let mut maker = Maker {
        parent: tip.parse()?,
        height: head,
        times: last_times(node, head).await?,
        coin: (OutPoint::new(txid, 0), 50 * crate::bitcoind::COIN),
        locked,
        options,
    };
    let numbers: Vec<u32> = (0..options.blocks).collect();
    for some in numbers.chunks(SUBMITTED_AT_ONCE) {
        let mut calls = Vec::with_capacity(some.len());
        for number in some {
            let block = maker.block(*number)?;
            let raw = bitcoin::consensus::encode::serialize_hex(&block);
            calls.push(("submitblock", json!([raw])));
        }
        for answer in node.rpc().batch(&calls).await? {
            let taken = answer["result"].is_null() && answer["error"].is_null();
            ensure!(taken, "the node refuses a block: {answer}");
        }
    }
    let (reached, _) = node.head().await?;
    ensure!(reached == maker.height, "the node is at {reached}");
    Ok(head + 1)
}

/// The times of the last blocks, whose median the next one must exceed.
async fn last_times(node: &Bitcoind, head: u64) -> Result<VecDeque<u32>> {
    let mut times = VecDeque::new();
    for height in head + 1 - MEDIAN_OF as u64..=head {
        let hash = node.hash_at(height).await?;
        let header = node.rpc().call("getblockheader", json!([hash])).await?;
        times.push_back(u32::try_from(header["time"].as_u64().context("no time")?)?);
    }
    Ok(times)
}

/// Builds one block on the other.
struct Maker {
    parent: bitcoin::BlockHash,
    height: u64,
    times: VecDeque<u32>,
    /// What the next block spends.
    coin: (OutPoint, u64),
    locked: ScriptBuf,
    options: BitcoinOptions,
}

impl Maker {
    fn block(&mut self, number: u32) -> Result<bitcoin::Block> {
        self.height += 1;
        let mut block = bitcoin::Block {
            header: bitcoin::block::Header {
                version: bitcoin::block::Version::from_consensus(0x2000_0000),
                prev_blockhash: self.parent,
                merkle_root: bitcoin::TxMerkleNode::all_zeros(),
                time: self.next_time(),
                bits: Target::MAX_ATTAINABLE_REGTEST.to_compact_lossy(),
                nonce: 0,
            },
            txdata: vec![self.coinbase()?, self.payment(number)],
        };
        let root = block.witness_root().context("no transactions")?;
        let commitment = bitcoin::Block::compute_witness_commitment(&root, &[0; 32]);
        let script = [&COMMITMENT[..], commitment.as_byte_array()].concat();
        block.txdata[0].output.push(TxOut {
            value: Amount::ZERO,
            script_pubkey: ScriptBuf::from(script),
        });
        let root = block.compute_merkle_root().context("no transactions")?;
        block.header.merkle_root = root;
        // Two tries on average.
        while block.header.validate_pow(block.header.target()).is_err() {
            block.header.nonce += 1;
        }
        self.parent = block.block_hash();
        Ok(block)
    }

    /// The earliest that is allowed: so many blocks in a row come too far into the future otherwise.
    fn next_time(&mut self) -> u32 {
        let mut sorted: Vec<u32> = self.times.iter().copied().collect();
        sorted.sort_unstable();
        let time = sorted[sorted.len() / 2] + 1;
        self.times.pop_front();
        self.times.push_back(time);
        time
    }

    /// It takes no reward, since there is none left after some thousand blocks of regtest.
    fn coinbase(&self) -> Result<Transaction> {
        let height = i64::try_from(self.height)?;
        let mut input = TxIn {
            previous_output: OutPoint::null(),
            script_sig: Builder::new().push_int(height).push_int(0).into_script(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        };
        input.witness.push([0; 32]);
        Ok(Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![input],
            output: vec![TxOut {
                value: Amount::ZERO,
                script_pubkey: self.locked.clone(),
            }],
        })
    }

    fn payment(&mut self, number: u32) -> Transaction {
        // Every output counts, the three that are nobody's too, so that one in fifty is ours.
        let begins = number * OUTPUTS_PER_BLOCK;
        let ours = (begins..begins + OUTPUTS_PER_BLOCK)
            .filter(|at| at.is_multiple_of(OURS_IN))
            .count();
        let mut output = Vec::new();
        for at in 0..PAID_PER_BLOCK {
            output.push(TxOut {
                value: Amount::from_sat(PAID_SATS),
                script_pubkey: script(
                    number * PAID_PER_BLOCK + at,
                    (at as usize) < ours,
                    self.options,
                ),
            });
        }
        let left = self.coin.1 - u64::from(PAID_PER_BLOCK) * PAID_SATS;
        output.push(TxOut {
            value: Amount::from_sat(left),
            script_pubkey: self.locked.clone(),
        });
        let transaction = Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![TxIn {
                previous_output: self.coin.0,
                script_sig: ScriptBuf::new(),
                sequence: Sequence::MAX,
                witness: Witness::from_slice(&[&TRUE[..]]),
            }],
            output,
        };
        let change = OutPoint::new(transaction.compute_txid(), PAID_PER_BLOCK);
        self.coin = (change, left);
        transaction
    }
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn open(node: &Bitcoind) -> Result<BitcoinSource> {
    let chain = REGTEST.parse()?;
    let organization = OrganizationId::from_bytes([1; 16]);
    let network = Network {
        id: NetworkId::of(organization, &chain),
        organization,
        chain,
        settings: NetworkSettings {
            name: "regtest".to_owned(),
            nodes: vec![NodeUrl {
                rpc: node.url_with_credentials(),
                websocket: None,
            }],
            quorum: 1,
            confirmations: one(),
            finality: Finality::Depth(one()),
            start_height: 0,
            genesis: None,
            poll_interval_ms: 1000,
        },
        state: NetworkState::Active,
        reason: None,
        resume_by: None,
        created_at_ms: 0,
        version: 1,
    };
    let random: Random = Arc::new(|| 4);
    Ok(BitcoinSource::open(&network, Limits::default(), &random)?)
}

async fn asked(source: &BitcoinSource, first: u64, last: u64) -> Result<Vec<BlockRef>> {
    let (refs, failed) = source.agreed_hashes(first..=last).await;
    if let Some(error) = failed {
        return Err(error.into());
    }
    ensure!(refs.len() as u64 == last - first + 1, "a block is missing");
    Ok(refs)
}

/// Seconds that the node takes for all raw blocks.
async fn hand_out(node: &Bitcoind, hashes: &[String]) -> Result<f64> {
    let started = Instant::now();
    let blocks = stream::iter(hashes).map(|hash| async move {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "getblock", "params": [hash, 0] });
        let (status, text) = node.rpc().post(&body).await?;
        ensure!(status == 200 && text.len() > 160, "no block {hash}");
        Ok(())
    });
    blocks.buffered(AT_ONCE).try_collect::<Vec<()>>().await?;
    Ok(started.elapsed().as_secs_f64())
}

/// Seconds, outputs seen, outputs of ours.
async fn scan(
    source: &BitcoinSource,
    set: &WatchedSet,
    (first, last): (u64, u64),
) -> Result<(f64, u64, u64)> {
    let assets = [WatchedAsset {
        id: AssetId::from_bytes([2; 16]),
        kind: AssetKind::Native,
    }];
    let scope = Scope {
        assets: &assets,
        watched: set,
    };
    let scope = &scope;
    let started = Instant::now();
    let mut each: Vec<(u64, u64)> = Vec::new();
    for begins in (first..=last).step_by(AHEAD) {
        let ends = last.min(begins + AHEAD as u64 - 1);
        let refs = asked(source, begins, ends).await?;
        let blocks = stream::iter(refs).map(|block| async move {
            let block = source.block(block, scope).await?;
            anyhow::Ok((u64::from(block.logs), block.movements.len() as u64))
        });
        let some: Vec<_> = blocks.buffered(AT_ONCE).try_collect().await?;
        each.extend(some);
    }
    let seconds = started.elapsed().as_secs_f64();
    let outputs = each.iter().map(|(outputs, _)| outputs).sum();
    let found = each.iter().map(|(_, found)| found).sum();
    Ok((seconds, outputs, found))
}

#[cfg(test)]
mod tests {
    use coffer_domain::address::AddressPayload;

    use super::*;

    #[test]
    fn numbers_have_bytes_of_their_own() {
        let address = |number| {
            AddressPayload::try_new(AddressKind::BitcoinP2wpkh, &payload(number)).expect("20 bytes")
        };
        assert_ne!(address(1), address(2));
        let set = watched(1000).expect("room");
        let ours =
            (0..2000).filter(|number| coffer_nodes::Watched::contains(&set, &address(*number)));
        assert_eq!(ours.count(), 1000);
    }
}
