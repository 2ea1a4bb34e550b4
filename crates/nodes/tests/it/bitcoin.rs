//! Bitcoin: three nodes of which two must agree, one real node behind all of them.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use coffer_domain::address::AddressPayload;
use coffer_domain::asset::AssetKind;
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use coffer_domain::id::{AssetId, NetworkId, OrganizationId};
use coffer_domain::movement::ObservedBlock;
use coffer_domain::network::{Finality, Network, NetworkSettings, NetworkState, NodeUrl};
use coffer_nodes::bitcoin::BitcoinSource;
use coffer_nodes::{ChainSource, Limits, NodeError, Random, Scope, Watched, WatchedAsset};
use coffer_testkit::bitcoind::{BitcoinLiar, Bitcoind, Options};
use ruint::aliases::U256;
use serde_json::{Value, json};

const REGTEST: &str = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328";

pub(crate) struct Ours(pub(crate) HashSet<AddressPayload>);

impl Watched for Ours {
    fn contains(&self, address: &AddressPayload) -> bool {
        self.0.contains(address)
    }
}

pub(crate) struct Bench {
    pub(crate) node: Bitcoind,
    pub(crate) liars: Vec<BitcoinLiar>,
    pub(crate) source: BitcoinSource,
    pub(crate) ours: Ours,
    pub(crate) address: String,
}

fn network(urls: Vec<String>, chain: &str, finality: Finality) -> Network {
    let organization = OrganizationId::from_digest(&[7; 32]);
    let chain = chain.parse().expect("a chain id");
    let quorum = u32::try_from(urls.len() / 2 + 1).expect("a few");
    let nodes = urls.into_iter().map(|rpc| NodeUrl {
        rpc,
        websocket: None,
    });
    Network {
        id: NetworkId::of(organization, &chain),
        organization,
        settings: NetworkSettings {
            name: "test".to_owned(),
            nodes: nodes.collect(),
            quorum,
            confirmations: NonZeroU32::MIN,
            finality,
            start_height: 0,
            genesis: None,
            poll_interval_ms: 100,
        },
        chain,
        state: NetworkState::Active,
        reason: None,
        resume_by: None,
        created_at_ms: 0,
        version: 1,
    }
}

fn open(urls: Vec<String>, chain: &str, finality: Finality) -> Result<BitcoinSource, NodeError> {
    let limits = Limits {
        attempts_max: 1,
        pause_base: Duration::from_millis(1),
        pause_max: Duration::from_millis(2),
        ..Limits::default()
    };
    let random: Random = Arc::new(|| 0);
    BitcoinSource::open(&network(urls, chain, finality), limits, &random)
}

const DEPTH: Finality = Finality::Depth(NonZeroU32::MIN);

impl Bench {
    pub(crate) async fn start() -> Result<Self> {
        let node = Bitcoind::start(&Options::default()).await?;
        node.fund(1).await?;
        let mut liars = Vec::new();
        for _ in 0..3 {
            liars.push(BitcoinLiar::start(&node.url_with_credentials()).await?);
        }
        let urls = liars.iter().map(|liar| liar.url().to_owned()).collect();
        let address = node.new_address().await?;
        let ours = coffer_chains::parse(&address)?.payload;
        Ok(Self {
            source: open(urls, REGTEST, DEPTH)?,
            node,
            liars,
            ours: Ours(HashSet::from([ours])),
            address,
        })
    }

    /// A block that pays us, and its place.
    async fn paid(&self, sats: u64) -> Result<BlockRef> {
        self.node.send(&self.address, sats).await?;
        self.node.mine(1).await?;
        self.tip().await
    }

    pub(crate) async fn tip(&self) -> Result<BlockRef> {
        let (height, hash) = self.node.head().await?;
        let hash: [u8; 32] = hex::decode(hash)?.try_into().expect("32 bytes");
        Ok(BlockRef {
            height: BlockHeight(height),
            hash: BlockHash(hash),
        })
    }

