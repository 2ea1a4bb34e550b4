//! A deposit that never was.

use std::str::FromStr;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::header::receipts_bloom;
use crate::anvil::keccak256;

/// A Transfer of a token from nobody, which the liar claims the last transaction of each block has logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invention {
    pub token: String,
    pub to: String,
    pub units: u128,
}

impl Invention {
    /// Adds the log to the last of a block's receipts, its bloom included, or to a list of logs. Where there is
    /// neither there is nothing to add it to.
    pub(super) fn add_to(&self, result: &mut Value) {
        let Some(list) = result.as_array_mut() else {
            return;
        };
        if list
            .iter()
            .any(|item| item.get("cumulativeGasUsed").is_some())
        {
            self.add_to_receipts(list);
        } else if let Some(last) = list.last().filter(|last| last.get("topics").is_some()) {
            let index = last["logIndex"]
                .as_str()
                .and_then(|text| text.strip_prefix("0x"));
            let index = index.and_then(|digits| u64::from_str_radix(digits, 16).ok());
            let log = self.log(last, index.unwrap_or_default() + 1);
            list.push(log);
        }
    }

    fn add_to_receipts(&self, receipts: &mut [Value]) {
        let logs = receipts
            .iter()
            .filter_map(|receipt| receipt["logs"].as_array());
        let count: usize = logs.map(Vec::len).sum();
        if let Some(last) = receipts.last_mut() {
            let log = self.log(last, count as u64);
            if let Some(logs) = last["logs"].as_array_mut() {
                logs.push(log);
            }
            last["logsBloom"] = json!(receipts_bloom(std::slice::from_ref(last)));
        }
    }

    /// `beside` is a receipt or a log of the transaction that is to have logged it.
    fn log(&self, beside: &Value, index: u64) -> Value {
        let topic = hex::encode(keccak256(b"Transfer(address,address,uint256)"));
        let to = self.to.trim_start_matches("0x").to_lowercase();
        let mut log = json!({
            "address": self.token.to_lowercase(),
            "topics": [format!("0x{topic}"), format!("0x{:0>64}", 0), format!("0x{to:0>64}")],
            "data": format!("{:#066x}", self.units),
            "logIndex": format!("{index:#x}"),
            "removed": false,
        });
        for name in [
            "blockHash",
            "blockNumber",
            "transactionHash",
            "transactionIndex",
        ] {
            log[name] = beside[name].clone();
        }
        log
    }
}

impl FromStr for Invention {
    type Err = anyhow::Error;

    /// `token:to:units`
    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split(':');
        let mut next = || parts.next().context("an invention is token:to:units");
        Ok(Self {
            token: next()?.to_owned(),
            to: next()?.to_owned(),
            units: next()?.parse()?,
        })
    }
}
