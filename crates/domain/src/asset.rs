//! Assets and exact amounts.
//!
//! An asset is named by CAIP-19; an [`Amount`] counts its base units in 256 bits and belongs to one
//! asset. There is no arithmetic that can overflow in silence, no float, and no sign: a side is a side.

use std::fmt;
use std::str::FromStr;

use ruint::aliases::U256;
use sha2::{Digest, Sha256};

use crate::address::AddressPayload;
use crate::chain::ChainId;
use crate::id::{AssetId, NetworkId, OrganizationId};
use crate::vault::names;

/// A text that is not a CAIP-19 asset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a CAIP-19 asset such as eip155:1/slip44:60 or eip155:1/erc20:0x…")]
pub struct AssetNameError(pub String);

/// CAIP-19: chain, asset namespace and reference, `eip155:1/erc20:0x6b17…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AssetName {
    pub chain: ChainId,
    pub namespace: String,
    pub reference: String,
}

impl FromStr for AssetName {
    type Err = AssetNameError;

    fn from_str(text: &str) -> Result<Self, AssetNameError> {
        let refused = || AssetNameError(text.chars().take(128).collect());
        let (chain, asset) = text.split_once('/').ok_or_else(refused)?;
        let (namespace, reference) = asset.split_once(':').ok_or_else(refused)?;
        let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let any = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'%');
        let good = (3..=8).contains(&namespace.len())
            && (1..=128).contains(&reference.len())
            && namespace.bytes().all(lower)
            && reference.bytes().all(any);
        if !good {
            return Err(refused());
        }
        Ok(Self {
            chain: chain.parse().map_err(|_| refused())?,
            namespace: namespace.to_owned(),
            reference: reference.to_owned(),
        })
    }
}

impl fmt::Display for AssetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.chain, self.namespace, self.reference)
    }
}

/// What on the chain the asset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AssetKind {
    /// The chain's own coin.
    Native,
    /// A token contract.
    Token(AddressPayload),
}

/// Whether deposits of the asset are credited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssetState {
    Active,
    /// The breaker: reconciliation found a difference. Deposits are detected and not credited until a
    /// person closes it again.
    Tripped,
    /// Taken off the allow-list: new deposits are not looked for.
    Disabled,
}
names!(AssetState, "asset state", "active, tripped or disabled", {
    Active = "active", Tripped = "tripped", Disabled = "disabled",
});

/// An entry of the allow-list of assets. Nothing outside it is ever credited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    pub id: AssetId,
    pub organization: OrganizationId,
    pub network: NetworkId,
    pub name: AssetName,
    pub kind: AssetKind,
    pub symbol: String,
    pub decimals: u8,
    /// A deposit below this many base units is rejected, its value kept in suspense.
    pub deposit_units_min: U256,
    pub state: AssetState,
    /// Why it is tripped or disabled.
    pub reason: Option<String>,
    pub created_at_ms: i64,
    pub version: u32,
}

impl AssetId {
    /// Computed, so that the same configuration gives the same ids again.
    #[must_use]
    pub fn of(organization: OrganizationId, name: &AssetName) -> Self {
        let digest = Sha256::new()
            .chain_update(b"coffer asset id v1")
            .chain_update(organization.as_bytes())
            .chain_update(name.to_string().to_ascii_lowercase())
            .finalize();
        Self::from_digest(&digest.into())
    }
}

/// The most decimals that an asset may have; ERC-20 allows 255, no token that is traded has more than 36.
pub const DECIMALS_MAX: u8 = 77;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("an amount of {left} cannot be combined with one of {right}")]
    OtherAsset { left: AssetId, right: AssetId },
    #[error("the sum does not fit in 256 bits")]
    Overflow,
    #[error("{left} units are less than {right}")]
    Negative { left: U256, right: U256 },
    #[error("{text:?} is not an amount with at most {decimals} decimals, written like 12.5")]
    Malformed { text: String, decimals: u8 },
}

/// So many base units of one asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Amount {
    asset: AssetId,
    units: U256,
}

impl Amount {
    #[must_use]
    pub fn new(asset: AssetId, units: U256) -> Self {
        Self { asset, units }
    }

    #[must_use]
    pub fn asset(&self) -> AssetId {
        self.asset
    }

    #[must_use]
    pub fn units(&self) -> U256 {
        self.units
    }

    fn same_asset(&self, other: &Self) -> Result<(), AmountError> {
        if self.asset == other.asset {
            return Ok(());
        }
        Err(AmountError::OtherAsset {
            left: self.asset,
            right: other.asset,
        })
    }

    pub fn checked_add(&self, other: &Self) -> Result<Self, AmountError> {
        self.same_asset(other)?;
        let units = self.units.checked_add(other.units);
        Ok(Self::new(self.asset, units.ok_or(AmountError::Overflow)?))
    }

    pub fn checked_sub(&self, other: &Self) -> Result<Self, AmountError> {
        self.same_asset(other)?;
        let units = self.units.checked_sub(other.units);
        let negative = AmountError::Negative {
            left: self.units,
            right: other.units,
        };
        Ok(Self::new(self.asset, units.ok_or(negative)?))
    }
}

