//! Call data of the contract ABI, as far as the test contracts need it, and Keccak-256.

use anyhow::{Context, Result, bail};
use tiny_keccak::{Hasher, Keccak};

/// One argument of a call.
#[derive(Debug, Clone)]
pub enum Arg {
    /// `uint8` to `uint256`.
    Uint(u128),
    /// 32 bytes as they are: `bytes32`, or a `uint256` beyond 128 bits.
    Word([u8; 32]),
    /// With or without `0x`.
    Address(String),
    Text(String),
    Bytes(Vec<u8>),
    Addresses(Vec<String>),
    /// `(address, bool, bytes)[]`, as `aggregate3` takes it: target, whether it may fail, call data.
    Calls(Vec<(String, bool, Vec<u8>)>),
}

impl Arg {
    #[must_use]
    pub fn address(text: &str) -> Self {
        Self::Address(text.to_owned())
    }

    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

#[must_use]
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    let mut keccak = Keccak::v256();
    keccak.update(bytes);
    let mut hash = [0; 32];
    keccak.finalize(&mut hash);
    hash
}

/// The first four bytes of the hash of `name(type,…)`.
pub(super) fn selector(signature: &str) -> [u8; 4] {
    let hash = keccak256(signature.as_bytes());
    [hash[0], hash[1], hash[2], hash[3]]
}

/// A tuple: what stands for itself at once, the rest behind, reached by offsets.
pub(super) fn encode(arguments: &[Arg]) -> Result<Vec<u8>> {
    let parts: Result<Vec<Part>> = arguments.iter().map(Part::of).collect();
    Ok(tuple(&parts?))
}

enum Part {
    Here([u8; 32]),
    Behind(Vec<u8>),
}

impl Part {
    fn of(argument: &Arg) -> Result<Self> {
        Ok(match argument {
            Arg::Uint(value) => Self::Here(word(*value)),
            Arg::Word(word) => Self::Here(*word),
            Arg::Address(text) => Self::Here(address(text)?),
            Arg::Text(text) => Self::Behind(bytes(text.as_bytes())),
            Arg::Bytes(data) => Self::Behind(bytes(data)),
            Arg::Addresses(list) => {
                let mut encoded = word(list.len() as u128).to_vec();
                for text in list {
                    encoded.extend(address(text)?);
                }
                Self::Behind(encoded)
            }
            Arg::Calls(calls) => Self::Behind(calls_list(calls)?),
        })
    }
}

fn calls_list(calls: &[(String, bool, Vec<u8>)]) -> Result<Vec<u8>> {
    let items: Result<Vec<Part>> = calls
        .iter()
        .map(|(target, may_fail, data)| {
            Ok(Part::Behind(tuple(&[
                Part::Here(address(target)?),
                Part::Here(word(u128::from(*may_fail))),
                Part::Behind(bytes(data)),
            ])))
        })
        .collect();
    let mut encoded = word(calls.len() as u128).to_vec();
    encoded.extend(tuple(&items?));
    Ok(encoded)
}

fn tuple(parts: &[Part]) -> Vec<u8> {
    let mut here: Vec<u8> = Vec::new();
    let mut behind: Vec<u8> = Vec::new();
    for part in parts {
        match part {
            Part::Here(word) => here.extend(word),
            Part::Behind(data) => {
                here.extend(word((parts.len() * 32 + behind.len()) as u128));
                behind.extend(data);
            }
        }
    }
    here.extend(behind);
    here
}

fn bytes(data: &[u8]) -> Vec<u8> {
    let mut encoded = word(data.len() as u128).to_vec();
    encoded.extend(data);
    encoded.resize(encoded.len().next_multiple_of(32), 0);
    encoded
}

fn word(value: u128) -> [u8; 32] {
    let mut word = [0; 32];
    word[16..].copy_from_slice(&value.to_be_bytes());
    word
}

fn address(text: &str) -> Result<[u8; 32]> {
    let bytes = hex::decode(text.trim_start_matches("0x")).with_context(|| text.to_owned())?;
    let mut word = [0; 32];
    if bytes.len() != 20 {
        bail!("{text} is no address");
    }
    word[12..].copy_from_slice(&bytes);
    Ok(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_abi_specification() {
        // https://docs.soliditylang.org/en/latest/abi-spec.html#examples: sam("dave", true, [1,2,3]), its list being words here.
        let list = ["1", "2", "3"].map(|digit| format!("{digit:0>40}"));
        let data = encode(&[
            Arg::Bytes(b"dave".to_vec()),
            Arg::Uint(1),
            Arg::Addresses(list.to_vec()),
        ]);
        let expected = concat!(
            "0000000000000000000000000000000000000000000000000000000000000060",
            "0000000000000000000000000000000000000000000000000000000000000001",
            "00000000000000000000000000000000000000000000000000000000000000a0",
            "0000000000000000000000000000000000000000000000000000000000000004",
            "6461766500000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000003",
            "0000000000000000000000000000000000000000000000000000000000000001",
            "0000000000000000000000000000000000000000000000000000000000000002",
            "0000000000000000000000000000000000000000000000000000000000000003",
        );
        assert_eq!(hex::encode(data.expect("it encodes")), expected);
        assert_eq!(
            hex::encode(selector("sam(bytes,bool,uint256[])")),
            "a5643bf2"
        );
    }
}
