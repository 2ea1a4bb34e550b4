//! Hashes of headers and roots of receipts, so that a lie can be consistent in itself.
//!
//! A second implementation beside the product's, from the yellow paper's appendices B (RLP) and D (trie). Tests
//! compare it with what the node says of its own blocks.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::anvil::keccak256;

/// Fields of a header in order; those of later forks are absent from older blocks.
const FIELDS: [(&str, Kind); 21] = [
    ("parentHash", Kind::Bytes),
    ("sha3Uncles", Kind::Bytes),
    ("miner", Kind::Bytes),
    ("stateRoot", Kind::Bytes),
    ("transactionsRoot", Kind::Bytes),
    ("receiptsRoot", Kind::Bytes),
    ("logsBloom", Kind::Bytes),
    ("difficulty", Kind::Number),
    ("number", Kind::Number),
    ("gasLimit", Kind::Number),
    ("gasUsed", Kind::Number),
    ("timestamp", Kind::Number),
    ("extraData", Kind::Bytes),
    ("mixHash", Kind::Bytes),
    ("nonce", Kind::Bytes),
    ("baseFeePerGas", Kind::Number),
    ("withdrawalsRoot", Kind::Bytes),
    ("blobGasUsed", Kind::Number),
    ("excessBlobGas", Kind::Number),
    ("parentBeaconBlockRoot", Kind::Bytes),
    ("requestsHash", Kind::Bytes),
];

#[derive(Clone, Copy)]
enum Kind {
    Bytes,
    Number,
}

/// The hash of a block as `eth_getBlockByHash` describes it, from its fields alone.
///
/// # Errors
/// When a field is no hexadecimal text.
pub fn header_hash(block: &Value) -> Result<String> {
    let present = FIELDS.iter().filter(|(name, _)| !block[*name].is_null());
    let fields: Result<Vec<_>> = present
        .map(|(name, kind)| {
            let bytes = bytes_of(&block[*name]).context(*name)?;
            Ok(string(match kind {
                Kind::Bytes => &bytes,
                Kind::Number => significant(&bytes),
            }))
        })
        .collect();
    Ok(text_of(&keccak256(&list(&fields?))))
}

/// The bloom of 2048 bits over a block's or one receipt's logs: three bits for each address and each topic, from
/// the first six bytes of its hash.
#[must_use]
pub fn receipts_bloom(receipts: &[Value]) -> String {
    let mut bits = [0; 256];
    let logs = receipts
        .iter()
        .filter_map(|receipt| receipt["logs"].as_array());
    for log in logs.flatten() {
        let topics = log["topics"].as_array().into_iter().flatten();
        let entries = topics.chain([&log["address"]]);
        for entry in entries.filter_map(|entry| bytes_of(entry).ok()) {
            for pair in keccak256(&entry)[..6].chunks(2) {
                let bit = usize::from(u16::from_be_bytes([pair[0], pair[1]]) % 2048);
                bits[255 - bit / 8] |= 1 << (bit % 8);
            }
        }
    }
    text_of(&bits)
}

/// The root of the trie of a block's receipts, as `eth_getBlockReceipts` describes them.
///
/// # Errors
/// When a field is missing.
pub fn receipts_root(receipts: &[Value]) -> Result<String> {
    let encoded: Result<Vec<_>> = receipts.iter().map(receipt).collect();
    Ok(text_of(&ordered_root(&encoded?)))
}

fn receipt(receipt: &Value) -> Result<Vec<u8>> {
    let number = |name: &str| -> Result<Vec<u8>> {
        Ok(string(significant(
            &bytes_of(&receipt[name]).context("a number")?,
        )))
    };
    let logs = receipt["logs"].as_array().context("logs")?;
    let logs: Result<Vec<_>> = logs.iter().map(log).collect();
    let encoded = list(&[
        number("status")?,
        number("cumulativeGasUsed")?,
        string(&bytes_of(&receipt["logsBloom"])?),
        list(&logs?),
    ]);
    // EIP-2718: the type goes before, save for the oldest.
    let kind = bytes_of(&receipt["type"]).unwrap_or_default();
    let mut typed = significant(&kind).to_vec();
    typed.extend(encoded);
    Ok(typed)
}

