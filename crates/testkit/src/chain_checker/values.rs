//! Numbers, hashes and addresses as JSON-RPC and the database write them.

use anyhow::{Context, Result, bail, ensure};
use ruint::aliases::U256;
use serde_json::Value;

/// A quantity of JSON-RPC, or a word of 32 bytes.
pub(super) fn quantity(value: &Value) -> Result<U256> {
    let text = value
        .as_str()
        .with_context(|| format!("{value} is no quantity"))?;
    let digits = text.strip_prefix("0x").context("a quantity without 0x")?;
    if digits.is_empty() {
        bail!("an empty quantity");
    }
    U256::from_str_radix(digits, 16).with_context(|| format!("{text} is no quantity"))
}

pub(super) fn small(value: &Value) -> Result<u64> {
    u64::try_from(quantity(value)?)
        .ok()
        .with_context(|| format!("{value} is too large"))
}

pub(super) fn bytes(value: &Value) -> Result<Vec<u8>> {
    let text = value
        .as_str()
        .with_context(|| format!("{value} is no text"))?;
    Ok(hex::decode(
        text.strip_prefix("0x").context("bytes without 0x")?,
    )?)
}

pub(super) fn fixed<const N: usize>(value: &Value) -> Result<[u8; N]> {
    let bytes = bytes(value)?;
    let length = bytes.len();
    <[u8; N]>::try_from(bytes)
        .ok()
        .with_context(|| format!("{length} bytes instead of {N}"))
}

/// An amount of the database: big-endian, without leading zeros.
pub(super) fn units(bytes: &[u8]) -> Result<U256> {
    ensure!(bytes.len() <= 32, "an amount of {} bytes", bytes.len());
    ensure!(bytes.first() != Some(&0), "an amount with a leading zero");
    Ok(U256::from_be_slice(bytes))
}

pub(super) fn name(prefix: &str, id: &[u8]) -> String {
    format!("{prefix}_{}", hex::encode(id))
}

pub(super) fn short(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// A number with a sign, for sums of two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Signed {
    pub up: U256,
    pub down: U256,
}

impl Signed {
    pub(super) fn add(&mut self, units: U256) {
        self.up = self.up.saturating_add(units);
    }

    pub(super) fn sub(&mut self, units: U256) {
        self.down = self.down.saturating_add(units);
    }

    pub(super) fn is(&self, units: U256) -> bool {
        self.up == self.down.saturating_add(units)
    }
}

impl std::fmt::Display for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.up >= self.down {
            write!(f, "{}", self.up - self.down)
        } else {
            write!(f, "-{}", self.down - self.up)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quantities_and_amounts_are_read_exactly() {
        assert_eq!(quantity(&json!("0x0")).expect("zero"), U256::ZERO);
        let most = format!("0x{}", "f".repeat(64));
        assert_eq!(quantity(&json!(most)).expect("the most"), U256::MAX);
        for wrong in [json!("0x"), json!("12"), json!(12), json!(null)] {
            assert!(quantity(&wrong).is_err(), "{wrong}");
        }
        assert_eq!(units(&[]).expect("zero"), U256::ZERO);
        assert_eq!(units(&[1, 0]).expect("256"), U256::from(256));
        assert!(units(&[0, 1]).is_err() && units(&[1; 33]).is_err());
    }

    #[test]
    fn sums_have_a_sign() {
        let mut sum = Signed::default();
        sum.add(U256::from(3));
        sum.sub(U256::from(5));
        assert_eq!(sum.to_string(), "-2");
        sum.add(U256::from(9));
        assert!(sum.is(U256::from(7)) && !sum.is(U256::from(8)));
    }
}
