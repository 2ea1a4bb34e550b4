//! Every contract of `contracts/` driven against a running installation, and what it may be credited for.
//!
//! Each case pays a wallet of its own, so that what the wallet has in the end is what the case brought. The
//! expected amounts are those written above the contracts.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use super::evm::Evm;
use super::scene::{CONFIRMATIONS, Ground, PATIENCE, Scene};
use crate::anvil::{Arg, Contract};
use crate::chain_checker::Report;

/// What every case sends, in base units or wei.
const SENT: u128 = 100;

#[derive(Debug)]
pub struct Outcome {
    /// By case, what was credited instead of what.
    pub wrong: Vec<String>,
    pub cases: usize,
    /// Assets whose breaker tripped, by symbol.
    pub tripped: Vec<String>,
    pub report: Report,
}

struct Case {
    name: &'static str,
    wallet: usize,
    /// By asset id; none for nothing.
    expected: Option<(String, u128)>,
}

struct Run {
    scene: Scene<Evm>,
    cases: Vec<Case>,
    native: String,
    token: String,
}

/// # Errors
/// When a part fails; what was credited wrongly is in the outcome.
pub async fn run(ground: &Ground) -> Result<Outcome> {
    let mut scene = Scene::<Evm>::set(ground).await?;
    let assets = scene.host.get("/v1/assets").await?;
    let id = |symbol: &str| {
        let items = assets["data"].as_array().into_iter().flatten();
        let found = items.into_iter().find(|asset| asset["symbol"] == symbol);
        found.and_then(|asset| asset["id"].as_str().map(str::to_owned))
    };
    let mut run = Run {
        native: id("ETH").context("ETH is listed")?,
        token: id("USDX").context("USDX is listed")?,
        scene,
        cases: Vec::new(),
    };
    run.native().await?;
    run.honest_tokens().await?;
    run.foreign_tokens().await?;
    run.around_a_listed_token().await?;
    let mistakes = run.listed_by_mistake().await?;
    run.scene.stage.anvil.mine(CONFIRMATIONS).await?;
    run.scene.caught_up().await?;
    let wrong = run.compared().await?;
    let mut tripped = Vec::new();
    for (symbol, asset) in mistakes {
        let path = format!("/v1/assets/{asset}");
        let is_tripped = |asset: &serde_json::Value| asset["state"] == "tripped";
        run.scene.host.wait(&path, PATIENCE, is_tripped).await?;
        tripped.push(symbol);
    }
    run.scene.host.stop().await?;
    let mut options = run.scene.checking();
    options.tripped_may_differ = true;
    let report = crate::chain_checker::check(&options).await?;
    let cases = run.cases.len();
    run.scene.done().await;
    Ok(Outcome {
        wrong,
        cases,
        tripped,
        report,
    })
}

impl Run {
    fn owner(&self) -> String {
        self.scene.stage.anvil.accounts[0].clone()
    }

    /// A wallet that nothing has come to yet, and what should come.
    fn fresh(&mut self, name: &'static str, expected: Option<(&str, u128)>) -> String {
        let wallet = self.cases.len();
        let expected = expected.map(|(asset, units)| (asset.to_owned(), units));
        self.cases.push(Case {
            name,
            wallet,
            expected,
        });
        self.scene.wallets[wallet].address().to_owned()
    }

    async fn execute(&self, contract: &Contract, function: &str, arguments: &[Arg]) -> Result<()> {
        let anvil = &self.scene.stage.anvil;
        anvil
            .execute(&self.owner(), contract, function, arguments)
            .await?;
        anvil.mine(1).await
    }

    async fn pay(
        &self,
        wei: u128,
        contract: &Contract,
        function: &str,
        arguments: &[Arg],
    ) -> Result<()> {
        self.scene
            .stage
            .anvil
            .pay(wei, contract, function, arguments)
            .await?;
        self.scene.stage.anvil.mine(1).await
    }

    async fn transfer(&self, token: &Contract, to: &str) -> Result<()> {
        let arguments = [Arg::address(to), Arg::Uint(SENT)];
        self.execute(token, "transfer", &arguments).await
    }

    /// A token that the first account has plenty of.
    async fn minted(&self, name: &str, symbol: &str, decimals: Option<u8>) -> Result<Contract> {
        let mut arguments = vec![Arg::text(symbol)];
        arguments.extend(decimals.map(|decimals| Arg::Uint(decimals.into())));
        let token = self.scene.stage.anvil.deploy(name, &arguments).await?;
        self.mint(&token).await?;
        Ok(token)
    }