fn log(log: &Value) -> Result<Vec<u8>> {
    let topics = log["topics"].as_array().context("topics")?;
    let topics: Result<Vec<_>> = topics
        .iter()
        .map(|topic| Ok(string(&bytes_of(topic)?)))
        .collect();
    let parts = [
        string(&bytes_of(&log["address"])?),
        list(&topics?),
        string(&bytes_of(&log["data"])?),
    ];
    Ok(list(&parts))
}

/// Values under the keys rlp(0), rlp(1), …
fn ordered_root(values: &[Vec<u8>]) -> [u8; 32] {
    if values.is_empty() {
        return keccak256(&string(&[]));
    }
    let mut entries: Vec<(Vec<u8>, &[u8])> = values
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let key = string(significant(&(index as u64).to_be_bytes()));
            (
                key.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect(),
                value.as_slice(),
            )
        })
        .collect();
    entries.sort();
    keccak256(&node(&entries, 0))
}

/// The node that holds `entries`, all of which share their first `depth` nibbles. No key is the start of another.
fn node(entries: &[(Vec<u8>, &[u8])], depth: usize) -> Vec<u8> {
    let (first, last) = (&entries[0], &entries[entries.len() - 1]);
    if entries.len() == 1 {
        return list(&[string(&packed(&first.0[depth..], true)), string(first.1)]);
    }
    // They are sorted: what the first and the last share, all share.
    let pairs = first.0[depth..].iter().zip(&last.0[depth..]);
    let shared = pairs.take_while(|(a, b)| a == b).count();
    if shared > 0 {
        let path = packed(&first.0[depth..depth + shared], false);
        return list(&[string(&path), reference(&node(entries, depth + shared))]);
    }
    let mut children: Vec<Vec<u8>> = (0..16)
        .map(|nibble| {
            let from = entries.partition_point(|entry| entry.0[depth] < nibble);
            let to = entries.partition_point(|entry| entry.0[depth] <= nibble);
            match &entries[from..to] {
                [] => string(&[]),
                below => reference(&node(below, depth + 1)),
            }
        })
        .collect();
    children.push(string(&[]));
    list(&children)
}

/// A node of less than 32 bytes stands for itself.
fn reference(node: &[u8]) -> Vec<u8> {
    if node.len() < 32 {
        return node.to_vec();
    }
    string(&keccak256(node))
}

/// Nibbles as bytes, after a flag for leaf and odd length.
fn packed(nibbles: &[u8], leaf: bool) -> Vec<u8> {
    let odd = nibbles.len() % 2;
    let flag = if leaf { 2 } else { 0 } + odd as u8;
    let mut padded = vec![flag];
    if odd == 0 {
        padded.push(0);
    }
    padded.extend(nibbles);
    padded
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn string(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [byte] if *byte < 0x80 => vec![*byte],
        _ => with_length(bytes, 0x80),
    }
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    with_length(&items.concat(), 0xc0)
}

fn with_length(bytes: &[u8], offset: u8) -> Vec<u8> {
    let length = bytes.len().to_be_bytes();
    let length = significant(&length);
    let mut encoded = if bytes.len() < 56 {
        vec![offset + bytes.len() as u8]
    } else {
        let mut head = vec![offset + 55 + length.len() as u8];
        head.extend(length);
        head
    };
    encoded.extend(bytes);
    encoded
}

fn significant(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

fn bytes_of(value: &Value) -> Result<Vec<u8>> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let digits = digits.with_context(|| format!("{value} is no hexadecimal text"))?;
    // Quantities may have an odd number of digits.
    let even = if digits.len() % 2 == 1 {
        format!("0{digits}")
    } else {
        digits.to_owned()
    };
    Ok(hex::decode(even)?)
}

fn text_of(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}
