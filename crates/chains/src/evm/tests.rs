use alloy_primitives::{Address, B256, Bytes, LogData, U256, address, b256};
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef, TransactionHash};
use serde_json::{Value, json};

use super::receipt::Log;
use super::trace::{Call, block_calls, calls};
use super::transfer::{TRANSFER, Transfer, transfer};
use super::{EvmError, abi, block, receipt};

const A: Address = address!("00000000000000000000000000000000000000aa");
const B: Address = address!("00000000000000000000000000000000000000bb");
const C: Address = address!("00000000000000000000000000000000000000cc");

/// The genesis block of the main net: <https://etherscan.io/block/0>, fields of the first release alone.
fn frontier() -> Value {
    json!({
        "number": "0x0",
        "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
        "parentHash": B256::ZERO.to_string(),
        "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
        "miner": Address::ZERO.to_string(),
        "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
        "transactionsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
        "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
        "logsBloom": format!("0x{}", "00".repeat(256)),
        "difficulty": "0x400000000",
        "totalDifficulty": "0x400000000",
        "gasLimit": "0x1388",
        "gasUsed": "0x0",
        "timestamp": "0x0",
        "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
        "mixHash": B256::ZERO.to_string(),
        "nonce": "0x0000000000000042",
        "size": "0x21c",
        "transactions": [],
        "uncles": [],
    })
}

fn genesis() -> BlockRef {
    let hash = b256!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3");
    BlockRef {
        height: BlockHeight(0),
        hash: BlockHash(hash.0),
    }
}

#[test]
fn a_header_is_believed_by_its_fields_and_not_by_its_stated_hash() {
    let read = |json: &Value| block::read(&json.to_string(), genesis());
    assert_eq!(read(&frontier()).map(|block| block.block), Ok(genesis()));
    for (field, value) in [
        ("stateRoot", json!(B256::ZERO.to_string())),
        ("timestamp", json!("0x1")),
        ("baseFeePerGas", json!("0x7")),
        ("withdrawalsRoot", json!(B256::ZERO.to_string())),
        ("requestsHash", json!(B256::ZERO.to_string())),
    ] {
        let mut forged = frontier();
        forged[field] = value;
        assert!(
            matches!(read(&forged), Err(EvmError::Mismatch { .. })),
            "{field}"
        );
    }
    let mut stated = frontier();
    stated["hash"] = json!(B256::ZERO.to_string());
    assert!(read(&stated).is_ok());
    for broken in [json!(null), json!({}), json!([1])] {
        assert!(matches!(read(&broken), Err(EvmError::Malformed { .. })));
    }
}

/// The signed example of EIP-155.
fn transaction() -> Value {
    json!({
        "type": "0x0", "nonce": "0x9", "gasPrice": "0x4a817c800", "gas": "0x5208",
        "to": "0x3535353535353535353535353535353535353535", "value": "0xde0b6b3a7640000",
        "input": "0x", "v": "0x25", "chainId": "0x1",
        "r": "0x28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276",
        "s": "0x67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83",
        "hash": B256::ZERO.to_string(), "from": A.to_string(),
    })
}

#[test]
fn a_transactions_hash_and_sender_are_computed_and_not_taken() {
    let read = super::transaction::Transaction::read(&transaction().to_string());
    let read = read.expect("a transaction");
    let hash = b256!("33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788");
    assert_eq!(read.hash, TransactionHash(hash.0));
    let sender = address!("9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F");
    assert_eq!(read.sender(), Ok(sender));
    let fee = U256::from(21_000_u64) * U256::from(20_000_000_000_u64);
    assert_eq!(read.fee(21_000, None), fee);
}

