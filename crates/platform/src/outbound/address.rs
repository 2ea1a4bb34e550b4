//! Which addresses may be called: the special-purpose registries of IANA (RFC 6890 and its updates) as a table.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::Rules;

/// A network, `10.0.0.0/8` or `fd00::/8`. An address alone is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a network such as 10.0.0.0/8 or fd00::/8 (the bits behind the prefix must be 0)"
)]
pub struct CidrError(String);

/// The address as 128 bits, high ones first, and how many of them its family has.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(four) => (u128::from(four.to_bits()) << 96, 32),
        IpAddr::V6(six) => (six.to_bits(), 128),
    }
}

/// The first `prefix` bits set.
fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl Cidr {
    const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Self {
        Self {
            network: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            prefix,
        }
    }

    const fn v6(first: u16, second: u16, third: u16, prefix: u8) -> Self {
        Self {
            network: IpAddr::V6(Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0)),
            prefix,
        }
    }

    /// An IPv4 address inside an IPv6 one is not in an IPv4 network: each is allowed in the form it is called in.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let ((network, family), (address, other)) = (bits(self.network), bits(address));
        family == other && network == address & mask(self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let refused = || CidrError(text.chars().take(64).collect());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| refused())?;
        let (value, family) = bits(network);
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| refused())?,
            None => family,
        };
        if prefix > family || value & !mask(prefix) != 0 {
            return Err(refused());
        }
        Ok(Self { network, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// IPv4 that is not the public internet, and what it is.
const SPECIAL_V4: [(Cidr, &str); 15] = [
    (Cidr::v4(0, 0, 0, 0, 8), "this host"),
    (Cidr::v4(10, 0, 0, 0, 8), "private"),
    (Cidr::v4(100, 64, 0, 0, 10), "a carrier's own (CGNAT)"),
    (Cidr::v4(127, 0, 0, 0, 8), "loopback"),
    (
        Cidr::v4(169, 254, 0, 0, 16),
        "link-local, where clouds serve their metadata",
    ),
    (Cidr::v4(172, 16, 0, 0, 12), "private"),
    (Cidr::v4(192, 0, 0, 0, 24), "of protocols"),
    (Cidr::v4(192, 0, 2, 0, 24), "of documentation"),
    (Cidr::v4(192, 88, 99, 0, 24), "of 6to4 relays"),
    (Cidr::v4(192, 168, 0, 0, 16), "private"),
    (Cidr::v4(198, 18, 0, 0, 15), "of benchmarks"),
    (Cidr::v4(198, 51, 100, 0, 24), "of documentation"),
    (Cidr::v4(203, 0, 113, 0, 24), "of documentation"),
    (Cidr::v4(224, 0, 0, 0, 4), "multicast"),
    (Cidr::v4(240, 0, 0, 0, 4), "reserved"),
];

/// The only IPv6 that is handed out to the public; loopback, unique-local, link-local, multicast, IPv4-mapped and
/// NAT64 all lie outside of it.
const GLOBAL_V6: Cidr = Cidr::v6(0x2000, 0, 0, 3);

/// What inside of it is not the public internet.
const SPECIAL_V6: [(Cidr, &str); 4] = [
    (
        Cidr::v6(0x2001, 0, 0, 23),
        "of protocols (Teredo among them)",
    ),
    (Cidr::v6(0x2001, 0xdb8, 0, 32), "of documentation"),
    (
        Cidr::v6(0x2002, 0, 0, 16),
        "6to4, an IPv4 address in disguise",
    ),
    (Cidr::v6(0x3fff, 0, 0, 20), "of documentation"),
];

/// Special even for the operator's own software: never a host's address, or where clouds hand out credentials.
const NEVER_A_HOST: [Cidr; 9] = [
    Cidr::v4(0, 0, 0, 0, 8),
    Cidr::v4(169, 254, 0, 0, 16),
    Cidr::v4(224, 0, 0, 0, 4),
    Cidr::v4(240, 0, 0, 0, 4),
    // ::/96 without ::1, which is judged before.
    Cidr::v6(0, 0, 0, 96),
    Cidr::v6(0xfe80, 0, 0, 10),
    Cidr::v6(0xff00, 0, 0, 8),
    Cidr::v6(0x64, 0xff9b, 0, 96),
    // The metadata service of a large cloud has a unique-local address.
    Cidr::v6(0xfd00, 0xec2, 0, 32),
];

fn special(address: IpAddr) -> Option<&'static str> {
    let within = |table: &[(Cidr, &'static str)]| {
        let found = table.iter().find(|(network, _)| network.contains(address));
        found.map(|(_, what)| *what)
    };
    match address {
        IpAddr::V4(_) => within(&SPECIAL_V4),
        IpAddr::V6(_) if !GLOBAL_V6.contains(address) => Some("no public IPv6"),
        IpAddr::V6(_) => within(&SPECIAL_V6),
    }
}

/// Why an address may not be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {what}, and not allowed")]
pub(crate) struct Forbidden {
    pub(crate) address: IpAddr,
    what: &'static str,
}

impl Rules {
    pub(super) fn judge(&self, address: IpAddr) -> Result<(), Forbidden> {
        let what = match self {
            Self::Webhooks { allow, .. } if allow.iter().any(|net| net.contains(address)) => None,
            Self::Webhooks { .. } => special(address),
            Self::GateHook => hook_forbids(address),
        };
        what.map_or(Ok(()), |what| Err(Forbidden { address, what }))
    }
}

fn hook_forbids(address: IpAddr) -> Option<&'static str> {
    let mapped = match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map(IpAddr::V4),
        IpAddr::V4(_) => None,
    };
    let address = mapped.unwrap_or(address);
    let never = NEVER_A_HOST.iter().any(|network| network.contains(address));
    (never && !address.is_loopback()).then_some("no host of a service")
}
