//! Address kinds, networks, derivation paths, and the address payloads that the database holds.
//!
//! A payload is what an address says without its text form: 20 or 32 bytes. Text form, checksums
//! and validation belong to `chains`; derivation belongs to `derive` and `keys`.

use std::fmt;
use std::str::FromStr;

/// The kinds of address that a wallet can have. The order is that of the results file's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressKind {
    /// EIP-55 text; one address serves every EVM chain.
    Evm,
    Tron,
    /// BIP-84, SegWit version 0.
    BitcoinP2wpkh,
    /// BIP-86, Taproot key path.
    BitcoinP2tr,
    Solana,
}

/// A name that stands for no address kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a chain: use evm, tron, bitcoin, bitcoin-taproot or solana")]
pub struct UnknownKind(pub String);

impl AddressKind {
    pub const ALL: [Self; 5] = [
        Self::Evm,
        Self::Tron,
        Self::BitcoinP2wpkh,
        Self::BitcoinP2tr,
        Self::Solana,
    ];

    /// The number that the database stores; never renumbered.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Evm => 1,
            Self::Tron => 2,
            Self::BitcoinP2wpkh => 3,
            Self::BitcoinP2tr => 4,
            Self::Solana => 5,
        }
    }

    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| i64::from(kind.code()) == code)
    }

    /// The name in `--chains` and in a row's `chains`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Evm => "evm",
            Self::Tron => "tron",
            Self::BitcoinP2wpkh => "bitcoin",
            Self::BitcoinP2tr => "bitcoin-taproot",
            Self::Solana => "solana",
        }
    }

    /// The name of the column in a results file and of the field in JSON.
    #[must_use]
    pub fn column(self) -> &'static str {
        match self {
            Self::BitcoinP2tr => "bitcoin_taproot",
            other => other.name(),
        }
    }

    /// Bytes of the payload.
    #[must_use]
    pub fn payload_len(self) -> usize {
        match self {
            Self::Evm | Self::Tron | Self::BitcoinP2wpkh => 20,
            Self::BitcoinP2tr | Self::Solana => 32,
        }
    }

    /// BIP-44 purpose and SLIP-44 coin type.
    fn purpose_and_coin(self, network: BitcoinNetwork) -> (u32, u32) {
        let bitcoin_coin = u32::from(network != BitcoinNetwork::Mainnet);
        match self {
            Self::Evm => (44, 60),
            Self::Tron => (44, 195),
            Self::BitcoinP2wpkh => (84, bitcoin_coin),
            Self::BitcoinP2tr => (86, bitcoin_coin),
            Self::Solana => (44, 501),
        }
    }

    /// Hardened steps (without the hardening bit) from the master key to the account; `None` for
    /// Solana, whose tree has hardened children only and hence no account public key.
    #[must_use]
    pub fn account_path(self, network: BitcoinNetwork, account: u32) -> Option<[u32; 3]> {
        let (purpose, coin) = self.purpose_and_coin(network);
        (self != Self::Solana).then_some([purpose, coin, account])
    }

    /// The whole path of an address, as wallets print it.
    #[must_use]
    pub fn path(self, network: BitcoinNetwork, account: u32, index: u32) -> String {
        match self.account_path(network, account) {
            Some([purpose, coin, account]) => format!("m/{purpose}'/{coin}'/{account}'/0/{index}"),
            None => format!(
                "m/44'/501'/{}'/0'",
                solana_child(account, index).unwrap_or(index)
            ),
        }
    }
}

/// Wallets of one account that can have a Solana address. See [`solana_child`].
pub const SOLANA_INDEXES_PER_ACCOUNT: u32 = 1 << 25;

/// The number of the hardened child that serves `index` of `account` on Solana.
///
/// Solana's path `m/44'/501'/i'/0'` has no account level, so each account takes its own range of
/// 2²⁵ numbers: account 0 has the paths that every Solana wallet shows first.
#[must_use]
pub fn solana_child(account: u32, index: u32) -> Option<u32> {
    (account < 64 && index < SOLANA_INDEXES_PER_ACCOUNT).then_some((account << 25) | index)
}

impl FromStr for AddressKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text || kind.column() == text)
            .ok_or_else(|| UnknownKind(text.chars().take(64).collect()))
    }
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of address kinds, kept as a bit mask; iterates in the order of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AddressKinds(u8);

impl AddressKinds {
    pub const ALL: Self = Self(0b1_1111);

