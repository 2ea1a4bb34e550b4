//! What is done to a chain: deposits of all sorts, and reorganizations that drop, move and replace them.

use std::collections::HashMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::stage::Fates;
use crate::anvil::{Anvil, Arg, Contract, Placed, hex_number, keccak256};
use crate::crash::Chance;

/// The means to pay.
pub(crate) struct Payer {
    pub(crate) token: Contract,
    /// Sends on what it is given, by an internal call.
    pub(crate) sender: Contract,
    pub(crate) wallets: Vec<String>,
}

impl Payer {
    /// Deploys what is needed, and gives every account of the node tokens to send.
    pub(crate) async fn set_up(anvil: &Anvil) -> Result<Self> {
        let token = anvil.deploy_token("USDX", 6, u128::MAX / 2).await?;
        let sender = anvil.deploy("NativeSender", &[]).await?;
        anvil.deploy_multicall3().await?;
        let owner = anvil.accounts[0].clone();
        for account in &anvil.accounts[1..] {
            anvil
                .transfer(&token, &owner, account, 1_000_000_000_000_000)
                .await?;
        }
        anvil.mine(1).await?;
        Ok(Self {
            token,
            sender,
            wallets: Vec::new(),
        })
    }

    /// What [`Self::set_up`] has deployed before.
    pub(crate) fn at(token: &str, sender: &str, wallets: &[String]) -> Result<Self> {
        Ok(Self {
            token: Contract::load("Token", token)?,
            sender: Contract::load("NativeSender", sender)?,
            wallets: wallets.to_vec(),
        })
    }

    /// The fields of a transaction that brings something to a wallet: plainly, by an internal call, or as a token.
    pub(crate) fn deposit(&self, chance: &mut Chance) -> Result<Value> {
        let count = self.wallets.len() as u64;
        let to = self.wallets[chance.between(0, count) as usize].clone();
        // From a thousandth to about ten: of ether, or of a token with six decimals.
        let thousandths = u128::from(chance.between(1, 10_000));
        match chance.between(0, 4) {
            0 | 1 => {
                let units = thousandths * 1_000 + u128::from(chance.between(0, 1_000));
                let arguments = [Arg::address(&to), Arg::Uint(units)];
                self.token.request("transfer", &arguments)
            }
            2 => {
                let mut request = self.sender.request("send", &[Arg::address(&to)])?;
                request["value"] = json!(hex_number(thousandths * 1_000_000_000_000_000));
                Ok(request)
            }
            _ => {
                let wei =
                    thousandths * 1_000_000_000_000_000 + u128::from(chance.between(0, 1_000));
                Ok(json!({ "to": to, "value": hex_number(wei) }))
            }
        }
    }
}

#[derive(Clone)]
struct Sent {
    from: String,
    nonce: u128,
    raw: String,
}

/// Remembers every transaction, so that it can come again.
#[derive(Default)]
pub(crate) struct Driver {
    /// By transaction hash, all that was ever signed.
    signed: HashMap<String, Sent>,
    /// Dropped by a reorganization, and not seen since.
    lost: Vec<Sent>,
    pub(crate) fates: Fates,
}

impl Driver {
    /// One deposit, pending until a block is made.
    pub(crate) async fn send(
        &mut self,
        anvil: &Anvil,
        payer: &Payer,
        (chance, account): (&mut Chance, usize),
    ) -> Result<()> {
        let fields = payer.deposit(chance)?;
        let from = &anvil.accounts[account];
        let nonce = anvil.nonce(from).await?;
        let sent = self.sign(anvil, from, (fields, nonce)).await?;
        anvil.send_raw(&sent.raw).await?;
        self.fates.sent += 1;
        Ok(())
    }