/// Base units in the asset's own decimals, without trailing zeros: 1500000 of 6 decimals is `1.5`.
#[must_use]
pub fn decimal_text(units: U256, decimals: u8) -> String {
    let digits = units.to_string();
    let decimals = usize::from(decimals);
    let padded = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = padded.split_at(padded.len() - decimals);
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

/// Reads what [`decimal_text`] writes. Exact, or refused: no sign, no exponent, no surplus decimals.
pub fn parse_decimal(text: &str, decimals: u8) -> Result<U256, AmountError> {
    let refused = || AmountError::Malformed {
        text: text.chars().take(100).collect(),
        decimals,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let dangling = text.contains('.') && fraction.is_empty();
    let padded = whole.len() > 1 && whole.starts_with('0');
    if whole.is_empty() || dangling || padded || !digits(whole) || !digits(fraction) {
        return Err(refused());
    }
    if fraction.len() > usize::from(decimals) || text.len() > 160 {
        return Err(refused());
    }
    let all = format!("{whole}{fraction:0<width$}", width = usize::from(decimals));
    U256::from_str_radix(&all, 10).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_print_and_parse_exactly() {
        let check = |units: u64, decimals: u8, text: &str| {
            assert_eq!(decimal_text(U256::from(units), decimals), text);
            assert_eq!(parse_decimal(text, decimals), Ok(U256::from(units)));
        };
        check(0, 18, "0");
        check(1, 18, "0.000000000000000001");
        check(1_500_000, 6, "1.5");
        check(7, 0, "7");
        let most = decimal_text(U256::MAX, 18);
        assert_eq!(parse_decimal(&most, 18), Ok(U256::MAX));
    }

    #[test]
    fn what_is_not_exact_is_refused() {
        let above = format!("{}0", U256::MAX);
        for text in [
            "",
            ".",
            ".5",
            "1.",
            "-1",
            "+1",
            "1e3",
            "0x1",
            "1,5",
            "1.0000001",
            "01",
            "١",
            " 1",
            above.as_str(),
        ] {
            assert!(parse_decimal(text, 6).is_err(), "{text}");
        }
    }

    #[test]
    fn amounts_of_two_assets_do_not_mix() {
        let (one, two) = (AssetId::from_bytes([1; 16]), AssetId::from_bytes([2; 16]));
        let (left, right) = (
            Amount::new(one, U256::from(5)),
            Amount::new(two, U256::from(5)),
        );
        assert!(matches!(
            left.checked_add(&right),
            Err(AmountError::OtherAsset { .. })
        ));
        let most = Amount::new(one, U256::MAX);
        assert_eq!(most.checked_add(&left), Err(AmountError::Overflow));
        assert!(matches!(
            left.checked_sub(&most),
            Err(AmountError::Negative { .. })
        ));
    }

    #[test]
    fn caip_19_names_parse_and_print() {
        let text = "eip155:1/erc20:0x6B175474E89094C44Da98b954EedeAC495271d0F";
        assert_eq!(text.parse::<AssetName>().expect("a name").to_string(), text);
        for text in [
            "eip155:1",
            "eip155:1/erc20",
            "eip155:1/erc20:",
            "x/erc20:1",
            "eip155:1/erc20:a/b",
        ] {
            assert!(text.parse::<AssetName>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(bytes in any::<[u8; 32]>(), shift in 0_usize..256, decimals in 0..=DECIMALS_MAX) {
            let units = U256::from_be_bytes(bytes) >> shift;
            let text = decimal_text(units, decimals);
            prop_assert_eq!(parse_decimal(&text, decimals), Ok(units));
            prop_assert!(!text.contains('.') || !text.ends_with('0'), "{}", text);
        }

        #[test]
        fn what_is_read_is_exact_or_refused(text in "[0-9.+e-]{0,12}", decimals in 0_u8..8) {
            if let Ok(units) = parse_decimal(&text, decimals) {
                let trimmed = match text.split_once('.') {
                    Some((whole, fraction)) => match fraction.trim_end_matches('0') {
                        "" => whole.to_owned(),
                        rest => format!("{whole}.{rest}"),
                    },
                    None => text.clone(),
                };
                prop_assert_eq!(decimal_text(units, decimals), trimmed);
            }
        }

        #[test]
        fn sums_and_differences_undo_each_other(left in any::<[u8; 32]>(), right in any::<[u8; 32]>()) {
            let asset = AssetId::from_bytes([1; 16]);
            let amount = |bytes| Amount::new(asset, U256::from_be_bytes(bytes));
            let (left, right) = (amount(left), amount(right));
            match left.checked_add(&right) {
                Ok(sum) => prop_assert_eq!(sum.checked_sub(&right), Ok(left)),
                Err(error) => {
                    prop_assert_eq!(error, AmountError::Overflow);
                    prop_assert!(left.units() > U256::MAX - right.units());
                }
            }
        }
    }
}
