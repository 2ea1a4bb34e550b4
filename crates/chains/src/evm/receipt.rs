//! Receipts, checked against the root in the header.

use alloy_consensus::proofs::ordered_trie_root_encoded;
use alloy_primitives::{Address, B256, Bloom, Bytes, LogData};
use alloy_rlp::Encodable;
use serde::Deserialize;

use super::error::{EvmError, same};

/// The outcome of one transaction, as the root covers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Receipts from before EIP-658 do not say it, and count as successful.
    pub has_succeeded: bool,
    pub gas_used: u64,
    /// In the order in which they were written; the position is the ordinal within the transaction.
    pub logs: Vec<Log>,
}

/// A log. Whether a node calls it `removed` is covered by no hash and not looked at.
pub type Log = alloy_primitives::Log;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    #[serde(default, rename = "type")]
    kind: Option<alloy_primitives::U8>,
    #[serde(default)]
    status: Option<alloy_primitives::U8>,
    #[serde(default)]
    root: Option<Bytes>,
    cumulative_gas_used: alloy_primitives::U64,
    logs: Vec<LogJson>,
    /// Only in deposits of the OP chains.
    #[serde(default)]
    deposit_nonce: Option<alloy_primitives::U64>,
    #[serde(default)]
    deposit_receipt_version: Option<alloy_primitives::U64>,
}

#[derive(Deserialize)]
struct LogJson {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
}

/// More are refused before anything is computed: no EVM instruction writes them.
const TOPICS_MAX: usize = 4;
const OP_DEPOSIT: u8 = 0x7e;

/// Reads what `eth_getBlockReceipts` gives and checks it against the header's root and number of transactions.
pub fn read(json: &str, root: B256, transactions: usize) -> Result<Vec<Receipt>, EvmError> {
    let receipts: Vec<Json> =
        serde_json::from_str(json).map_err(|error| EvmError::malformed("receipts", error))?;
    let mut encoded = Vec::with_capacity(receipts.len());
    let mut read = Vec::with_capacity(receipts.len());
    let mut gas_before = 0;
    for receipt in receipts {
        let logs: Vec<Log> = receipt
            .logs
            .iter()
            .map(LogJson::log)
            .collect::<Result<_, _>>()?;
        encoded.push(receipt.encode(&logs));
        let cumulative = receipt.cumulative_gas_used.to::<u64>();
        read.push(Receipt {
            has_succeeded: receipt.status.is_none_or(|status| !status.is_zero()),
            gas_used: cumulative.saturating_sub(gas_before),
            logs,
        });
        gas_before = cumulative;
    }
    same("receipts", root, ordered_trie_root_encoded(&encoded))?;
    same("number of receipts", transactions, read.len())?;
    Ok(read)
}

impl LogJson {
    fn log(&self) -> Result<Log, EvmError> {
        if self.topics.len() > TOPICS_MAX {
            return Err(EvmError::malformed("log", "more than four topics"));
        }
        Ok(Log {
            address: self.address,
            data: LogData::new_unchecked(self.topics.clone(), self.data.clone()),
        })
    }
}

impl Json {
    /// Type byte and RLP of status, gas, bloom and logs. The bloom is made of the logs, whatever the node says.
    fn encode(&self, logs: &[Log]) -> Vec<u8> {
        let kind = self.kind.map_or(0, |kind| kind.to::<u8>());
        let bloom: Bloom = alloy_primitives::logs_bloom(logs);
        let mut fields = Vec::new();
        match (&self.root, self.status) {
            (Some(root), None) => root.encode(&mut fields),
            (_, status) => status
                .is_some_and(|status| !status.is_zero())
                .encode(&mut fields),
        }
        self.cumulative_gas_used.to::<u64>().encode(&mut fields);
        bloom.encode(&mut fields);
        alloy_rlp::encode_list::<Log, Log>(logs, &mut fields);
        if kind == OP_DEPOSIT {
            if let Some(nonce) = self
                .deposit_nonce
                .filter(|_| self.deposit_receipt_version.is_some())
            {
                nonce.to::<u64>().encode(&mut fields);
            }
            if let Some(version) = self.deposit_receipt_version {
                version.to::<u64>().encode(&mut fields);
            }
        }
        let mut encoded = Vec::with_capacity(fields.len() + 8);
        if kind != 0 {
            encoded.push(kind);
        }
        alloy_rlp::Header {
            list: true,
            payload_length: fields.len(),
        }
        .encode(&mut encoded);
        encoded.extend(fields);
        encoded
    }
}
