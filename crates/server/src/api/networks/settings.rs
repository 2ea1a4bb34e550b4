//! What an operator chooses of a network, as bodies and answers write it.

use std::num::NonZeroU32;

use coffer_domain::block::BlockHash;
use coffer_domain::network::{Finality, NetworkSettings, NodeUrl};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::page::invalid;
use crate::problem::Problem;

const POLL_INTERVAL_MS: u32 = 2000;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Node)]
pub(crate) struct NodeBody {
    /// `{secret:NAME}` in its path or query stands for the content of `secrets/NAME` in the data folder.
    #[schema(example = "https://node.example/v2/{secret:node-key}")]
    rpc: String,
    /// Only a hint that a new block may be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    websocket: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Finality)]
pub(crate) struct FinalityBody {
    /// depth: so many blocks; tag: the nodes' own `finalized`.
    #[schema(example = "depth")]
    rule: String,
    /// With `depth` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 64)]
    blocks: Option<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NetworkSettings)]
pub(crate) struct SettingsBody {
    #[schema(example = "Ethereum", max_length = 100)]
    pub(super) name: String,
    #[schema(min_items = 1, max_items = 16)]
    pub(super) nodes: Vec<NodeBody>,
    /// Nodes that must say the same before it is believed: more than half of them.
    pub(super) quorum: u32,
    /// A deposit is credited with so many confirmations; 1 is its own block.
    #[schema(minimum = 1)]
    pub(super) confirmations: u32,
    pub(super) finality: FinalityBody,
    /// The first block that is looked at. Cannot change once a block was taken.
    pub(super) start_height: u64,
    /// Hash of the genesis block; left out, it is learned from the nodes. Never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) genesis: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 50, maximum = 600_000, default = 2000)]
    pub(super) poll_interval_ms: Option<u32>,
}

impl SettingsBody {
    pub(super) fn parsed(&self) -> Result<NetworkSettings, Problem> {
        let confirmations = NonZeroU32::new(self.confirmations)
            .ok_or_else(|| invalid("confirmations", "give at least 1"))?;
        Ok(NetworkSettings {
            name: self.name.clone(),
            nodes: self
                .nodes
                .iter()
                .map(|node| NodeUrl {
                    rpc: node.rpc.clone(),
                    websocket: node.websocket.clone(),
                })
                .collect(),
            quorum: self.quorum,
            confirmations,
            finality: self.finality.parsed()?,
            start_height: self.start_height,
            genesis: self.genesis.as_deref().map(parse_hash).transpose()?,
            poll_interval_ms: self.poll_interval_ms.unwrap_or(POLL_INTERVAL_MS),
        })
    }
}

impl FinalityBody {
    fn parsed(&self) -> Result<Finality, Problem> {
        match (self.rule.as_str(), self.blocks.map(NonZeroU32::new)) {
            ("depth", Some(Some(blocks))) => Ok(Finality::Depth(blocks)),
            ("depth", _) => Err(invalid(
                "finality",
                "the rule depth needs blocks, at least 1",
            )),
            ("tag", None) => Ok(Finality::Tag),
            ("tag", Some(_)) => Err(invalid("finality", "the rule tag has no blocks")),
            _ => Err(invalid("finality", "the rule is depth or tag")),
        }
    }
}

fn parse_hash(text: &str) -> Result<BlockHash, Problem> {
    let bytes = text.strip_prefix("0x").map(hex::decode);
    match bytes.map(|bytes| bytes.map(<[u8; 32]>::try_from)) {
        Some(Ok(Ok(hash))) => Ok(BlockHash(hash)),
        _ => Err(invalid("genesis", "give 0x and 64 hexadecimal digits")),
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = NetworkSettingsView)]
pub(crate) struct SettingsView {
    nodes: Vec<NodeBody>,
    quorum: u32,
    confirmations: u32,
    finality: FinalityBody,
    start_height: u64,
    genesis: Option<String>,
    poll_interval_ms: u32,
}

impl From<&NetworkSettings> for SettingsView {
    fn from(settings: &NetworkSettings) -> Self {
        let (rule, blocks) = match settings.finality {
            Finality::Depth(blocks) => ("depth", Some(blocks.get())),
            Finality::Tag => ("tag", None),
        };
        Self {
            nodes: settings
                .nodes
                .iter()
                .map(|node| NodeBody {
                    rpc: node.rpc.clone(),
                    websocket: node.websocket.clone(),
                })
                .collect(),
            quorum: settings.quorum,
            confirmations: settings.confirmations.get(),
            finality: FinalityBody {
                rule: rule.to_owned(),
                blocks,
            },
            start_height: settings.start_height,
            genesis: settings.genesis.map(|hash| hash.to_string()),
            poll_interval_ms: settings.poll_interval_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::problem::Code;

    fn body() -> Value {
        json!({
            "name": "Local", "nodes": [{ "rpc": "http://127.0.0.1:8545" }], "quorum": 1, "confirmations": 3,
            "finality": { "rule": "depth", "blocks": 64 }, "start_height": 0,
        })
    }

    fn parsed(change: &dyn Fn(&mut Value)) -> Option<Result<NetworkSettings, Problem>> {
        let mut body = body();
        change(&mut body);
        let body: SettingsBody = serde_json::from_value(body).ok()?;
        Some(body.parsed())
    }

    #[test]
    fn a_body_becomes_settings_or_is_refused_by_its_field() {
        let settings = parsed(&|_| {}).expect("reads").expect("good");
        assert_eq!(settings.poll_interval_ms, POLL_INTERVAL_MS);
        assert_eq!(settings.confirmations.get(), 3);
        let refused = |change: &dyn Fn(&mut Value)| {
            let problem = parsed(change).expect("reads").expect_err("is refused");
            assert_eq!(problem.code(), Code::Validation);
        };
        refused(&|b| b["confirmations"] = json!(0));
        refused(&|b| b["finality"] = json!({ "rule": "depth" }));
        refused(&|b| b["finality"] = json!({ "rule": "depth", "blocks": 0 }));
        refused(&|b| b["finality"] = json!({ "rule": "tag", "blocks": 1 }));
        refused(&|b| b["finality"] = json!({ "rule": "never" }));
        refused(&|b| b["genesis"] = json!("0x00"));
        refused(&|b| b["genesis"] = json!("00".repeat(32)));
        let unreadable = |change: &dyn Fn(&mut Value)| assert!(parsed(change).is_none());
        unreadable(&|b| b["quorum"] = json!(-1));
        unreadable(&|b| b["quorum"] = json!("1"));
        unreadable(&|b| b["start_height"] = json!(1.5));
        unreadable(&|b| b["nodes"] = json!(["http://127.0.0.1:8545"]));
        unreadable(&|b| b["nodes"] = json!([{ "rpc": "http://a", "key": "x" }]));
        unreadable(&|b| b["colour"] = json!("red"));
    }
}