    async fn mint(&self, token: &Contract) -> Result<()> {
        let arguments = [Arg::address(&self.owner()), Arg::Uint(1_000_000)];
        self.execute(token, "mint", &arguments).await
    }

    async fn listed(&mut self, token: &Contract, symbol: &str, decimals: u8) -> Result<String> {
        let name = format!("erc20:{}", token.address);
        self.scene.add_asset(&name, symbol, decimals).await
    }

    /// Ether that no plain transaction brings.
    async fn native(&mut self) -> Result<()> {
        let asset = self.native.clone();
        let sender = self.scene.stage.payer.sender.clone();
        let to = self.fresh("a plain transaction", Some((&asset, SENT)));
        self.scene
            .stage
            .anvil
            .send_native(&self.owner(), &to, SENT)
            .await?;
        let to = self.fresh("NativeSender.send", Some((&asset, SENT)));
        self.pay(SENT, &sender, "send", &[Arg::address(&to)])
            .await?;

        let refuser = self.scene.stage.anvil.deploy("Refuser", &[]).await?.address;
        let twice = self.fresh(
            "NativeSender.sendMany, named twice",
            Some((&asset, 2 * SENT)),
        );
        let once = self.fresh("NativeSender.sendMany, named once", Some((&asset, SENT)));
        let list = Arg::Addresses(vec![twice.clone(), refuser, once, twice]);
        self.pay(4 * SENT, &sender, "sendMany", &[list, Arg::Uint(SENT)])
            .await?;

        let lost = self.fresh("NativeSender.sendOneUndone, undone", None);
        let kept = self.fresh("NativeSender.sendOneUndone, kept", Some((&asset, SENT)));
        let arguments = [Arg::address(&lost), Arg::address(&kept), Arg::Uint(SENT)];
        self.pay(2 * SENT, &sender, "sendOneUndone", &arguments)
            .await?;
        let to = self.fresh("NativeSender.sendAndFail", None);
        self.pay(SENT, &sender, "sendAndFail", &[Arg::address(&to)])
            .await?;
        let to = self.fresh("NativeSender.delegate", Some((&asset, SENT)));
        let code = self.scene.stage.anvil.deploy("NativeSender", &[]).await?;
        let data = Arg::Bytes(sender.encode("send", &[Arg::address(&to)])?);
        self.pay(
            SENT,
            &sender,
            "delegate",
            &[Arg::address(&code.address), data],
        )
        .await?;
        self.pay(SENT, &sender, "create", &[Arg::Word([7; 32])])
            .await?;

        let to = self.fresh("SelfDestructor.destroy", Some((&asset, SENT)));
        let purse = self.scene.stage.anvil.deploy("SelfDestructor", &[]).await?;
        let anvil = &self.scene.stage.anvil;
        anvil
            .send_native(&self.owner(), &purse.address, SENT)
            .await?;
        anvil.mine(1).await?;
        self.execute(&purse, "destroy", &[Arg::address(&to)])
            .await?;

        let wallet = self.scene.stage.anvil.deploy("ContractWallet", &[]).await?;
        let to = self.fresh("ContractWallet.execute with ether", Some((&asset, SENT)));
        let arguments = [Arg::address(&to), Arg::Uint(SENT), Arg::Bytes(Vec::new())];
        self.pay(SENT, &wallet, "execute", &arguments).await
    }

