//! The blocks, folded one after the other: what each made for our addresses, and what it spent of that.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, Result, ensure};
use ruint::aliases::U256;
use serde_json::Value;

use super::super::chain::{Chain, Counts, Movement, Output, Tip};
use super::super::tables::{Address, Tables};
use super::{Bitcoin, bytes, hash, sats};

pub(super) struct Reader {
    ours: HashSet<Address>,
    pub(super) chain: Chain,
    last: Option<[u8; 32]>,
}

/// Where a transaction stands.
struct Place {
    height: i64,
    hash: [u8; 32],
}

impl Reader {
    pub(super) fn new(tables: &Tables, tip: Tip) -> Self {
        let ours = tables.ours();
        Self {
            ours: ours
                .filter(|one| Bitcoin::KINDS.contains(&one.kind))
                .cloned()
                .collect(),
            chain: Chain {
                tip,
                blocks: BTreeMap::new(),
                movements: HashMap::new(),
                gains: HashMap::new(),
                outputs: HashMap::new(),
            },
            last: None,
        }
    }

    /// The next block, as `getblock` with verbosity 2 shows it.
    pub(super) fn block(&mut self, block: &Value) -> Result<()> {
        let place = Place {
            height: block["height"].as_i64().context("a block's height")?,
            hash: hash(&block["hash"])?,
        };
        let parent = &block["previousblockhash"];
        if let Some(last) = self.last {
            ensure!(
                hash(parent)? == last,
                "the node's chain changed while it was read"
            );
        }
        self.last = Some(place.hash);
        let transactions = block["tx"]
            .as_array()
            .context("a block without transactions")?;
        let mut outputs = 0;
        for transaction in transactions {
            outputs += self.transaction(transaction, &place)?;
        }
        let counts = Counts {
            transactions: i64::try_from(transactions.len())?,
            logs: i64::try_from(outputs)?,
        };
        self.chain.blocks.insert(place.height, counts);
        Ok(())
    }

    /// Answers how many outputs it has.
    fn transaction(&mut self, transaction: &Value, place: &Place) -> Result<usize> {
        let txid = hash(&transaction["txid"])?;
        let mut is_coinbase = false;
        for input in transaction["vin"].as_array().context("inputs")? {
            if input.get("coinbase").is_some() {
                is_coinbase = true;
                continue;
            }
            let number = input["vout"].as_i64().context("an output's number")?;
            let spent = self.chain.outputs.get_mut(&(hash(&input["txid"])?, number));
            if let Some(output) = spent {
                ensure!(output.spent.is_none(), "an output that is spent twice");
                output.spent = Some((txid.to_vec(), place.height, place.hash.to_vec()));
            }
        }
        let outputs = transaction["vout"].as_array().context("outputs")?;
        for output in outputs {
            self.output(output, (txid, is_coinbase), place)?;
        }
        Ok(outputs.len())
    }

    fn output(
        &mut self,
        output: &Value,
        (txid, is_coinbase): ([u8; 32], bool),
        place: &Place,
    ) -> Result<()> {
        let script = bytes(&output["scriptPubKey"]["hex"])?;
        let Some(address) = address(&script).filter(|one| self.ours.contains(one)) else {
            return Ok(());
        };
        let number = output["n"].as_i64().context("an output's number")?;
        let units = sats(&output["value"])?;
        let part = if is_coinbase { "coinbase" } else { "output" };
        let movement = Movement {
            height: place.height,
            hash: place.hash,
            token: None,
            face: units,
        };
        let key = (txid, format!("{part}:{number}"), address.clone());
        self.chain.movements.insert(key, movement);
        let gain = (place.height, address.clone(), None);
        let gain = self.chain.gains.entry(gain).or_insert(Some(U256::ZERO));
        *gain = gain.and_then(|sum| sum.checked_add(units));
        let made = Output {
            address,
            units,
            height: place.height,
            hash: place.hash.to_vec(),
            is_coinbase,
            spent: None,
        };
        self.chain.outputs.insert((txid, number), made);
        Ok(())
    }
}

/// Whom a script pays, where it is of a kind that can be ours.
fn address(script: &[u8]) -> Option<Address> {
    let (kind, payload) = match script {
        [0x00, 20, payload @ ..] if payload.len() == 20 => (3, payload),
        [0x51, 32, payload @ ..] if payload.len() == 32 => (4, payload),
        _ => return None,
    };
    Some(Address {
        kind,
        payload: payload.to_vec(),
    })
}
