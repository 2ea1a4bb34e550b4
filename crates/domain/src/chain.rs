//! Chains by their CAIP-2 names: `eip155:1`, `bip122:000000000019d6689c085ae165831e93`.

use std::fmt;
use std::str::FromStr;

use crate::address::{AddressKind, AddressKinds, BitcoinNetwork};

/// A text that is not a CAIP-2 chain id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a CAIP-2 chain id such as eip155:1")]
pub struct ChainIdError(pub String);

/// A blockchain, by namespace and reference (CAIP-2).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainId {
    text: String,
    namespace_len: usize,
}

/// Chains whose blocks are read in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChainFamily {
    Evm,
    Bitcoin(BitcoinNetwork),
}

impl ChainFamily {
    /// The kinds of address that the family's chains pay to.
    #[must_use]
    pub fn address_kinds(self) -> AddressKinds {
        match self {
            Self::Evm => AddressKinds::default().with(AddressKind::Evm),
            Self::Bitcoin(_) => AddressKinds::default()
                .with(AddressKind::BitcoinP2wpkh)
                .with(AddressKind::BitcoinP2tr),
        }
    }

    /// The network that address texts are of; it matters to Bitcoin alone.
    #[must_use]
    pub fn bitcoin_network(self) -> BitcoinNetwork {
        match self {
            Self::Evm => BitcoinNetwork::Mainnet,
            Self::Bitcoin(network) => network,
        }
    }
}

/// CAIP-2 names a chain of the `bip122` namespace by the first half of its genesis block's hash. Other coins have
/// others, and are not served. The third and the fourth testnet have the same addresses and the same rules.
const BITCOIN_GENESES: [(&str, BitcoinNetwork); 5] = [
    ("000000000019d6689c085ae165831e93", BitcoinNetwork::Mainnet),
    ("000000000933ea01ad0ee984209779ba", BitcoinNetwork::Testnet),
    ("00000000da84f2bafbbc53dee25a72ae", BitcoinNetwork::Testnet),
    ("00000008819873e925422c1ff0f99f7c", BitcoinNetwork::Signet),
    ("0f9188f13cb7b2c71f2a335e3a4fc328", BitcoinNetwork::Regtest),
];

impl ChainId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.text[..self.namespace_len]
    }

    #[must_use]
    pub fn reference(&self) -> &str {
        &self.text[self.namespace_len + 1..]
    }

    /// `None` for a family that no room of ours serves.
    #[must_use]
    pub fn family(&self) -> Option<ChainFamily> {
        match self.namespace() {
            "eip155" => Some(ChainFamily::Evm),
            "bip122" => BITCOIN_GENESES
                .into_iter()
                .find(|(genesis, _)| *genesis == self.reference())
                .map(|(_, network)| ChainFamily::Bitcoin(network)),
            _ => None,
        }
    }

    /// The network that texts of its addresses are of; it matters to Bitcoin alone.
    #[must_use]
    pub fn bitcoin_network(&self) -> BitcoinNetwork {
        let family = self.family();
        family.map_or(BitcoinNetwork::Mainnet, ChainFamily::bitcoin_network)
    }
}

impl FromStr for ChainId {
    type Err = ChainIdError;

    fn from_str(text: &str) -> Result<Self, ChainIdError> {
        let refused = || ChainIdError(text.chars().take(64).collect());
        let (namespace, reference) = text.split_once(':').ok_or_else(refused)?;
        let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let any = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let good = (3..=8).contains(&namespace.len())
            && (1..=32).contains(&reference.len())
            && namespace.bytes().all(lower)
            && reference.bytes().all(any);
        if !good {
            return Err(refused());
        }
        Ok(Self {
            namespace_len: namespace.len(),
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caip_2_names_parse_and_others_are_refused() {
        let chain: ChainId = "eip155:31337".parse().expect("a chain id");
        assert_eq!((chain.namespace(), chain.reference()), ("eip155", "31337"));
        assert_eq!(chain.family(), Some(ChainFamily::Evm));
        let regtest: ChainId = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"
            .parse()
            .expect("a chain id");
        let family = ChainFamily::Bitcoin(BitcoinNetwork::Regtest);
        assert_eq!(regtest.family(), Some(family));
        let litecoin: ChainId = "bip122:12a765e31ffd4059bada1e25190f6e98"
            .parse()
            .expect("a chain id");
        assert_eq!(litecoin.family(), None);
        for text in [
            "",
            "eip155",
            "eip155:",
            "e:1",
            "EIP155:1",
            "eip155:a b",
            "eip155:1:2",
        ] {
            assert!(text.parse::<ChainId>().is_err(), "{text}");
        }
    }
}