    /// Listed tokens whose logs say what happens.
    async fn honest_tokens(&mut self) -> Result<()> {
        let asset = self.token.clone();
        let token = self.scene.stage.payer.token.clone();
        let to = self.fresh("Token.transfer", Some((&asset, SENT)));
        self.transfer(&token, &to).await?;
        let to = self.fresh("Token.mint", Some((&asset, SENT)));
        self.execute(&token, "mint", &[Arg::address(&to), Arg::Uint(SENT)])
            .await?;

        let token = self.minted("NoReturnToken", "NORET", None).await?;
        let asset = self.listed(&token, "NORET", 6).await?;
        let to = self.fresh("NoReturnToken", Some((&asset, SENT)));
        self.transfer(&token, &to).await?;
        let token = self.minted("FeeToken", "FEE", None).await?;
        let asset = self.listed(&token, "FEE", 18).await?;
        let to = self.fresh("FeeToken", Some((&asset, SENT / 10 * 9)));
        self.transfer(&token, &to).await?;
        let token = self
            .minted("ChangingDecimalsToken", "CHDEC", Some(6))
            .await?;
        let asset = self.listed(&token, "CHDEC", 6).await?;
        self.execute(&token, "setDecimals", &[Arg::Uint(2)]).await?;
        let to = self.fresh("ChangingDecimalsToken", Some((&asset, SENT)));
        self.transfer(&token, &to).await?;

        let token = self.minted("HookToken", "HOOK", None).await?;
        let asset = self.listed(&token, "HOOK", 18).await?;
        let to = self.fresh("HookToken", Some((&asset, SENT)));
        self.transfer(&token, &to).await?;
        let onward = self.fresh("Reentrant", Some((&asset, SENT)));
        let hook = [Arg::address(&onward)];
        let reentrant = self.scene.stage.anvil.deploy("Reentrant", &hook).await?;
        // The first fills it; the second finds something to send on in the middle of itself.
        self.transfer(&token, &reentrant.address).await?;
        self.transfer(&token, &reentrant.address).await
    }

    /// Tokens that nobody listed, whatever they do.
    async fn foreign_tokens(&mut self) -> Result<()> {
        for (name, decimals) in [
            ("FalseToken", None),
            ("PhantomToken", None),
            ("LookAlikeToken", Some(6)),
            ("HugeToken", None),
        ] {
            let token = self.minted(name, "USDX", decimals).await?;
            let to = self.fresh(name, None);
            self.transfer(&token, &to).await?;
        }
        let odd = self.scene.stage.anvil.deploy("OddTopicsToken", &[]).await?;
        let to = self.fresh("OddTopicsToken", None);
        let arguments = [Arg::address(&to), Arg::Uint(SENT)];
        for function in ["oneTopic", "twoTopics", "fourTopics", "dirtyTopic"] {
            self.execute(&odd, function, &arguments).await?;
        }
        for length in [0, 31, 33] {
            let arguments = [Arg::address(&to), Arg::Uint(length)];
            self.execute(&odd, "oddData", &arguments).await?;
        }
        Ok(())
    }

    /// Contracts that do something with a listed token, or pretend to.
    async fn around_a_listed_token(&mut self) -> Result<()> {
        let (token, asset) = (self.scene.stage.payer.token.clone(), self.token.clone());
        let named = |to: &str| {
            [
                Arg::address(&token.address),
                Arg::address(to),
                Arg::Uint(SENT),
            ]
        };
        let to = self.fresh("LogForger", None);
        let forger = self.scene.stage.anvil.deploy("LogForger", &[]).await?;
        self.execute(&forger, "forge", &named(&to)).await?;
        let reverter = self.scene.stage.anvil.deploy("InnerReverter", &[]).await?;
        self.transfer(&token, &reverter.address).await?;
        let to = self.fresh("InnerReverter", None);
        self.execute(&reverter, "attempt", &named(&to)).await?;
        self.execute(&reverter, "transferAndFail", &named(&to))
            .await?;

        // Code of the listed token in another contract's place: the logs bear the other's address.
        for (name, function) in [
            ("DelegateWrapper", "run"),
            ("ContractWallet", "executeDelegate"),
        ] {
            let to = self.fresh(name, None);
            let wrapper = self.scene.stage.anvil.deploy(name, &[]).await?;
            let data = token.encode("mint", &[Arg::address(&to), Arg::Uint(SENT)])?;
            let arguments = [Arg::address(&token.address), Arg::Bytes(data)];
            self.execute(&wrapper, function, &arguments).await?;
        }
        let wallet = self.scene.stage.anvil.deploy("ContractWallet", &[]).await?;
        self.transfer(&token, &wallet.address).await?;
        let to = self.fresh("ContractWallet.execute", Some((&asset, SENT)));
        let data = token.encode("transfer", &[Arg::address(&to), Arg::Uint(SENT)])?;
        let arguments = [Arg::address(&token.address), Arg::Uint(0), Arg::Bytes(data)];
        self.execute(&wallet, "execute", &arguments).await?;

        let disperser = self.scene.stage.anvil.deploy("Disperser", &[]).await?;
        let fund = [Arg::address(&disperser.address), Arg::Uint(10 * SENT)];
        self.execute(&token, "transfer", &fund).await?;
        let twice = self.fresh("Disperser, named twice", Some((&asset, 2 * SENT)));
        let once = self.fresh("Disperser, named once", Some((&asset, SENT)));
        let list = Arg::Addresses(vec![twice.clone(), once, twice]);
        let arguments = [Arg::address(&token.address), list, Arg::Uint(SENT)];
        self.execute(&disperser, "disperse", &arguments).await?;

        let to = self.fresh("Spammer", None);
        let spammer = self.scene.stage.anvil.deploy("Spammer", &[]).await?;
        self.execute(&spammer, "flood", &[Arg::address(&to), Arg::Uint(500)])
            .await?;
        let other = Arg::address(&self.owner());
        let arguments = [Arg::address(&token.address), Arg::address(&to), other];
        self.execute(&spammer, "poison", &arguments).await
    }