    async fn block(&self, at: BlockRef) -> Result<ObservedBlock, NodeError> {
        let assets = [WatchedAsset {
            id: AssetId::from_digest(&[0; 32]),
            kind: AssetKind::Native,
        }];
        let scope = Scope {
            assets: &assets,
            watched: &self.ours,
        };
        self.source.block(at, &scope).await
    }

    /// By one proxy: the one node behind all of them reads its outputs for one who asks at a time.
    async fn balance(&self, at: BlockRef) -> Result<U256, NodeError> {
        let source = open(vec![self.liars[0].url().to_owned()], REGTEST, DEPTH)?;
        let addresses: Vec<AddressPayload> = self.ours.0.iter().copied().collect();
        let asset = AssetKind::Native;
        let balances = source.balances(at, &asset, &addresses).await?;
        Ok(balances[0])
    }
}

/// Exchanges one digit in the middle of the result's text.
fn forge(answer: &mut Value) {
    let Some(text) = answer["result"].as_str() else {
        return;
    };
    let mut text = text.to_owned();
    let middle = text.len() / 2;
    let digit = if &text[middle..=middle] == "0" {
        "1"
    } else {
        "0"
    };
    text.replace_range(middle..=middle, digit);
    answer["result"] = json!(text);
}

#[tokio::test]
async fn a_block_says_what_it_brought_and_what_it_spends() -> Result<()> {
    let bench = Bench::start().await?;
    let at = bench.paid(12_345).await?;
    assert_eq!(bench.source.heads().await?.agreed, at.height);
    assert_eq!(bench.source.agreed_hash(at.height).await?, Some(at.hash));
    assert_eq!(bench.source.agreed_hash(at.height.next()).await?, None);
    let (row, failed) = bench.source.agreed_hashes(3..=at.height.0 + 5).await;
    assert_eq!(failed, None, "what is not there yet ends the row");
    assert_eq!((row.len() as u64, row.last()), (at.height.0 - 2, Some(&at)));
    let block = bench.block(at).await?;
    assert_eq!(block.movements.len(), 1);
    assert_eq!(block.movements[0].gained_units, U256::from(12_345));
    assert_eq!(block.spends.len(), 1);
    assert_eq!(bench.balance(at).await?, U256::from(12_345));
    Ok(())
}

#[tokio::test]
async fn a_forged_block_is_asked_of_the_next_node_and_never_believed() -> Result<()> {
    let bench = Bench::start().await?;
    let at = bench.paid(12_345).await?;
    let truth = bench.block(at).await?;
    for liar in &bench.liars[..2] {
        liar.lie(|method, answer| {
            if method == "getblock" {
                forge(answer);
            }
        });
    }
    for _ in 0..5 {
        assert_eq!(bench.block(at).await?, truth);
    }
    bench.liars[2].lie(|method, answer| {
        if method == "getblock" {
            forge(answer);
        }
    });
    let refused = bench.block(at).await;
    assert!(
        matches!(refused, Err(NodeError::Unverifiable { .. })),
        "{refused:?}"
    );
    // Another block by the right question is no more believed than a broken one.
    let other = bench.node.hash_at(at.height.0 - 1).await?;
    let other = bench.node.rpc().call("getblock", json!([other, 0])).await?;
    for liar in &bench.liars {
        let other = other.clone();
        liar.lie(move |method, answer| {
            if method == "getblock" {
                answer["result"] = other.clone();
            }
        });
    }
    assert!(bench.block(at).await.is_err());
    Ok(())
}

