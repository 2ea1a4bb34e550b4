//! The canonical chain, decoded a second time: everything that came to an address of ours.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, Result, bail, ensure};
use ruint::aliases::U256;
use serde_json::{Value, json};

use super::super::chain::{Chain, Counts, GainKey, Movement, MovementKey, Tip};
use super::super::tables::{Address, NetworkRow, Tables};
use super::super::values::{bytes, fixed, quantity, small};
use super::Evm;

/// `keccak256("Transfer(address,address,uint256)")`, EIP-20.
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

struct Block {
    height: i64,
    hash: [u8; 32],
    parent: Option<[u8; 32]>,
    transactions: usize,
}

/// Reads from the first block to the tip.
pub(super) async fn read(
    tables: &Tables,
    (node, network): (&Evm, &NetworkRow),
    tip: Tip,
) -> Result<Chain> {
    let heights: Vec<u64> = (tip.first..=tip.height).collect();
    let blocks: Result<Vec<Block>> = node.blocks(&heights).await?.iter().map(Block::of).collect();
    let blocks = blocks?;
    let mut reader = Reader::new(tables, network);
    let mut counts: BTreeMap<i64, Counts> = blocks
        .iter()
        .map(|block| (block.height, Counts::default()))
        .collect();
    for block in blocks.iter().filter(|block| block.transactions > 0) {
        counts.insert(block.height, reader.block(node, block).await?);
    }
    let gains = reader.gains(node, &blocks).await?;
    Ok(Chain {
        tip,
        blocks: counts,
        movements: reader.movements,
        gains,
        outputs: HashMap::new(),
    })
}

impl Block {
    fn of(block: &Value) -> Result<Self> {
        ensure!(!block.is_null(), "the node has lost a block meanwhile");
        let height = i64::try_from(small(&block["number"])?)?;
        Ok(Self {
            height,
            hash: fixed(&block["hash"])?,
            parent: (height > 0)
                .then(|| fixed(&block["parentHash"]))
                .transpose()?,
            transactions: block["transactions"].as_array().map_or(0, Vec::len),
        })
    }
}

struct Reader {
    ours: HashSet<Address>,
    tokens: HashSet<[u8; 20]>,
    native: bool,
    movements: HashMap<MovementKey, Movement>,
    /// What left an address of ours.
    left: HashMap<GainKey, U256>,
}

impl Reader {
    fn new(tables: &Tables, network: &NetworkRow) -> Self {
        let assets = tables.assets.iter();
        let assets: Vec<_> = assets
            .filter(|asset| asset.network == network.id && asset.state != "disabled")
            .collect();
        let ours = tables.ours().filter(|one| Evm::KINDS.contains(&one.kind));
        Self {
            ours: ours.cloned().collect(),
            tokens: assets.iter().filter_map(|asset| asset.contract).collect(),
            native: assets.iter().any(|asset| asset.contract.is_none()),
            movements: HashMap::new(),
            left: HashMap::new(),
        }
    }

    async fn block(&mut self, node: &Evm, block: &Block) -> Result<Counts> {
        let hash = format!("0x{}", hex::encode(block.hash));
        let tracer = json!([hash, { "tracer": "callTracer" }]);
        let answers = node
            .rpc
            .all(&[
                ("eth_getBlockReceipts", json!([{ "blockHash": hash }])),
                ("debug_traceBlockByHash", tracer),
            ])
            .await?;
        let receipts = answers[0].as_array().context("a block without receipts")?;
        let traces = answers[1].as_array().context("a block without traces")?;
        ensure!(
            receipts.len() == block.transactions && traces.len() == block.transactions,
            "block {} has {} transactions, {} receipts, {} traces",
            block.height,
            block.transactions,
            receipts.len(),
            traces.len()
        );
        let mut logs = 0;
        for (receipt, trace) in receipts.iter().zip(traces) {
            let transaction: [u8; 32] = fixed(&receipt["transactionHash"])?;
            let own = receipt["logs"]
                .as_array()
                .context("a receipt without logs")?;
            logs += own.len();
            for (position, log) in own.iter().enumerate() {
                self.log(block, (transaction, position), log)?;
            }
            if self.native && receipt["status"] == "0x1" {
                let mut frames = 0;
                self.frame(block, transaction, &trace["result"], &mut frames)?;
            }
        }
        Ok(Counts {
            transactions: i64::try_from(block.transactions)?,
            logs: i64::try_from(logs)?,
        })
    }