    async fn sign(
        &mut self,
        anvil: &Anvil,
        from: &str,
        (mut fields, nonce): (Value, u128),
    ) -> Result<Sent> {
        fields["nonce"] = json!(hex_number(nonce));
        let sent = Sent {
            from: from.to_owned(),
            nonce,
            raw: anvil.sign(from, fields).await?,
        };
        let bytes = hex::decode(sent.raw.trim_start_matches("0x"))?;
        let hash = format!("0x{}", hex::encode(keccak256(&bytes)));
        self.signed.insert(hash, sent.clone());
        Ok(sent)
    }

    /// Some of what was dropped comes again, if nothing has taken its place.
    pub(crate) async fn send_again(&mut self, anvil: &Anvil, chance: &mut Chance) -> Result<()> {
        for sent in std::mem::take(&mut self.lost) {
            let next = anvil.nonce(&sent.from).await?;
            if sent.nonce < next {
                continue;
            }
            if sent.nonce == next && chance.between(0, 3) == 0 {
                anvil.send_raw(&sent.raw).await?;
                self.fates.sent_again += 1;
            } else if sent.nonce > next || chance.between(0, 2) == 0 {
                self.lost.push(sent);
            }
        }
        Ok(())
    }

    /// A deposit that nobody has sent, for the lowest block of a reorganization. Without any, empty blocks that
    /// are exchanged within one second may come out the same.
    pub(crate) async fn fresh(
        &mut self,
        anvil: &Anvil,
        payer: &Payer,
        (chance, account): (&mut Chance, usize),
    ) -> Result<Placed> {
        let from = &anvil.accounts[account];
        let nonce = anvil.nonce(from).await?;
        let fields = payer.deposit(chance)?;
        let raw = self.sign(anvil, from, (fields, nonce)).await?.raw;
        self.fates.sent += 1;
        Ok(Placed { raw, block: 0 })
    }

    /// Exchanges the last `depth` blocks; each transaction in them is dropped, moved or replaced. `placed` comes
    /// into the new ones as well.
    pub(crate) async fn reorg(
        &mut self,
        anvil: &Anvil,
        payer: &Payer,
        (chance, depth): (&mut Chance, u64),
        mut placed: Vec<Placed>,
    ) -> Result<()> {
        let mut senders = self.senders(anvil, depth).await?;
        // Another order of senders is another place in the block, and another log index.
        if chance.between(0, 2) == 0 {
            senders.reverse();
        }
        for list in senders {
            let mut block = 0;
            let mut gone = false;
            for sent in list {
                let fate = chance.between(0, 6);
                // Of each sender a run of nonces without a gap: what follows on a dropped one is dropped.
                if gone || fate == 0 {
                    gone = true;
                    self.fates.dropped += 1;
                    self.lost.push(sent);
                    continue;
                }
                block = chance.between(block, depth);
                let raw = if fate == 1 {
                    let fields = payer.deposit(chance)?;
                    let other = self.sign(anvil, &sent.from, (fields, sent.nonce)).await?;
                    self.fates.replaced += 1;
                    other.raw
                } else {
                    self.fates.moved += 1;
                    sent.raw
                };
                placed.push(Placed { raw, block });
            }
        }
        placed.sort_by_key(|placed| placed.block);
        anvil
            .reorg(depth, &placed)
            .await
            .with_context(|| format!("a reorganization of {depth} blocks"))
    }

    /// Our transactions of the last blocks, by sender, each in the order of its nonces.
    async fn senders(&self, anvil: &Anvil, depth: u64) -> Result<Vec<Vec<Sent>>> {
        let head = anvil.height().await?;
        let mut senders: Vec<Vec<Sent>> = Vec::new();
        for height in head + 1 - depth..=head {
            let block = anvil.block(height).await?;
            for hash in block["transactions"].as_array().into_iter().flatten() {
                let hash = hash.as_str().unwrap_or_default();
                let Some(sent) = self.signed.get(hash) else {
                    continue;
                };
                match senders.iter_mut().find(|list| list[0].from == sent.from) {
                    Some(list) => list.push(sent.clone()),
                    None => senders.push(vec![sent.clone()]),
                }
            }
        }
        Ok(senders)
    }
}
