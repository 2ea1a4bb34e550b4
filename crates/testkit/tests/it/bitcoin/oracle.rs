//! Blocks, transactions and addresses of Bitcoin, read a second time by another library in another language
//! (`tests/oracle`), and the same.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Keypair, Secp256k1};
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, TxIn, TxOut, Witness};
use coffer_chains::bitcoin::{block, script};
use coffer_domain::address::{AddressKind, AddressPayload, BitcoinNetwork};
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use coffer_testkit::bitcoind::{Bitcoind, COIN, Options};
use serde_json::{Value, json};

const BLOCKS: u64 = 40;
const TRANSACTIONS: u32 = 3_000;
/// Of each kind, on each network.
const ADDRESSES: u32 = 250;

/// SplitMix64: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// From one; seldom so many that their number takes three bytes.
    fn count(&mut self) -> u64 {
        let most = if self.below(50) == 0 { 300 } else { 4 };
        1 + self.below(most)
    }

    fn bytes(&mut self, count: u64) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    fn hash(&mut self) -> [u8; 32] {
        self.bytes(32).try_into().expect("32 bytes")
    }

    /// The output key of some taproot address: a point of the curve.
    fn key(&mut self) -> [u8; 32] {
        let pair = Keypair::from_seckey_slice(&Secp256k1::new(), &self.hash());
        pair.expect("a secret").x_only_public_key().0.serialize()
    }
}

