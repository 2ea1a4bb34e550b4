//! An Ethereum node of the demo: ether, tokens, and transfers made inside contracts.

use anyhow::{Context, Result};
use serde_json::json;

use super::screen::Screen;
use crate::anvil::Anvil;
use crate::chain_proof::driver::{Driver, Payer};
use crate::crash::Chance;

/// The deepest reorganization, and one.
const DEPTH: u64 = 7;

pub(super) struct Evm {
    name: String,
    anvil: Anvil,
    payer: Payer,
    driver: Driver,
    reorgs: u32,
}

impl Evm {
    pub(super) async fn at(
        url: &str,
        contracts: &serde_json::Value,
        wallets: &[String],
    ) -> Result<Self> {
        let anvil = Anvil::attach(url).await?;
        let id = anvil.rpc().call("eth_chainId", json!([])).await?;
        let id = crate::anvil::number(&id)?;
        let address = |name: &str| {
            contracts[name]
                .as_str()
                .map(str::to_owned)
                .context("an address")
        };
        Ok(Self {
            name: format!("eip155:{id}"),
            payer: Payer::at(&address("token")?, &address("sender")?, wallets)?,
            anvil,
            driver: Driver::default(),
            reorgs: 0,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn reorgs(&self) -> u32 {
        self.reorgs
    }

    pub(super) async fn height(&self) -> Result<u64> {
        self.anvil.height().await
    }

    pub(super) async fn head_hash(&self) -> Result<String> {
        let head = self.anvil.head().await?;
        let hash = head["hash"].as_str().context("a head without a hash")?;
        Ok(hash.to_owned())
    }

    pub(super) async fn mine(&self, blocks: u64) -> Result<()> {
        self.anvil.mine(blocks).await?;
        Ok(())
    }

    pub(super) async fn beat(
        &mut self,
        chance: &mut Chance,
        reorg: bool,
        screen: &mut Screen,
    ) -> Result<()> {
        self.driver.send_again(&self.anvil, chance).await?;
        for account in 0..chance.between(1, 6) as usize {
            let how = (&mut *chance, account + 1);
            self.driver.send(&self.anvil, &self.payer, how).await?;
        }
        self.anvil.mine(1).await?;
        if reorg {
            let depth = chance.between(1, DEPTH + 1);
            let before = self.driver.fates;
            self.driver
                .reorg(&self.anvil, &self.payer, (chance, depth), Vec::new())
                .await?;
            let after = self.driver.fates;
            self.reorgs += 1;
            screen.say(&format!(
                "{}: the last {depth} blocks were exchanged; {} transactions dropped, {} elsewhere, {} replaced",
                self.name,
                after.dropped - before.dropped,
                after.moved - before.moved,
                after.replaced - before.replaced
            ));
        }
        Ok(())
    }
}