    /// Tokens that should never have been listed. Answers those whose breakers must trip.
    async fn listed_by_mistake(&mut self) -> Result<Vec<(String, String)>> {
        for name in ["PhantomToken", "HugeToken"] {
            let token = self.minted(name, "LIAR", None).await?;
            self.listed(&token, "LIAR", 18).await?;
            let to = self.fresh("listed: logs without movement", None);
            self.transfer(&token, &to).await?;
        }
        let token = self.minted("HiddenFeeToken", "HIDFEE", None).await?;
        let asset = self.listed(&token, "HIDFEE", 18).await?;
        let to = self.fresh("HiddenFeeToken, listed", Some((&asset, SENT / 10 * 9)));
        self.transfer(&token, &to).await?;

        let token = self.minted("SilentToken", "SILENT", None).await?;
        let silent = self.listed(&token, "SILENT", 18).await?;
        let to = self.fresh("SilentToken, listed", None);
        self.transfer(&token, &to).await?;
        let token = self.minted("RebasingToken", "REBASE", None).await?;
        let rebasing = self.listed(&token, "REBASE", 18).await?;
        let to = self.fresh("RebasingToken, listed", Some((&rebasing, SENT)));
        self.transfer(&token, &to).await?;
        self.scene.stage.anvil.mine(CONFIRMATIONS).await?;
        self.scene.caught_up().await?;
        self.execute(&token, "rebase", &[Arg::Uint(50)]).await?;

        let honest = self.minted("Token", "BEHIND", Some(18)).await?;
        let phantom = self.minted("PhantomToken", "BEHIND", None).await?;
        let arguments = [Arg::text("SWAP"), Arg::address(&honest.address)];
        let proxy = self
            .scene
            .stage
            .anvil
            .deploy("SwappableToken", &arguments)
            .await?;
        self.mint(&proxy).await?;
        let asset = self.listed(&proxy, "SWAP", 18).await?;
        let to = self.fresh("SwappableToken, listed and swapped", Some((&asset, SENT)));
        let front = honest.at(&proxy.address);
        self.transfer(&front, &to).await?;
        self.execute(&proxy, "swap", &[Arg::address(&phantom.address)])
            .await?;
        self.transfer(&front, &to).await?;
        Ok(vec![
            ("SILENT".to_owned(), silent),
            ("REBASE".to_owned(), rebasing),
        ])
    }

    /// What each wallet was credited for, beside what it should have been.
    async fn compared(&mut self) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        for case in &self.cases {
            let wallet = &self.scene.wallets[case.wallet];
            let path = format!("/v1/deposits?wallet={}&limit=200", wallet.id);
            let answer = self.scene.host.get(&path).await?;
            let mut credited: BTreeMap<String, u128> = BTreeMap::new();
            for deposit in answer["items"].as_array().into_iter().flatten() {
                if deposit["state"] == "confirmed" || deposit["state"] == "finalized" {
                    let asset = deposit["asset_id"].as_str().unwrap_or_default();
                    let units: u128 = deposit["units"].as_str().unwrap_or_default().parse()?;
                    *credited.entry(asset.to_owned()).or_default() += units;
                }
            }
            let expected: BTreeMap<String, u128> = case.expected.clone().into_iter().collect();
            if credited != expected {
                let name = case.name;
                wrong.push(format!(
                    "{name}: credited {credited:?} instead of {expected:?}"
                ));
            }
        }
        ensure!(
            self.cases.len() <= self.scene.wallets.len(),
            "a wallet for each case"
        );
        Ok(wrong)
    }
}
