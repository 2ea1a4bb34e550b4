//! Compiled contracts, and those that stand on a chain.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::abi::{Arg, encode, selector};
use super::{Anvil, hex_number, number, process};

/// Where Multicall3 stands on the real chains.
pub const MULTICALL3: &str = "0xcA11bde05977b3631167028862bE2a173976CA11";

/// What the compiler made of one contract of `contracts/`.
#[derive(Debug, Clone)]
pub struct Artifact {
    name: String,
    abi: Value,
    bytecode: String,
    /// What stands on the chain after the deployment.
    pub code: String,
}

impl Artifact {
    /// # Errors
    /// When there is no compiled contract of that name.
    pub fn load(name: &str) -> Result<Self> {
        let path = process::contracts().join(format!("{name}.json"));
        let text =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut json: Value = serde_json::from_slice(&text)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Self {
            name: name.to_owned(),
            bytecode: text(&json["bytecode"]),
            code: text(&json["code"]),
            abi: json["abi"].take(),
        })
    }

    /// Call data of a function; the number of arguments picks among overloaded ones.
    ///
    /// # Errors
    /// When the contract has no such function.
    pub fn encode(&self, function: &str, arguments: &[Arg]) -> Result<Vec<u8>> {
        let entries = self.abi.as_array().context("an ABI is a list")?;
        let inputs = entries
            .iter()
            .filter(|entry| entry["type"] == "function" && entry["name"] == function)
            .filter_map(|entry| entry["inputs"].as_array())
            .find(|inputs| inputs.len() == arguments.len());
        let Some(inputs) = inputs else {
            bail!(
                "{} has no {function} of {} arguments",
                self.name,
                arguments.len()
            )
        };
        let types: Vec<String> = inputs.iter().map(type_of).collect();
        let mut data = selector(&format!("{function}({})", types.join(","))).to_vec();
        data.extend(encode(arguments)?);
        Ok(data)
    }
}

/// The type in its canonical form, tuples written out.
fn type_of(input: &Value) -> String {
    let kind = input["type"].as_str().unwrap_or_default();
    let Some(array) = kind.strip_prefix("tuple") else {
        return kind.to_owned();
    };
    let parts = input["components"].as_array().into_iter().flatten();
    let parts: Vec<String> = parts.map(type_of).collect();
    format!("({}){array}", parts.join(","))
}

/// A contract at an address.
#[derive(Debug, Clone)]
pub struct Contract {
    pub address: String,
    artifact: Artifact,
}

impl Contract {
    /// One that stands at an address already.
    ///
    /// # Errors
    /// See [`Artifact::load`].
    pub fn load(name: &str, address: &str) -> Result<Self> {
        Ok(Self {
            address: address.to_owned(),
            artifact: Artifact::load(name)?,
        })
    }

    /// The same code elsewhere, for instance behind a proxy.
    #[must_use]
    pub fn at(&self, address: &str) -> Self {
        Self {
            address: address.to_owned(),
            artifact: self.artifact.clone(),
        }
    }

    /// # Errors
    /// See [`Artifact::encode`].
    pub fn encode(&self, function: &str, arguments: &[Arg]) -> Result<Vec<u8>> {
        self.artifact.encode(function, arguments)
    }

    /// The fields of a transaction that calls it, for [`Anvil::send`] and [`Anvil::sign`].
    ///
    /// # Errors
    /// See [`Artifact::encode`].
    pub fn request(&self, function: &str, arguments: &[Arg]) -> Result<Value> {
        let data = self.encode(function, arguments)?;
        Ok(json!({ "to": self.address, "data": format!("0x{}", hex::encode(data)) }))
    }
}

impl Anvil {
    /// Deploys a contract from the first account, and makes a block with it.
    ///
    /// # Errors
    /// When it is not compiled, or its constructor fails.
    pub async fn deploy(&self, name: &str, arguments: &[Arg]) -> Result<Contract> {
        let artifact = Artifact::load(name)?;
        let data = format!("{}{}", artifact.bytecode, hex::encode(encode(arguments)?));
        let hash = self
            .send(&self.accounts[0], json!({ "data": data }))
            .await?;
        self.mine(1).await?;
        let receipt = self.receipt(&hash).await?.context("no block took it")?;
        if receipt["status"] != "0x1" {
            bail!("the constructor of {name} failed");
        }
        let address = receipt["contractAddress"].as_str().context("no address")?;
        Ok(Contract {
            address: address.to_owned(),
            artifact,
        })
    }

    /// Multicall3 at its usual address.
    ///
    /// # Errors
    /// When it is not compiled.
    pub async fn deploy_multicall3(&self) -> Result<Contract> {
        let artifact = Artifact::load("Multicall3")?;
        self.set_code(MULTICALL3, &artifact.code).await?;
        Ok(Contract {
            address: MULTICALL3.to_owned(),
            artifact,
        })
    }

    /// Sends a call from `from`; it is pending until a block is made. Answers the transaction's hash.
    ///
    /// # Errors
    /// When there is no such function, or the node refuses. A call that fails in the block is no error here.
    pub async fn execute(
        &self,
        from: &str,
        contract: &Contract,
        function: &str,
        arguments: &[Arg],
    ) -> Result<String> {
        self.send(from, contract.request(function, arguments)?)
            .await
    }

    /// The same with ether.
    ///
    /// # Errors
    /// See [`Self::execute`].
    pub async fn pay(
        &self,
        wei: u128,
        contract: &Contract,
        function: &str,
        arguments: &[Arg],
    ) -> Result<String> {
        let mut request = contract.request(function, arguments)?;
        request["value"] = json!(hex_number(wei));
        self.send(&self.accounts[0], request).await
    }

    /// What a call would answer at the head.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn call(
        &self,
        contract: &Contract,
        function: &str,
        arguments: &[Arg],
    ) -> Result<Vec<u8>> {
        let request = contract.request(function, arguments)?;
        let answer = self
            .rpc
            .call("eth_call", json!([request, "latest"]))
            .await?;
        let text = answer.as_str().context("eth_call answers bytes")?;
        Ok(hex::decode(text.trim_start_matches("0x"))?)
    }

    /// Units of a token that an address holds at the head.
    ///
    /// # Errors
    /// When they are more than 128 bits, or it is no token.
    pub async fn token_balance(&self, token: &Contract, owner: &str) -> Result<u128> {
        let answer = self
            .call(token, "balanceOf", &[Arg::address(owner)])
            .await?;
        number(&json!(format!("0x{}", hex::encode(answer))))
    }

    /// A token transfer from one of the node's accounts; pending until a block is made.
    ///
    /// # Errors
    /// See [`Self::execute`].
    pub async fn transfer(
        &self,
        token: &Contract,
        from: &str,
        to: &str,
        units: u128,
    ) -> Result<String> {
        self.execute(
            from,
            token,
            "transfer",
            &[Arg::address(to), Arg::Uint(units)],
        )
        .await
    }

    /// A token with `units` minted to the first account.
    ///
    /// # Errors
    /// See [`Self::deploy`].
    pub async fn deploy_token(&self, symbol: &str, decimals: u8, units: u128) -> Result<Contract> {
        let arguments = [Arg::text(symbol), Arg::Uint(decimals.into())];
        let token = self.deploy("Token", &arguments).await?;
        let owner = self.accounts[0].clone();
        self.execute(
            &owner,
            &token,
            "mint",
            &[Arg::address(&owner), Arg::Uint(units)],
        )
        .await?;
        self.mine(1).await?;
        Ok(token)
    }
}
