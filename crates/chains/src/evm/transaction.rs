//! A transaction in its canonical bytes ([EIP-2718](https://eips.ethereum.org/EIPS/eip-2718)).

use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, U256, keccak256};
use coffer_domain::block::TransactionHash;

use super::error::EvmError;

/// What its bytes say. A node's own `hash` and `from` are not looked at.
#[derive(Debug, Clone)]
pub struct Transaction {
    pub hash: TransactionHash,
    /// `None` where it makes a contract.
    pub to: Option<Address>,
    pub value: U256,
    envelope: TxEnvelope,
    encoded: Vec<u8>,
}

impl Transaction {
    pub(super) fn read(json: &str) -> Result<Self, EvmError> {
        let envelope: TxEnvelope = serde_json::from_str(json)
            .map_err(|error| EvmError::malformed("transaction", error))?;
        let encoded = envelope.encoded_2718();
        Ok(Self {
            hash: TransactionHash(keccak256(&encoded).0),
            to: envelope.to(),
            value: envelope.value(),
            envelope,
            encoded,
        })
    }

    pub(super) fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// Recovered from the signature: about 0.1 ms.
    pub fn sender(&self) -> Result<Address, EvmError> {
        // Blocks before EIP-2 hold signatures with a high s.
        self.envelope
            .recover_signer_unchecked()
            .map_err(|error| EvmError::malformed("signature", error))
    }

    /// What the sender paid for so much gas, without the price of blobs.
    #[must_use]
    pub fn fee(&self, gas_used: u64, base_fee: Option<u64>) -> U256 {
        U256::from(self.envelope.effective_gas_price(base_fee)) * U256::from(gas_used)
    }
}
