//! What a Bitcoin node can be wrong about: hashes, raw blocks, its set of unspent outputs, where its chain ends.
//!
//! Each [`BitcoinLie`] changes one kind of answer and leaves the others as they are, but for a branch, which is
//! consistent over all of them. A block that has nothing of what a lie is about is passed on as it is, and is not
//! counted. Not here: the pool of unconfirmed transactions. A branch asks for each true block once and keeps it.

mod block;
mod branch;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::anvil::Rpc;

pub(super) use branch::Branch;

/// One way in which a node of Bitcoin can be wrong. Scripts are in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BitcoinLie {
    /// A hash that shows less work than the network takes.
    HashWithoutWork,
    /// A hash of no block.
    HashOfNothing,
    /// The true block one lower.
    HashOfLower,
    /// One digit in the middle of a raw block.
    BlockByte,
    /// Another header, with its own hash.
    BlockNonce,
    /// A target that is easier than the network's easiest.
    BlockTarget,
    /// The last transaction pays a satoshi more.
    BlockAmount,
    /// A signature, which no transaction's id covers.
    BlockWitness,
    /// The same without any witness, as a node without SegWit would tell it.
    BlockStripped,
    /// The last transaction is left out.
    BlockMissing,
    /// Two transactions have changed places.
    BlockSwapped,
    /// The end of the list is repeated, which leaves its root as it was (CVE-2012-2459).
    BlockDoubled,
    /// The reward goes to this script.
    BlockReward(String),
    /// The true block one lower, for the right question.
    BlockOfLower,
    /// A chain of its own from this height on, with work, roots and links that are right, whose rewards go to this
    /// script.
    Branch(u64, String),
    /// An unspent output is worth a satoshi more.
    ScanAmount,
    /// An unspent output is left out.
    ScanHidden,
    /// An unspent output is listed twice.
    ScanDoubled,
    /// The set is said to be of another block.
    ScanElsewhere,
    ScanAborted,
}

impl BitcoinLie {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::HashWithoutWork => "hash-without-work",
            Self::HashOfNothing => "hash-of-nothing",
            Self::HashOfLower => "hash-of-lower",
            Self::BlockByte => "block-byte",
            Self::BlockNonce => "block-nonce",
            Self::BlockTarget => "block-target",
            Self::BlockAmount => "block-amount",
            Self::BlockWitness => "block-witness",
            Self::BlockStripped => "block-stripped",
            Self::BlockMissing => "block-missing",
            Self::BlockSwapped => "block-swapped",
            Self::BlockDoubled => "block-doubled",
            Self::BlockReward(_) => "block-reward",
            Self::BlockOfLower => "block-of-lower",
            Self::Branch(..) => "branch",
            Self::ScanAmount => "scan-amount",
            Self::ScanHidden => "scan-hidden",
            Self::ScanDoubled => "scan-doubled",
            Self::ScanElsewhere => "scan-elsewhere",
            Self::ScanAborted => "scan-aborted",
        }
    }

    /// Every kind, around a height, for a script of ours.
    #[must_use]
    pub fn all(from: u64, script: &str) -> Vec<Self> {
        vec![
            Self::HashWithoutWork,
            Self::HashOfNothing,
            Self::HashOfLower,
            Self::BlockByte,
            Self::BlockNonce,
            Self::BlockTarget,
            Self::BlockAmount,
            Self::BlockWitness,
            Self::BlockStripped,
            Self::BlockMissing,
            Self::BlockSwapped,
            Self::BlockDoubled,
            Self::BlockReward(script.to_owned()),
            Self::BlockOfLower,
            Self::Branch(from, script.to_owned()),
            Self::ScanAmount,
            Self::ScanHidden,
            Self::ScanDoubled,
            Self::ScanElsewhere,
            Self::ScanAborted,
        ]
    }

    /// By its name on the command line; `branch=HEIGHT:SCRIPT`, `block-reward=SCRIPT`.
    pub(super) fn named(name: &str, value: &str) -> Result<Self> {
        let (height, script) = value.split_once(':').unwrap_or(("0", value));
        let mut all = Self::all(height.parse().unwrap_or(0), script).into_iter();
        match all.find(|lie| lie.name() == name) {
            Some(lie) => Ok(lie),
            None => bail!("there is no lie {name}"),
        }
    }

    /// Changes what the node behind answered.
    pub(super) async fn tell(
        &self,
        node: &Rpc,
        (method, params): (&str, &Value),
        result: &mut Value,
        branch: &mut Branch,
    ) -> Result<()> {
        match (self, method) {
            (Self::Branch(from, script), _) => {
                branch
                    .tell(node, (*from, script), (method, params), result)
                    .await?;
            }
            (Self::HashWithoutWork, "getblockhash") => *result = json!("f".repeat(64)),
            (Self::HashOfNothing, "getblockhash") => {
                if let Some(text) = result.as_str() {
                    let last = if text.ends_with('0') { '1' } else { '0' };
                    *result = json!(format!("{}{last}", &text[..text.len() - 1]));
                }
            }
            (Self::HashOfLower, "getblockhash") => {
                let height = params[0].as_u64().unwrap_or_default();
                *result = node.call(method, json!([height.saturating_sub(1)])).await?;
            }
            (Self::BlockOfLower, "getblock") => {
                if let Some(lower) = result.as_str().and_then(block::parent) {
                    *result = node.call(method, json!([lower, 0])).await?;
                }
            }
            (_, "getblock") => {
                let altered = result.as_str().and_then(|raw| block::altered(self, raw));
                if let Some(raw) = altered {
                    *result = json!(raw);
                }
            }
            (_, "scantxoutset") => self.scan(result),
            _ => {}
        }
        Ok(())
    }

    fn scan(&self, result: &mut Value) {
        match self {
            Self::ScanElsewhere => result["bestblock"] = json!("1".repeat(64)),
            Self::ScanAborted => result["success"] = json!(false),
            _ => {}
        }
        let Some(unspents) = result["unspents"].as_array_mut() else {
            return;
        };
        match self {
            Self::ScanAmount => {
                if let Some(amount) = unspents.first().and_then(|one| one["amount"].as_f64()) {
                    // Rounded, so that it is printed with eight decimals again.
                    unspents[0]["amount"] = json!((amount * 1e8 + 1.0).round() / 1e8);
                }
            }
            Self::ScanHidden => drop(unspents.pop()),
            Self::ScanDoubled => {
                if let Some(one) = unspents.first().cloned() {
                    unspents.push(one);
                }
            }
            _ => {}
        }
    }
}

/// A node whose chain ends so many blocks earlier.
pub(super) fn lag(method: &str, params: &Value, answer: &mut Value, head: u64) {
    match method {
        "getblockchaininfo" => answer["result"]["blocks"] = json!(head),
        "getblockhash" if params[0].as_u64() > Some(head) => {
            *answer = json!({
                "jsonrpc": "2.0",
                "id": answer["id"],
                "error": { "code": -8, "message": "Block height out of range" },
            });
        }
        _ => {}
    }
}