    #[must_use]
    pub fn from_bits(bits: i64) -> Option<Self> {
        u8::try_from(bits)
            .ok()
            .filter(|bits| bits & !Self::ALL.0 == 0)
            .map(Self)
    }

    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    #[must_use]
    pub fn with(self, kind: AddressKind) -> Self {
        Self(self.0 | 1 << (kind.code() - 1))
    }

    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub fn contains(self, kind: AddressKind) -> bool {
        self.0 & (1 << (kind.code() - 1)) != 0
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = AddressKind> {
        AddressKind::ALL
            .into_iter()
            .filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<AddressKind> for AddressKinds {
    fn from_iter<I: IntoIterator<Item = AddressKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::default(), Self::with)
    }
}

impl FromStr for AddressKinds {
    type Err = UnknownKind;

    /// A list parted by commas, semicolons, bars or spaces: `evm,tron`.
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        text.split([',', ';', '|', ' '])
            .filter(|name| !name.is_empty())
            .map(str::parse)
            .collect()
    }
}

impl fmt::Display for AddressKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, kind) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            f.write_str(kind.name())?;
        }
        Ok(())
    }
}

/// Which Bitcoin network a vault's addresses are for. The other chains' text forms do not differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BitcoinNetwork {
    Mainnet,
    Testnet,
    Signet,
    Regtest,
}

impl BitcoinNetwork {
    pub const ALL: [Self; 4] = [Self::Mainnet, Self::Testnet, Self::Signet, Self::Regtest];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Testnet => "testnet",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        }
    }
}

/// A name that stands for no Bitcoin network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a Bitcoin network: use mainnet, testnet, signet or regtest")]
pub struct UnknownNetwork(pub String);

impl FromStr for BitcoinNetwork {
    type Err = UnknownNetwork;

    fn from_str(text: &str) -> Result<Self, UnknownNetwork> {
        Self::ALL
            .into_iter()
            .find(|network| network.name() == text)
            .ok_or_else(|| UnknownNetwork(text.chars().take(64).collect()))
    }
}

impl fmt::Display for BitcoinNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one address says, without its text form: a hash, an output key or a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressPayload {
    kind: AddressKind,
    bytes: [u8; 32],
}

impl AddressPayload {
    /// `None` when `bytes` has not the length of the kind.
    #[must_use]
    pub fn try_new(kind: AddressKind, bytes: &[u8]) -> Option<Self> {
        let mut padded = [0; 32];
        (bytes.len() == kind.payload_len()).then(|| {
            padded[..bytes.len()].copy_from_slice(bytes);
            Self {
                kind,
                bytes: padded,
            }
        })
    }

    #[must_use]
    pub fn kind(&self) -> AddressKind {
        self.kind
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.kind.payload_len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_parse_print_and_keep_the_columns_order() {
        let kinds: AddressKinds = "solana, evm;bitcoin_taproot".parse().expect("three names");
        assert_eq!(kinds.to_string(), "evm,bitcoin-taproot,solana");
        assert_eq!(
            AddressKinds::from_bits(i64::from(kinds.bits())),
            Some(kinds)
        );
        assert_eq!(AddressKinds::from_bits(32), None);
        assert_eq!(
            "evm,doge".parse::<AddressKinds>(),
            Err(UnknownKind("doge".into()))
        );
    }

    #[test]
    fn paths_are_those_of_the_standards() {
        let check = |kind: AddressKind, network, expected: &str| {
            assert_eq!(kind.path(network, 0, 7), expected)
        };
        check(
            AddressKind::Evm,
            BitcoinNetwork::Mainnet,
            "m/44'/60'/0'/0/7",
        );
        check(
            AddressKind::Tron,
            BitcoinNetwork::Mainnet,
            "m/44'/195'/0'/0/7",
        );
        check(
            AddressKind::BitcoinP2wpkh,
            BitcoinNetwork::Mainnet,
            "m/84'/0'/0'/0/7",
        );
        check(
            AddressKind::BitcoinP2tr,
            BitcoinNetwork::Regtest,
            "m/86'/1'/0'/0/7",
        );
        check(
            AddressKind::Solana,
            BitcoinNetwork::Mainnet,
            "m/44'/501'/7'/0'",
        );
    }

    #[test]
    fn accounts_never_share_a_solana_child() {
        assert_eq!(solana_child(0, 5), Some(5));
        assert_eq!(solana_child(1, 5), Some((1 << 25) + 5));
        assert_eq!(solana_child(0, SOLANA_INDEXES_PER_ACCOUNT), None);
        assert_eq!(solana_child(64, 0), None);
        assert!(
            solana_child(63, SOLANA_INDEXES_PER_ACCOUNT - 1).is_some_and(|child| child < 1 << 31)
        );
    }

    #[test]
    fn a_payload_has_its_kinds_length() {
        assert!(AddressPayload::try_new(AddressKind::Evm, &[1; 20]).is_some());
        assert!(AddressPayload::try_new(AddressKind::Evm, &[1; 32]).is_none());
        assert_eq!(
            AddressPayload::try_new(AddressKind::Solana, &[2; 32]).map(|p| p.bytes().len()),
            Some(32)
        );
    }
}
