//! Coins whose keys the proof has: its own purses, and the customers' by the words of every installation of tests.
//!
//! Transactions are built and signed here, so that one can be made of outputs that no node has seen yet.

use std::collections::HashMap;
use std::str::FromStr;

use anyhow::{Context, Result};
use bitcoin::absolute::LockTime;
use bitcoin::bip32::{DerivationPath, Xpriv};
use bitcoin::hashes::{Hash, sha256};
use bitcoin::key::TapTweak;
use bitcoin::secp256k1::{All, Keypair, Message, Secp256k1, SecretKey};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, EcdsaSighashType, Network, OutPoint, ScriptBuf, Sequence, TapSighashType, Transaction,
    TxIn, TxOut, Witness,
};

/// BIP-39 seed of the words that every installation of the tests has.
const SEED: &str = "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc19a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4";

/// An output that can be spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coin {
    pub(super) at: OutPoint,
    pub(super) output: TxOut,
}

impl Coin {
    pub(super) fn of(transaction: &Transaction, number: usize) -> Self {
        Self {
            at: OutPoint {
                txid: transaction.compute_txid(),
                vout: u32::try_from(number).unwrap_or(u32::MAX),
            },
            output: transaction.output[number].clone(),
        }
    }
}

/// Secret keys by the scripts that they open.
pub(super) struct Keys {
    curve: Secp256k1<All>,
    by_script: HashMap<ScriptBuf, SecretKey>,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self {
            curve: Secp256k1::new(),
            by_script: HashMap::new(),
        }
    }

    /// A key of the proof's own; answers its script.
    pub(super) fn purse(&mut self, number: u32) -> Result<ScriptBuf> {
        let secret = sha256::Hash::hash(format!("purse {number} of a proof").as_bytes());
        self.hash_script(SecretKey::from_slice(secret.as_byte_array())?)
    }

    /// The keys of the vault's first wallets, both kinds of each; so many indexes.
    pub(super) fn customers(&mut self, indexes: u32) -> Result<()> {
        let master = Xpriv::new_master(Network::Regtest, &hex::decode(SEED)?)?;
        for purpose in [84, 86] {
            let path = DerivationPath::from_str(&format!("m/{purpose}'/0'/0'/0"))?;
            let chain = master.derive_priv(&self.curve, &path)?;
            for index in 0..indexes {
                let path = DerivationPath::from_str(&format!("m/{index}"))?;
                let key = chain.derive_priv(&self.curve, &path)?.private_key;
                if purpose == 84 {
                    self.hash_script(key)?;
                } else {
                    let (internal, _) = key.x_only_public_key(&self.curve);
                    let script = ScriptBuf::new_p2tr(&self.curve, internal, None);
                    self.by_script.insert(script, key);
                }
            }
        }
        Ok(())
    }

    fn hash_script(&mut self, key: SecretKey) -> Result<ScriptBuf> {
        let public = bitcoin::CompressedPublicKey(key.public_key(&self.curve));
        let script = ScriptBuf::new_p2wpkh(&public.wpubkey_hash());
        self.by_script.insert(script.clone(), key);
        Ok(script)
    }

    pub(super) fn opens(&self, script: &ScriptBuf) -> bool {
        self.by_script.contains_key(script)
    }

    /// A signed transaction; what the outputs leave is the fee.
    pub(super) fn pay(&self, coins: &[Coin], outputs: Vec<TxOut>) -> Result<Transaction> {
        let input = |coin: &Coin| TxIn {
            previous_output: coin.at,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness: Witness::new(),
        };
        let mut transaction = Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: coins.iter().map(input).collect(),
            output: outputs,
        };
        let spent: Vec<TxOut> = coins.iter().map(|coin| coin.output.clone()).collect();
        let mut witnesses = Vec::with_capacity(coins.len());
        let mut hashes = SighashCache::new(&transaction);
        for (place, output) in spent.iter().enumerate() {
            let script = &output.script_pubkey;
            let key = self.by_script.get(script).context("a coin without key")?;
            witnesses.push(if script.is_p2tr() {
                let prevouts = Prevouts::All(&spent);
                let hash = hashes.taproot_key_spend_signature_hash(
                    place,
                    &prevouts,
                    TapSighashType::Default,
                )?;
                let pair = Keypair::from_secret_key(&self.curve, key)
                    .tap_tweak(&self.curve, None)
                    .to_keypair();
                let signature = self
                    .curve
                    .sign_schnorr_no_aux_rand(&Message::from_digest(hash.to_byte_array()), &pair);
                Witness::from_slice(&[signature.as_ref()])
            } else {
                let all = EcdsaSighashType::All;
                let hash = hashes.p2wpkh_signature_hash(place, script, output.value, all)?;
                let message = Message::from_digest(hash.to_byte_array());
                let signature = bitcoin::ecdsa::Signature {
                    signature: self.curve.sign_ecdsa(&message, key),
                    sighash_type: all,
                };
                Witness::p2wpkh(&signature, &key.public_key(&self.curve))
            });
        }
        for (input, witness) in transaction.input.iter_mut().zip(witnesses) {
            input.witness = witness;
        }
        Ok(transaction)
    }
}

pub(super) fn output(script: &ScriptBuf, sats: u64) -> TxOut {
    TxOut {
        value: Amount::from_sat(sats),
        script_pubkey: script.clone(),
    }
}