    fn log(
        &mut self,
        block: &Block,
        (transaction, position): ([u8; 32], usize),
        log: &Value,
    ) -> Result<()> {
        let token: [u8; 20] = fixed(&log["address"])?;
        let topics = log["topics"].as_array().context("a log without topics")?;
        let data = bytes(&log["data"])?;
        let [topic, from, to] = topics.as_slice() else {
            return Ok(());
        };
        if !self.tokens.contains(&token) || topic != TRANSFER || data.len() != 32 {
            return Ok(());
        }
        let face = U256::from_be_slice(&data);
        if let Some(from) = address_in(from)? {
            self.leaves((block.height, address(from), Some(token)), face);
        }
        if let Some(to) = address_in(to)? {
            let part = format!("log:{position}");
            self.arrives(block, (transaction, part, address(to)), Some(token), face);
        }
        Ok(())
    }

    /// A call frame and those below it, in depth-first order; a frame that failed moved nothing, and nothing
    /// below it did.
    fn frame(
        &mut self,
        block: &Block,
        transaction: [u8; 32],
        root: &Value,
        number: &mut u32,
    ) -> Result<()> {
        let mut open = vec![(root, true)];
        while let Some((frame, parent_holds)) = open.pop() {
            let holds = parent_holds && frame.get("error").is_none_or(Value::is_null);
            let here = *number;
            *number += 1;
            let kind = frame["type"].as_str().context("a frame without a type")?;
            let moves = match kind {
                "CALL" | "CREATE" | "CREATE2" | "SELFDESTRUCT" => true,
                "DELEGATECALL" | "STATICCALL" | "CALLCODE" => false,
                other => bail!("a frame of the unknown type {other}"),
            };
            let value = match &frame["value"] {
                Value::Null => U256::ZERO,
                value => quantity(value)?,
            };
            if holds && moves && !value.is_zero() && frame["to"].is_string() {
                let (from, to) = (fixed(&frame["from"])?, fixed(&frame["to"])?);
                self.leaves((block.height, address(from), None), value);
                let part = format!("call:{here}");
                self.arrives(block, (transaction, part, address(to)), None, value);
            }
            let below = frame["calls"].as_array().into_iter().flatten().rev();
            open.extend(below.map(|frame| (frame, holds)));
        }
        Ok(())
    }

    fn leaves(&mut self, key: GainKey, units: U256) {
        if self.ours.contains(&key.1) {
            let left = self.left.entry(key).or_default();
            *left = left.saturating_add(units);
        }
    }

    fn arrives(&mut self, block: &Block, key: MovementKey, token: Option<[u8; 20]>, face: U256) {
        if self.ours.contains(&key.2) {
            let movement = Movement {
                height: block.height,
                hash: block.hash,
                token,
                face,
            };
            self.movements.insert(key, movement);
        }
    }

    /// Balance after, less balance before, plus what left, for everyone to whom something came.
    async fn gains(&self, node: &Evm, blocks: &[Block]) -> Result<HashMap<GainKey, Option<U256>>> {
        let by_height: HashMap<i64, &Block> =
            blocks.iter().map(|block| (block.height, block)).collect();
        let keys: HashSet<GainKey> = self
            .movements
            .iter()
            .map(|((_, _, to), movement)| (movement.height, to.clone(), movement.token))
            .collect();
        let keys: Vec<GainKey> = keys.into_iter().collect();
        let mut asked = Vec::with_capacity(keys.len() * 2);
        for (height, owner, token) in &keys {
            let block = by_height[height];
            asked.push((owner, *token, block.hash));
            asked.push((owner, *token, block.parent.unwrap_or(block.hash)));
        }
        let balances = node.balances(&asked).await?;
        let gain = |(key, pair): (GainKey, &[U256])| {
            let after = pair[0].saturating_add(self.left.get(&key).copied().unwrap_or_default());
            (key, after.checked_sub(pair[1]))
        };
        Ok(keys.into_iter().zip(balances.chunks(2)).map(gain).collect())
    }
}

fn address(payload: [u8; 20]) -> Address {
    Address {
        kind: Evm::KINDS[0],
        payload: payload.into(),
    }
}

/// `None` when the upper twelve bytes are not zero: that is no address.
fn address_in(topic: &Value) -> Result<Option<[u8; 20]>> {
    let word: [u8; 32] = fixed(topic)?;
    let (upper, lower) = word.split_at(12);
    Ok((upper == [0; 12]).then(|| lower.try_into().expect("32 less 12 are 20 bytes")))
}