/// Asks the second implementation; an answer for each question, in their order.
fn ask(network: BitcoinNetwork, questions: Vec<Value>) -> Vec<Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle");
    assert!(
        folder.join("node_modules/@scure/btc-signer").is_dir(),
        "the oracle's libraries are not installed; run `npm ci` in tests/oracle, or `cargo xtask test`, which does it"
    );
    let mut node = Command::new("node")
        .arg(folder.join("oracle.mjs"))
        .args(["read", "--network", network.name()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node is installed; `cargo xtask test` says how");
    let mut stdin = node.stdin.take().expect("piped");
    let stdout = BufReader::new(node.stdout.take().expect("piped"));
    let count = questions.len();
    let asking = std::thread::spawn(move || {
        for question in questions {
            writeln!(stdin, "{question}").expect("it reads");
        }
    });
    let lines = stdout.lines().map(|line| line.expect("a line"));
    let answers: Vec<Value> = lines
        .map(|line| serde_json::from_str(&line).expect("JSON"))
        .collect();
    asking.join().expect("all was asked");
    assert!(node.wait().expect("it ends").success());
    assert_eq!(answers.len(), count);
    answers
}

fn question(ask: &str, bytes: &[u8]) -> Value {
    json!({ "ask": ask, "hex": hex::encode(bytes) })
}

/// What we read of a transaction is what the other one reads; counts the kinds of its outputs.
fn compare(
    ours: &block::Transaction,
    theirs: &Value,
    network: BitcoinNetwork,
    kinds: &mut BTreeMap<String, u32>,
) {
    assert_eq!(theirs["txid"], json!(hex::encode(ours.hash.0)), "{theirs}");
    if !ours.is_coinbase {
        let spends = ours.spends.iter();
        let spends: Vec<String> = spends
            .map(|output| format!("{}:{}", hex::encode(output.transaction.0), output.number))
            .collect();
        assert_eq!(theirs["inputs"], json!(spends), "{theirs}");
    }
    let outputs = theirs["outputs"].as_array().expect("a list");
    assert_eq!(outputs.len(), ours.outputs.len(), "{theirs}");
    for (ours, theirs) in ours.outputs.iter().zip(outputs) {
        assert_eq!(theirs["sats"], json!(ours.sats.to_string()), "{theirs}");
        let kind = theirs["kind"].as_str().expect("a kind");
        *kinds.entry(kind.to_owned()).or_default() += 1;
        let address = ours.to.map(|to| coffer_chains::encode(&to, network));
        let is_ours = matches!(kind, "wpkh" | "tr");
        assert_eq!(address.is_some(), is_ours, "{theirs}");
        if is_ours {
            assert_eq!(theirs["address"], json!(address), "{theirs}");
        }
    }
}

/// The other library's id over all bytes, which the root of the witnesses is made of.
fn compare_wtxid(raw: &[u8], theirs: &Value) {
    let decoded: bitcoin::Transaction = deserialize(raw).expect("decodes");
    let wtxid = decoded.compute_wtxid().to_string();
    assert_eq!(theirs["wtxid"], json!(wtxid), "{theirs}");
}

/// Blocks with outputs of all kinds, and at last a transaction that spends all kinds.
async fn make_blocks(node: &Bitcoind, numbers: &mut Numbers) {
    let rpc = node.rpc();
    for _ in 0..BLOCKS {
        let mut outputs = Vec::new();
        for kind in ["legacy", "p2sh-segwit", "bech32", "bech32m"] {
            let address = rpc.call("getnewaddress", json!(["", kind])).await;
            let address = address.expect("an address");
            outputs.push((
                address.as_str().expect("a text").to_owned(),
                amount(numbers),
            ));
        }
        let program = bitcoin::WitnessProgram::p2wsh(&ScriptBuf::from(numbers.bytes(9)));
        let address = bitcoin::Address::from_witness_program(program, bitcoin::Network::Regtest);
        outputs.push((address.to_string(), amount(numbers)));
        node.send_many(&outputs).await.expect("sent");
        let data = json!({ "data": hex::encode(numbers.bytes(40)) });
        let params = json!({ "outputs": [data], "fee_rate": 5 });
        let rpc_sent = send_named(node, params).await;
        assert!(rpc_sent["txid"].is_string(), "{rpc_sent}");
        node.mine(1).await.expect("mined");
    }
    let to = node.new_address().await.expect("an address");
    let all = rpc.call("sendall", json!({ "recipients": [to], "fee_rate": 5 }));
    let all = all.await.expect("sent");
    assert_eq!(all["complete"], json!(true), "{all}");
    node.mine(1).await.expect("mined");
}

fn amount(numbers: &mut Numbers) -> u64 {
    1_000 + numbers.below(COIN / 100)
}

/// The node has one wallet, which answers at the node's own address.
async fn send_named(node: &Bitcoind, params: Value) -> Value {
    node.rpc().call("send", params).await.expect("sent")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_of_a_real_node_are_read_the_same_by_the_oracle() {
    let node = Bitcoind::start(&Options::default()).await.expect("starts");
    node.fund(10).await.expect("has coins");
    make_blocks(&node, &mut Numbers(1)).await;
    let (head, _) = node.head().await.expect("answers");
    let (mut raws, mut refs) = (Vec::new(), Vec::new());
    for height in 1..=head {
        let hash = node.hash_at(height).await.expect("a block");
        let raw = node.rpc().call("getblock", json!([hash, 0])).await;
        let raw = raw.expect("a block");
        raws.push(hex::decode(raw.as_str().expect("a text")).expect("hexadecimal"));
        let hash: [u8; 32] = hex::decode(&hash)
            .expect("hexadecimal")
            .try_into()
            .expect("32 bytes");
        refs.push(BlockRef {
            height: BlockHeight(height),
            hash: BlockHash(hash),
        });
    }
    let network = BitcoinNetwork::Regtest;
    let questions = raws.iter().map(|raw| question("block", raw)).collect();
    let answers = ask(network, questions);
    let (mut kinds, mut witnesses) = (BTreeMap::new(), 0);
    for ((raw, at), theirs) in raws.iter().zip(&refs).zip(&answers) {
        assert_eq!(theirs.get("error"), None);
        let ours = block::read(raw, *at, network).expect("verifies");
        assert_eq!(theirs["hash"], json!(hex::encode(at.hash.0)));
        assert_eq!(theirs["parent"], json!(hex::encode(ours.parent.0)));
        assert_eq!(theirs["time"], json!(ours.unix_s));
        assert_eq!(theirs["said_root"], theirs["root"]);
        assert_eq!(theirs["root"], json!(hex::encode(ours.merkle_root)));
        let commitment = &theirs["commitment"];
        assert_eq!(commitment["said"], commitment["found"], "{}", at.height);
        witnesses += u32::from(!commitment.is_null());
        let transactions = theirs["transactions"].as_array().expect("a list");
        assert_eq!(transactions.len(), ours.transactions.len());
        let decoded: bitcoin::Block = deserialize(raw).expect("decodes");
        for ((ours, theirs), bytes) in ours
            .transactions
            .iter()
            .zip(transactions)
            .zip(&decoded.txdata)
        {
            compare(ours, theirs, network, &mut kinds);
            compare_wtxid(&serialize(bytes), theirs);
        }
    }
    assert_eq!(u64::from(witnesses), head, "each has a commitment");
    for kind in ["pkh", "sh", "wpkh", "wsh", "tr", "unknown"] {
        let count = kinds.get(kind).copied().unwrap_or_default();
        assert!(count >= 40, "{kind}: {kinds:?}");
    }
}

fn random_script(numbers: &mut Numbers) -> ScriptBuf {
    let with =
        |head: &[u8], program: &[u8], tail: &[u8]| ScriptBuf::from([head, program, tail].concat());
    match numbers.below(8) {
        0 => with(&[0x00, 20], &numbers.bytes(20), &[]),
        1 => with(&[0x51, 32], &numbers.key(), &[]),
        2 => with(&[0x00, 32], &numbers.bytes(32), &[]),
        3 => with(&[0x76, 0xa9, 20], &numbers.bytes(20), &[0x88, 0xac]),
        4 => with(&[0xa9, 20], &numbers.bytes(20), &[0x87]),
        5 => with(&[0x6a, 12], &numbers.bytes(12), &[]),
        // Almost one of ours: a byte more, another version, a longer push.
        6 => {
            let near: [&[u8]; 4] = [&[0x00, 21], &[0x52, 20], &[0x51, 31], &[0x00, 0x4c, 20]];
            let head = near[usize::try_from(numbers.below(4)).expect("small")];
            let length = u64::from(*head.last().expect("a length"));
            with(head, &numbers.bytes(length), &[])
        }
        _ => {
            let length = numbers.below(300);
            ScriptBuf::from(numbers.bytes(length))
        }
    }
}

fn random_transaction(numbers: &mut Numbers) -> bitcoin::Transaction {
    let has_witness = numbers.below(2) == 0;
    let (inputs, outputs) = (numbers.count(), numbers.count());
    let input = (0..inputs).map(|at| {
        let mut witness = Witness::new();
        if has_witness {
            for _ in 0..numbers.below(4) + u64::from(at == 0) {
                let length = numbers.below(100);
                witness.push(numbers.bytes(length));
            }
        }
        let length = numbers.below(if has_witness { 3 } else { 110 });
        TxIn {
            previous_output: OutPoint {
                txid: bitcoin::Txid::from_byte_array(numbers.hash()),
                vout: u32::try_from(numbers.below(1 << 20)).expect("small"),
            },
            script_sig: ScriptBuf::from(numbers.bytes(length)),
            sequence: Sequence(u32::try_from(numbers.below(1 << 32)).expect("32 bits")),
            witness,
        }
    });
    let input = input.collect();
    let output = (0..outputs).map(|_| TxOut {
        value: Amount::from_sat(numbers.below(2_100_000_000_000_000)),
        script_pubkey: random_script(numbers),
    });
    let output = output.collect();
    let version = [1, 2, 3][usize::try_from(numbers.below(3)).expect("small")];
    bitcoin::Transaction {
        version: Version(version),
        lock_time: LockTime::from_consensus(
            u32::try_from(numbers.below(1 << 32)).expect("32 bits"),
        ),
        input,
        output,
    }
}

#[test]
fn random_transactions_are_read_the_same_by_the_oracle() {
    let network = BitcoinNetwork::Mainnet;
    let mut numbers = Numbers(2);
    let raws: Vec<Vec<u8>> = (0..TRANSACTIONS)
        .map(|_| serialize(&random_transaction(&mut numbers)))
        .collect();
    let questions = raws
        .iter()
        .map(|raw| question("transaction", raw))
        .collect();
    let mut kinds = BTreeMap::new();
    for (raw, theirs) in raws.iter().zip(ask(network, questions)) {
        let ours = block::read_transaction(raw).expect("decodes");
        compare(&ours, &theirs, network, &mut kinds);
        compare_wtxid(raw, &theirs);
    }
    assert!(kinds["wpkh"] > 500 && kinds["tr"] > 500, "{kinds:?}");
    // One that ends too early or too late is one for neither.
    let broken: Vec<Vec<u8>> = raws
        .iter()
        .take(500)
        .enumerate()
        .map(|(at, raw)| match at % 2 {
            0 => raw[..raw.len()
                - 1
                - usize::try_from(numbers.below(20))
                    .expect("small")
                    .min(raw.len() - 2)]
                .to_vec(),
            _ => [&raw[..], &[0]].concat(),
        })
        .collect();
    let questions = broken
        .iter()
        .map(|raw| question("transaction", raw))
        .collect();
    for (raw, theirs) in broken.iter().zip(ask(network, questions)) {
        assert!(
            block::read_transaction(raw).is_err(),
            "{}",
            hex::encode(raw)
        );
        assert!(theirs["error"].is_string(), "{theirs}");
    }
}

fn payload(kind: AddressKind, bytes: &[u8]) -> AddressPayload {
    AddressPayload::try_new(kind, bytes).expect("a payload of its length")
}

/// The text with one character of its data exchanged for another that could stand there.
fn mistyped(text: &str, numbers: &mut Numbers) -> String {
    const CHARACTERS: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let mut bytes = text.as_bytes().to_vec();
    let data = text.rfind('1').expect("a separator") + 1;
    let length = u64::try_from(bytes.len() - data).expect("short");
    let at = data + usize::try_from(numbers.below(length)).expect("short");
    let old = bytes[at];
    while bytes[at] == old {
        bytes[at] = CHARACTERS[usize::try_from(numbers.below(32)).expect("small")];
    }
    String::from_utf8(bytes).expect("ASCII")
}

#[test]
fn addresses_of_every_network_are_written_and_read_the_same_by_the_oracle() {
    for network in BitcoinNetwork::ALL {
        let mut numbers = Numbers(3);
        let (mut scripts, mut texts, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ADDRESSES {
            for of in [
                payload(AddressKind::BitcoinP2wpkh, &numbers.bytes(20)),
                payload(AddressKind::BitcoinP2tr, &numbers.key()),
            ] {
                let text = coffer_chains::encode(&of, network);
                assert_eq!(coffer_chains::parse(&text).expect("ours").payload, of);
                wrong.push(mistyped(&text, &mut numbers));
                texts.push(text);
                scripts.push(script::script(&of).expect("of this family"));
            }
        }
        let written = ask(
            network,
            scripts.iter().map(|one| question("script", one)).collect(),
        );
        for (theirs, ours) in written.iter().zip(&texts) {
            assert_eq!(theirs["address"], json!(ours));
        }
        let addresses = |texts: &[String]| {
            texts
                .iter()
                .map(|text| json!({ "address": text }))
                .collect()
        };
        for (theirs, ours) in ask(network, addresses(&texts)).iter().zip(&scripts) {
            assert_eq!(theirs["script"], json!(hex::encode(ours)));
        }
        for (theirs, text) in ask(network, addresses(&wrong)).iter().zip(&wrong) {
            assert!(theirs["error"].is_string(), "{text}: {theirs}");
            assert!(coffer_chains::parse(text).is_err(), "{text}");
        }
    }
}
