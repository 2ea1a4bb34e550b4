//! Ethereum's stage: one anvil behind three proxies, ether and a token.

use anyhow::Result;
use std::time::Duration;

use super::corruption::Corruption;
use super::driver::{Driver, Payer};
use super::scene::Wallet;
use super::stage::{Exchange, Fates, Listed, Stage};
use crate::anvil::{self, Anvil};
use crate::crash::Chance;
use crate::lying_node::{Fault, Invention, Lie};

/// Of a deep reorganization's deposit; no ordinary round uses it.
const OWN_ACCOUNT: usize = 9;

pub(super) struct Evm {
    pub(super) anvil: Anvil,
    pub(super) payer: Payer,
    driver: Driver,
}

impl Stage for Evm {
    const KINDS: &'static str = "evm";
    const COLUMNS: &'static [&'static str] = &["evm"];
    const CHAIN: &'static str = "eip155:31337";
    const CORRUPTIONS: &'static [Corruption] = &[];

    async fn start() -> Result<Self> {
        let anvil = Anvil::start(&anvil::Options::default()).await?;
        Ok(Self {
            payer: Payer::set_up(&anvil).await?,
            anvil,
            driver: Driver::default(),
        })
    }

    fn node_urls(&self) -> [String; 3] {
        [(); 3].map(|()| self.truth())
    }

    fn truth(&self) -> String {
        self.anvil.url().to_owned()
    }

    fn assets(&self) -> Vec<Listed> {
        let token = format!("erc20:{}", self.payer.token.address);
        vec![("slip44:60".to_owned(), "ETH", 18), (token, "USDX", 6)]
    }

    fn set_wallets(&mut self, wallets: &[Wallet]) -> Result<()> {
        let addresses = wallets.iter().map(|wallet| wallet.address().to_owned());
        self.payer.wallets = addresses.collect();
        Ok(())
    }

    async fn head(&self) -> Result<(u64, String)> {
        let head = self.anvil.head().await?;
        let height = u64::try_from(anvil::number(&head["number"])?)?;
        let hash = head["hash"].as_str().unwrap_or_default();
        Ok((height, hash.trim_start_matches("0x").to_owned()))
    }

    async fn mine(&mut self, blocks: u64) -> Result<()> {
        self.anvil.mine(blocks).await
    }

    async fn pay(&mut self, chance: &mut Chance) -> Result<()> {
        let fields = self.payer.deposit(chance)?;
        let from = self.anvil.accounts[1].clone();
        self.anvil.send(&from, fields).await?;
        Ok(())
    }

    fn fates(&self) -> Fates {
        self.driver.fates
    }

    async fn play(&mut self, chance: &mut Chance) -> Result<()> {
        self.driver.send_again(&self.anvil, chance).await?;
        for account in 0..chance.between(1, 5) {
            let how = (&mut *chance, account as usize + 1);
            self.driver.send(&self.anvil, &self.payer, how).await?;
            if chance.between(0, 3) == 0 {
                self.anvil.mine(1).await?;
            }
        }
        let blocks = chance.between(1, 6);
        self.anvil.mine(blocks).await
    }

    async fn disturb(&mut self, _chance: &mut Chance) -> Result<bool> {
        Ok(false)
    }

    async fn split(&mut self, _chance: &mut Chance) -> Result<()> {
        Ok(())
    }

    async fn reorg(&mut self, chance: &mut Chance, exchange: Exchange) -> Result<()> {
        let mut placed = Vec::new();
        if exchange.is_deep {
            let how = (&mut *chance, OWN_ACCOUNT);
            placed.push(self.driver.fresh(&self.anvil, &self.payer, how).await?);
        }
        let how = (chance, exchange.depth);
        self.driver
            .reorg(&self.anvil, &self.payer, how, placed)
            .await?;
        if exchange.is_deep {
            self.anvil.mine(1).await?;
        }
        Ok(())
    }

    fn lies(&self, next: u64) -> Vec<Lie> {
        let from = next.max(1);
        let invention = Invention {
            token: self.payer.token.address.clone(),
            to: self.payer.wallets[0].clone(),
            units: 77_000_000,
        };
        let faults = [
            Fault::ForgeValue,
            Fault::ForgeHeader,
            Fault::HideLogs,
            Fault::HideReceipts,
            Fault::HideTransactions,
            Fault::HideTraces,
            Fault::Unknown,
            Fault::CapLogs(0),
            Fault::Lag(10),
            Fault::Backwards(5),
            Fault::Ahead(1_000),
            Fault::Fork(from),
            Fault::ForgedFork(from),
            Fault::Invent(invention.clone()),
            Fault::InventedFork(from, invention),
            Fault::ChainId(1),
            Fault::Genesis,
            Fault::Error(-32_005),
        ];
        faults
            .into_iter()
            .chain(of_the_wire())
            .map(Lie::from)
            .collect()
    }
}

/// What any server that speaks JSON-RPC may do.
pub(super) fn of_the_wire() -> Vec<Fault> {
    vec![
        Fault::WrongId,
        Fault::Shuffled,
        Fault::Missing,
        Fault::Html,
        Fault::TooManyRequests(1),
        Fault::Unavailable,
        Fault::Redirect("http://127.0.0.1:9/".to_owned()),
        Fault::Huge(100_000_000),
        Fault::Truncated,
        Fault::Cut,
        Fault::Gzip,
        Fault::Delay(Duration::from_millis(150)),
        Fault::Silent,
        Fault::Gone,
    ]
}
