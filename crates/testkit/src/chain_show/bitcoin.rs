//! A Bitcoin node of the demo: payments to both kinds of our addresses, and blocks that are taken back.
//!
//! A reorganization takes some blocks back; a first new block leaves their payments out, the next ones bring them
//! again, some of them replaced by the same payment with a higher fee, which is another transaction. Rewards go to
//! scripts that nobody spends: a payment out of a reward that has just matured would be lost with the blocks above it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::BitcoinOptions;
use super::ask::decimal;
use super::screen::{Screen, label};
use crate::anvil::{Rpc, RpcError};
use crate::crash::Chance;

const NAME: &str = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328";
/// The deepest reorganization, and one.
const DEPTH: u64 = 7;
/// Of every payment, in satoshis per virtual byte.
const FEE_RATE: u64 = 5;
const DECIMALS: usize = 8;

pub(super) struct Bitcoin {
    rpc: Rpc,
    wallet: Rpc,
    addresses: Vec<String>,
    reorgs: u32,
}

impl Bitcoin {
    pub(super) async fn at(options: &BitcoinOptions, addresses: Vec<String>) -> Result<Self> {
        let login = login(&options.login)?;
        let place = options.node_url.trim_start_matches("http://");
        let url = format!("http://{login}@{place}");
        let rpc = Rpc::new(&url);
        let wallets = rpc.call("listwallets", json!([])).await?;
        let wallet = text(&wallets[0]).context("the Bitcoin node has no wallet")?;
        Ok(Self {
            rpc,
            wallet: Rpc::new(&format!("{url}/wallet/{wallet}")),
            addresses,
            reorgs: 0,
        })
    }

    pub(super) fn name(&self) -> &str {
        NAME
    }

    pub(super) fn reorgs(&self) -> u32 {
        self.reorgs
    }

    pub(super) async fn height(&self) -> Result<u64> {
        let height = self.rpc.call("getblockcount", json!([])).await?;
        height.as_u64().context("no height")
    }

    pub(super) async fn head_hash(&self) -> Result<String> {
        let hash = self.rpc.call("getbestblockhash", json!([])).await?;
        Ok(format!("0x{}", text(&hash)?))
    }

    pub(super) async fn mine(&self, blocks: u64) -> Result<()> {
        self.mine_to(blocks, &self.reward_address()).await
    }

    /// Another one after each reorganization, or an empty block of the same second would be the one taken back.
    fn reward_address(&self) -> String {
        reward_address(self.reorgs)
    }

    /// With what waits in the pool.
    async fn mine_to(&self, blocks: u64, to: &str) -> Result<()> {
        let params = json!([blocks, to]);
        self.rpc.call("generatetoaddress", params).await?;
        Ok(())
    }

    pub(super) async fn beat(
        &mut self,
        chance: &mut Chance,
        reorg: bool,
        screen: &mut Screen,
    ) -> Result<()> {
        for _ in 0..chance.between(0, 4) {
            self.pay(chance).await?;
        }
        self.mine(1).await?;
        if reorg {
            self.exchange(chance, screen).await?;
        }
        Ok(())
    }

    /// One transaction that pays one to three addresses.
    async fn pay(&self, chance: &mut Chance) -> Result<()> {
        // An address is paid once by a transaction of the node's wallet.
        let mut outputs = BTreeMap::new();
        for _ in 0..chance.between(1, 4) {
            let at = chance.between(0, self.addresses.len() as u64) as usize;
            let sats = chance.between(1_000, 5_000_000);
            let amount = json!(decimal(sats.into(), DECIMALS));
            outputs.insert(&self.addresses[at], amount);
        }
        let outputs: Vec<Value> = outputs
            .into_iter()
            .map(|(address, amount)| json!({ address: amount }))
            .collect();
        let params = json!({
            "outputs": outputs,
            "fee_rate": FEE_RATE,
            // The wallet's own lock time would keep it out of the blocks that take the place of lower ones.
            "options": { "replaceable": true, "locktime": 0 },
        });
        self.wallet.call("send", params).await?;
        Ok(())
    }

    /// Takes the last blocks back, and makes others.
    async fn exchange(&mut self, chance: &mut Chance, screen: &mut Screen) -> Result<()> {
        let depth = chance.between(1, DEPTH);
        let (lowest, had) = self.last(depth).await?;
        self.rpc.call("invalidateblock", json!([lowest])).await?;
        self.reorgs += 1;
        let again = self.waiting().await?.len();
        let most = chance.between(0, 3) as usize;
        let replaced = self.replace(most).await?;
        let to = self.reward_address();
        self.rpc.call("generateblock", json!([to, []])).await?;
        self.mine_to(depth, &to).await?;
        screen.say(&format!(
            "{}: the last {depth} blocks were exchanged; {} transactions dropped, {} elsewhere, {replaced} replaced",
            label(NAME),
            had - again.min(had),
            again - replaced
        ));
        Ok(())
    }

    /// The lowest of so many blocks at the tip, and how many payments they hold.
    async fn last(&self, depth: u64) -> Result<(Value, usize)> {
        let mut lowest = self.rpc.call("getbestblockhash", json!([])).await?;
        let mut payments = 0;
        for above in (0..depth).rev() {
            let block = self.rpc.call("getblock", json!([lowest])).await?;
            let transactions = block["tx"].as_array().context("no transactions")?;
            payments += transactions.len() - 1;
            if above > 0 {
                lowest = block["previousblockhash"].clone();
            }
        }
        Ok((lowest, payments))
    }

    async fn waiting(&self) -> Result<Vec<String>> {
        let pool = self.rpc.call("getrawmempool", json!([])).await?;
        serde_json::from_value(pool).context("no list of transactions")
    }

    /// Replaces up to `most` payments by the same ones with a higher fee; answers how many.
    async fn replace(&self, most: usize) -> Result<usize> {
        // The wallet learns of a block a moment after the node.
        let caught_up = self.rpc.call("syncwithvalidationinterfacequeue", json!([]));
        caught_up.await?;
        let mut replaced = 0;
        for txid in self.waiting().await? {
            if replaced == most {
                break;
            }
            match self.wallet.call("bumpfee", json!([txid])).await {
                Ok(_) => replaced += 1,
                Err(error) if is_built_on(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(replaced)
    }
}

/// The wallet replaces nothing whose change it has spent again.
fn is_built_on(error: &anyhow::Error) -> bool {
    const INVALID_PARAMETER: i64 = -8;
    let answered = error.downcast_ref::<RpcError>();
    answered.is_some_and(|error| error.code == INVALID_PARAMETER)
}

/// An address for rewards that nobody shall spend: its script is the bytes of a number.
#[must_use]
pub fn reward_address(number: u32) -> String {
    let number = number.to_be_bytes();
    let program = bitcoin::WitnessProgram::p2wsh(bitcoin::Script::from_bytes(&number));
    bitcoin::Address::from_witness_program(program, bitcoin::Network::Regtest).to_string()
}

fn login(file: &Path) -> Result<String> {
    let login = std::fs::read_to_string(file);
    let login = login.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(login.trim().to_owned())
}

fn text(value: &Value) -> Result<String> {
    let text = value.as_str().map(str::to_owned);
    text.with_context(|| format!("no text: {value}"))
}