#[tokio::test]
async fn one_liar_changes_no_hash_and_two_who_are_silent_stop_everything() -> Result<()> {
    let bench = Bench::start().await?;
    let at = bench.paid(12_345).await?;
    assert_eq!(bench.source.agreed_hash(at.height).await?, Some(at.hash));
    bench.liars[0].lie(|method, answer| {
        if method == "getblockhash" {
            forge(answer);
        }
        for answer in answer.as_array_mut().into_iter().flatten() {
            forge(answer);
        }
        if method == "getblockchaininfo" {
            answer["result"]["blocks"] = json!(1_000_000);
        }
    });
    assert_eq!(bench.source.agreed_hash(at.height).await?, Some(at.hash));
    assert_eq!(bench.source.heads().await?.agreed, at.height);
    let (row, failed) = bench
        .source
        .agreed_hashes(at.height.0 - 1..=at.height.0)
        .await;
    assert_eq!((row.len(), row.last(), failed), (2, Some(&at), None));
    bench.liars[1].hang_up();
    let (row, failed) = bench
        .source
        .agreed_hashes(at.height.0 - 1..=at.height.0)
        .await;
    assert!(
        row.is_empty() && matches!(failed, Some(NodeError::NoQuorum { .. })),
        "{failed:?}"
    );
    let alone = bench.source.agreed_hash(at.height).await;
    assert!(
        matches!(alone, Err(NodeError::NoQuorum { .. })),
        "{alone:?}"
    );
    bench.liars[2].hang_up();
    assert!(bench.source.heads().await.is_err(), "never one of one");
    Ok(())
}

#[tokio::test]
async fn a_hash_without_work_is_believed_of_nobody() -> Result<()> {
    let bench = Bench::start().await?;
    let at = bench.tip().await?;
    for liar in &bench.liars {
        liar.lie(|method, answer| {
            if method == "getblockhash" && answer["result"] != json!(null) {
                answer["result"] = json!("f".repeat(64));
            }
        });
    }
    let refused = bench.source.agreed_hash(at.height).await;
    assert!(refused.is_err(), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn balances_are_those_of_the_tip_alone() -> Result<()> {
    let bench = Bench::start().await?;
    let at = bench.paid(12_345).await?;
    bench.node.mine(1).await?;
    let refused = bench.balance(at).await;
    assert!(
        matches!(refused, Err(NodeError::Elsewhere { .. })),
        "{refused:?}"
    );
    assert_eq!(bench.balance(bench.tip().await?).await?, U256::from(12_345));
    Ok(())
}

#[tokio::test]
async fn nodes_of_another_chain_are_refused() -> Result<()> {
    let bench = Bench::start().await?;
    let urls = || {
        bench
            .liars
            .iter()
            .map(|liar| liar.url().to_owned())
            .collect()
    };
    let mainnet = open(urls(), "bip122:000000000019d6689c085ae165831e93", DEPTH)?;
    let refused = mainnet.connect().await;
    assert!(
        matches!(refused, Err(NodeError::WrongChain(_))),
        "{refused:?}"
    );
    for wrong in ["eip155:1", "bip122:12a765e31ffd4059bada1e25190f6e98"] {
        assert!(open(urls(), wrong, DEPTH).is_err(), "{wrong}");
    }
    assert!(open(urls(), REGTEST, Finality::Tag).is_err());
    Ok(())
}

#[tokio::test]
async fn a_node_that_wants_a_login_gets_it_from_its_url_and_a_wrong_one_is_told_nowhere()
-> Result<()> {
    let node = Bitcoind::start(&Options {
        cookie: true,
        ..Options::default()
    })
    .await?;
    let with = |login: &str| node.url().replace("://", &format!("://{login}@"));
    let urls = |login: &str| vec![with(login), with(login) + "/", with(login) + "/?a"];
    let right = open(urls(node.credentials()), REGTEST, DEPTH)?;
    assert_eq!(right.heads().await?.agreed, BlockHeight(0));
    let wrong = open(urls("user:s3cr3t"), REGTEST, DEPTH)?;
    let refused = wrong.heads().await.expect_err("is refused").to_string();
    assert!(refused.contains("401"), "{refused}");
    let shown = format!("{refused} {:?}", wrong.status());
    assert!(!shown.contains("s3cr3t"), "{shown}");
    Ok(())
}