#[test]
fn transactions_and_withdrawals_that_the_header_does_not_cover_are_refused() {
    let mut added = frontier();
    added["transactions"] = json!([transaction()]);
    let refused = block::read(&added.to_string(), genesis());
    assert!(
        matches!(
            refused,
            Err(EvmError::Mismatch {
                what: "transactions",
                ..
            })
        ),
        "{refused:?}"
    );
    let mut added = frontier();
    added["withdrawals"] = json!([{ "index": "0x0", "validatorIndex": "0x0", "address": A.to_string(), "amount": "0x1" }]);
    let block = block::read(&added.to_string(), genesis()).expect("it verifies");
    assert_eq!(block.withdrawals, [], "nothing covers them");
}

fn log(topics: &[B256], data: Vec<u8>) -> Log {
    Log {
        address: C,
        data: LogData::new_unchecked(topics.to_vec(), Bytes::from(data)),
    }
}

fn word(number: u64) -> Vec<u8> {
    U256::from(number).to_be_bytes::<32>().to_vec()
}

#[test]
fn only_the_event_of_the_standard_is_a_transfer() {
    let (a, b) = (A.into_word(), B.into_word());
    let found = transfer(&log(&[TRANSFER, a, b], word(7)));
    let units = U256::from(7);
    assert_eq!(
        found,
        Some(Transfer {
            contract: C,
            from: A,
            to: B,
            units
        })
    );
    let dirty = B256::repeat_byte(1);
    for (why, other) in [
        ("zero", log(&[TRANSFER, a, b], word(0))),
        ("another event", log(&[a, a, b], word(7))),
        ("two topics", log(&[TRANSFER, a], word(7))),
        ("four topics", log(&[TRANSFER, a, b, b], word(7))),
        ("no data", log(&[TRANSFER, a, b], Vec::new())),
        ("short data", log(&[TRANSFER, a, b], vec![7; 31])),
        (
            "long data",
            log(&[TRANSFER, a, b], [word(7), word(7)].concat()),
        ),
        ("no address", log(&[TRANSFER, a, dirty], word(7))),
    ] {
        assert_eq!(transfer(&other), None, "{why}");
    }
}

fn receipt(kind: &str, gas: &str, removed: bool) -> Value {
    json!({ "type": kind, "status": "0x1", "cumulativeGasUsed": gas, "logsBloom": "0x", "logs": [{
        "address": C.to_string(), "topics": [TRANSFER.to_string(), A.into_word().to_string(), B.into_word().to_string()],
        "data": format!("0x{:064x}", 7), "removed": removed,
    }]})
}

fn root_of(receipts: &Value) -> B256 {
    let refused = receipt::read(&receipts.to_string(), B256::ZERO, 0);
    let Err(EvmError::Mismatch { found, .. }) = refused else {
        panic!("{refused:?}")
    };
    found.parse().expect("a hash")
}

#[test]
fn receipts_give_one_root_whatever_is_said_beside_them() {
    let honest = json!([
        receipt("0x0", "0x5208", false),
        receipt("0x2", "0xa410", false)
    ]);
    let root = root_of(&honest);
    let removed = json!([
        receipt("0x0", "0x5208", true),
        receipt("0x2", "0xa410", false)
    ]);
    assert_eq!(root_of(&removed), root, "no hash covers `removed`");
    let read = receipt::read(&removed.to_string(), root, 2).expect("they verify");
    assert_eq!(
        read.iter().map(|one| one.gas_used).collect::<Vec<_>>(),
        [21_000, 21_000]
    );
    assert_eq!(
        transfer(&read[0].logs[0]).map(|transfer| transfer.to),
        Some(B)
    );
    assert!(receipt::read(&honest.to_string(), root, 3).is_err());
    for (at, field, value) in [
        (0, "type", json!("0x2")),
        (0, "status", json!("0x0")),
        (1, "cumulativeGasUsed", json!("0xa411")),
        (1, "logs", json!([])),
    ] {
        let mut forged = honest.clone();
        forged[at][field] = value;
        assert_ne!(root_of(&forged), root, "{field}");
    }
}

