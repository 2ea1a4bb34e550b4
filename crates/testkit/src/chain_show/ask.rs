//! What the server says, over its public API.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use crate::serving::{Api, ApiError};

/// In the order of a deposit's life.
pub(super) const STATES: [&str; 6] = [
    "detected",
    "confirmed",
    "finalized",
    "retracted",
    "rejected",
    "held",
];

#[derive(Debug, Default, Clone)]
pub(super) struct NetworkLine {
    pub(super) id: String,
    pub(super) hash: Value,
    pub(super) height: u64,
    pub(super) agreed: u64,
    pub(super) lag: u64,
    pub(super) state: String,
    pub(super) healthy: (u64, u64),
    /// Of the node itself, and reorganizations so far.
    pub(super) head: u64,
    pub(super) reorgs: u32,
    pub(super) deposits: BTreeMap<String, usize>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct AssetLine {
    pub(super) chain: String,
    pub(super) symbol: String,
    pub(super) available: String,
    pub(super) pending: String,
    pub(super) ledger: String,
    pub(super) on_chain: String,
    pub(super) at: u64,
    pub(super) state: String,
}

#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) networks: BTreeMap<String, NetworkLine>,
    pub(super) assets: Vec<AssetLine>,
}

impl Answers {
    pub(super) async fn refresh(&mut self, api: &Api) -> Result<()> {
        let Some(networks) = patient(api.get("/v1/networks").await)? else {
            return Ok(());
        };
        for network in items(&networks) {
            let path = format!("/v1/networks/{}", text(&network["id"]));
            match patient(api.get(&path).await)? {
                Some(status) => self.network(&status),
                None => return Ok(()),
            }
        }
        let mut deposits: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        if !count_deposits(api, &mut deposits).await? {
            return Ok(());
        }
        for line in self.networks.values_mut() {
            line.deposits = deposits.remove(&line.id).unwrap_or_default();
        }
        self.assets(api).await
    }

    fn network(&mut self, network: &Value) {
        let line = self.networks.entry(text(&network["chain"])).or_default();
        line.id = text(&network["id"]);
        line.state = text(&network["state"]);
        line.hash = network["progress"]["hash"].clone();
        line.height = number(&network["progress"]["height"]);
        line.agreed = number(&network["head"]["agreed"]);
        line.lag = number(&network["head"]["lag"]);
        let quorum = &network["quorum"];
        line.healthy = (number(&quorum["healthy"]), number(&quorum["nodes"]));
    }

    async fn assets(&mut self, api: &Api) -> Result<()> {
        let Some(assets) = patient(api.get("/v1/assets").await)? else {
            return Ok(());
        };
        let mut lines = Vec::new();
        for asset in items(&assets) {
            let id = text(&asset["id"]);
            let mut line = AssetLine {
                chain: text(&asset["name"])
                    .split('/')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
                symbol: text(&asset["symbol"]),
                ..AssetLine::default()
            };
            let path = format!("/v1/reconciliations?asset={id}&limit=1");
            if let Some(page) = patient(api.get(&path).await)?
                && let Some(last) = items(&page).next()
            {
                line.ledger = text(&last["ledger"]["amount"]);
                line.on_chain = text(&last["chain"]["amount"]);
                line.at = number(&last["block"]["height"]);
                line.state = text(&last["state"]);
            }
            let path = format!("/v1/ledger/balances?asset={id}&kind=customer");
            if let Some(balances) = patient(api.get(&path).await)? {
                let sums = &balances["items"][0]["total"];
                let decimals = number(&asset["decimals"]) as usize;
                let net = |phase: &str| {
                    let side = |side: &str| -> u128 {
                        text(&sums[format!("{phase}_{side}")]).parse().unwrap_or(0)
                    };
                    decimal(side("credits").saturating_sub(side("debits")), decimals)
                };
                line.available = net("posted");
                line.pending = net("pending");
            }
            lines.push(line);
        }
        lines.sort_by(|one, other| (&one.chain, &one.symbol).cmp(&(&other.chain, &other.symbol)));
        self.assets = lines;
        Ok(())
    }

    pub(super) fn node(&mut self, chain: &str, head: u64, reorgs: u32) {
        let line = self.networks.entry(chain.to_owned()).or_default();
        line.head = head;
        line.reorgs = reorgs;
    }

    /// The server's tip is the node's head.
    pub(super) fn is_level(&self, chain: &str, hash: &str) -> bool {
        self.networks
            .get(chain)
            .is_some_and(|line| line.hash == hash && !line.deposits.contains_key("detected"))
    }

    /// Every asset was compared since the last block, and is as it should be.
    pub(super) fn is_reconciled(&self) -> bool {
        self.assets.iter().all(|asset| {
            let tip = self.networks.get(&asset.chain).map(|line| line.height);
            tip.is_some_and(|tip| asset.at + 2 >= tip)
        })
    }
}

async fn count_deposits(
    api: &Api,
    counts: &mut BTreeMap<String, BTreeMap<String, usize>>,
) -> Result<bool> {
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/deposits?limit=1000{cursor}");
        let Some(page) = patient(api.get(&path).await)? else {
            return Ok(false);
        };
        for deposit in items(&page) {
            let own = counts.entry(text(&deposit["network_id"])).or_default();
            *own.entry(text(&deposit["state"])).or_default() += 1;
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(true),
        }
    }
}

/// `None` when the server is busy: the screen then shows what it showed before.
fn patient(answer: Result<Value, ApiError>) -> Result<Option<Value>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(ApiError::Refused {
            status: 429 | 503, ..
        }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Pages call them items; lists that are always whole, data.
fn items(page: &Value) -> impl Iterator<Item = &Value> {
    let list = page["items"].as_array().or(page["data"].as_array());
    list.into_iter().flatten()
}

/// Base units in the asset's own decimals: 1500000 of 6 decimals is `1.5`.
pub(super) fn decimal(units: u128, decimals: usize) -> String {
    let digits = format!("{units:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_print_with_their_decimals() {
        assert_eq!(decimal(1_500_000, 6), "1.5");
        assert_eq!(decimal(1, 18), "0.000000000000000001");
        assert_eq!(decimal(0, 6), "0");
        assert_eq!(decimal(7, 0), "7");
    }
}
