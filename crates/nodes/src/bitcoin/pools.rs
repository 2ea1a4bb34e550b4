//! What one node has in its mempool, beside which tip, and who spends what of its outputs there.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use coffer_chains::bitcoin::block::{Transaction, read_transaction};
use coffer_domain::block::{BlockRef, TransactionHash};
use coffer_domain::output::OutputId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::BitcoinSource;
use super::connect::hash;
use crate::Tracked;
use crate::json_rpc::{Answer, Call, Node, RpcError, decode};

/// Outputs asked for in one call.
const OUTPUTS_PER_CALL: usize = 1000;
/// Outputs asked for in one look. Of what is beyond it is not learned what took its place, only that it went.
const OUTPUTS_MAX: usize = 20_000;
/// Transactions read in one go; their bytes are let go of before the next.
const READ_AT_ONCE: usize = 128;

/// What one node said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    Pool(NodePool),
    /// Its tip is another block: what it holds is beside the question.
    Elsewhere,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NodePool {
    pub(super) held: HashSet<TransactionHash>,
    /// Which transaction of its mempool spends an output; of those that it was asked for.
    pub(super) spenders: HashMap<OutputId, TransactionHash>,
}

#[derive(Deserialize)]
struct Spending<'a> {
    #[serde(borrow)]
    txid: Cow<'a, str>,
    vout: u32,
    #[serde(default, borrow)]
    spendingtxid: Option<Cow<'a, str>>,
}

impl BitcoinSource {
    pub(super) async fn pool_of(
        &self,
        node: &Node,
        tip: BlockRef,
        tracked: &[Tracked],
    ) -> Result<Told, RpcError> {
        self.chain.ready(node).await?;
        // Before and after: a block between would have taken its transactions out of the list.
        if !is_at(node, tip).await? {
            return Ok(Told::Elsewhere);
        }
        let listed = node.call("getrawmempool", json!([])).await?;
        let listed: Vec<Cow<'_, str>> = decode(&listed)?;
        let held = listed.iter().map(|text| id(text));
        let held: HashSet<TransactionHash> = held.collect::<Result<_, _>>()?;
        let vanished = tracked
            .iter()
            .filter(|one| !held.contains(&one.transaction));
        let outputs = vanished.flat_map(|one| one.inputs.iter().copied());
        let outputs: Vec<OutputId> = outputs.take(OUTPUTS_MAX).collect();
        let spenders = spenders(node, &outputs).await?;
        if !is_at(node, tip).await? {
            return Ok(Told::Elsewhere);
        }
        Ok(Told::Pool(NodePool { held, spenders }))
    }
}

async fn is_at(node: &Node, tip: BlockRef) -> Result<bool, RpcError> {
    let best = node.call("getbestblockhash", json!([])).await?;
    Ok(hash(&best)? == tip.hash)
}

async fn spenders(
    node: &Node,
    outputs: &[OutputId],
) -> Result<HashMap<OutputId, TransactionHash>, RpcError> {
    let mut spenders = HashMap::new();
    for outputs in outputs.chunks(OUTPUTS_PER_CALL) {
        let asked: Vec<Value> = outputs
            .iter()
            .map(|output| json!({ "txid": text(&output.transaction), "vout": output.number }))
            .collect();
        let answer = node.call("gettxspendingprevout", json!([asked])).await?;
        let told: Vec<Spending<'_>> = decode(&answer)?;
        for spending in told {
            if let Some(by) = &spending.spendingtxid {
                let output = OutputId {
                    transaction: id(&spending.txid)?,
                    number: spending.vout,
                };
                spenders.insert(output, id(by)?);
            }
        }
    }
    Ok(spenders)
}

/// The transactions of the list that a node gives and whose bytes hash into their ids. One that does not, or that left
/// the mempool meanwhile, is left out.
pub(super) async fn read(
    node: &Node,
    wanted: &[TransactionHash],
) -> Result<Vec<Transaction>, RpcError> {
    let mut transactions = Vec::with_capacity(wanted.len());
    for wanted in wanted.chunks(READ_AT_ONCE) {
        let calls = wanted
            .iter()
            .map(|hash| Call::new("getrawtransaction", json!([text(hash), false])));
        let calls: Vec<Call> = calls.collect();
        for (answer, hash) in node.batch(&calls).await?.into_iter().zip(wanted) {
            match transaction(answer, *hash) {
                Ok(transaction) => transactions.push(transaction),
                Err(RpcError::Rpc { .. }) => {}
                // The others of the answer are none the worse for it.
                Err(error) => node.blame(&error),
            }
        }
    }
    Ok(transactions)
}

fn transaction(answer: Answer, wanted: TransactionHash) -> Result<Transaction, RpcError> {
    let answer = answer?;
    let text: Cow<'_, str> = decode(&answer)?;
    let unbelievable = |error: String| RpcError::Unbelievable(error);
    let raw = alloy_primitives::hex::decode(text.as_bytes())
        .map_err(|error| unbelievable(error.to_string()))?;
    let transaction = read_transaction(&raw).map_err(|error| unbelievable(error.to_string()))?;
    if transaction.hash != wanted || transaction.is_coinbase {
        return Err(unbelievable(format!(
            "it gave transaction {} for {wanted}",
            transaction.hash
        )));
    }
    Ok(transaction)
}

/// An id as nodes write it: without `0x`.
fn text(hash: &TransactionHash) -> String {
    alloy_primitives::hex::encode(hash.0)
}

fn id(text: &str) -> Result<TransactionHash, RpcError> {
    let mut bytes = [0; 32];
    alloy_primitives::hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| RpcError::Unbelievable("an id of a transaction that is none".to_owned()))?;
    Ok(TransactionHash(bytes))
}