fn frame(kind: &str, value: Option<&str>, error: bool, inner: &[Value]) -> Value {
    let mut frame =
        json!({ "type": kind, "from": A.to_string(), "to": B.to_string(), "calls": inner });
    if let Some(value) = value {
        frame["value"] = json!(value);
    }
    if error {
        frame["error"] = json!("execution reverted");
    }
    frame
}

fn moved(json: &Value) -> Vec<(u32, u64)> {
    let calls = calls(&json.to_string()).expect("a trace");
    let pair = |call: &Call| (call.ordinal, call.wei.to::<u64>());
    calls.iter().map(pair).collect()
}

#[test]
fn frames_are_numbered_depth_first_and_count_only_if_nothing_above_them_failed() {
    let tree = frame(
        "CALL",
        Some("0x1"),
        false,
        &[
            frame(
                "DELEGATECALL",
                Some("0x1"),
                false,
                &[frame("CALL", Some("0x2"), false, &[])],
            ),
            frame(
                "CALL",
                Some("0x3"),
                true,
                &[frame("CALL", Some("0x4"), false, &[])],
            ),
            frame("STATICCALL", None, false, &[]),
            frame("CALLCODE", Some("0x9"), false, &[]),
            frame("CREATE2", Some("0x5"), false, &[]),
            frame("CREATE", Some("0x0"), false, &[]),
            frame("SELFDESTRUCT", Some("0x6"), false, &[]),
        ],
    );
    assert_eq!(moved(&tree), [(0, 1), (2, 2), (7, 5), (9, 6)]);
    let failed = frame(
        "CALL",
        Some("0x1"),
        true,
        &[frame("CALL", Some("0x2"), false, &[])],
    );
    assert_eq!(moved(&failed), []);
}

#[test]
fn a_trace_as_deep_as_the_chain_allows_is_read() {
    let mut text = frame("CALL", Some("0x7"), false, &[]).to_string();
    for _ in 0..1024 {
        let outer = frame("CALL", None, false, &[]).to_string();
        text = outer.replace("\"calls\":[]", &format!("\"calls\":[{text}]"));
    }
    let found = calls(&text).expect("it is read");
    assert_eq!(
        found.iter().map(|call| call.ordinal).collect::<Vec<_>>(),
        [1024]
    );
}

#[test]
fn traces_that_leave_a_transaction_out_are_refused() {
    let hashes = [TransactionHash([1; 32]), TransactionHash([2; 32])];
    let traced = |byte: u8| {
        let hash = B256::repeat_byte(byte).to_string();
        json!({ "txHash": hash, "result": frame("CALL", Some("0x1"), false, &[]) })
    };
    let read = |json: Value| block_calls(&json.to_string(), &hashes);
    assert_eq!(
        read(json!([traced(1), traced(2)])).map(|calls| calls.len()),
        Ok(2)
    );
    assert!(read(json!([traced(1)])).is_err());
    assert!(read(json!([traced(2), traced(1)])).is_err());
    assert!(read(json!([traced(1), { "error": "out of time" }])).is_err());
}

#[test]
fn answers_of_contracts_decode_or_are_none() {
    assert_eq!(abi::number(&word(9)), Some(U256::from(9)));
    assert_eq!(abi::number(&[]), None);
    let mut bytes32 = [0; 32];
    bytes32[..3].copy_from_slice(b"MKR");
    assert_eq!(abi::symbol_text(&bytes32).as_deref(), Some("MKR"));
    let mut text = [word(32), word(4)].concat();
    text.extend(b"USDC");
    text.resize(96, 0);
    assert_eq!(abi::symbol_text(&text).as_deref(), Some("USDC"));
    assert_eq!(abi::symbol_text(&[]), None);
    assert_eq!(abi::symbol_text(&[0xff; 32]), None);
    assert_eq!(abi::aggregated(&[], 0), None);
    let selector = alloy_primitives::keccak256("aggregate3((address,bool,bytes)[])");
    assert_eq!(abi::aggregate(&[abi::coin_balance(A)])[..4], selector[..4]);
}
