//! Ports that may be called. A list of the allowed ones, since one of the forbidden is never complete.

use std::fmt;
use std::str::FromStr;

/// `443` or `8000-8999`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a port such as 443, or a range such as 8000-8999")]
pub struct PortRangeError(String);

impl PortRange {
    /// 80 and 443, and what web servers without the right to these take instead.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        let one = |port| Self {
            first: port,
            last: port,
        };
        [80, 443, 8080, 8443].map(one).to_vec()
    }

    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let refused = || PortRangeError(text.chars().take(32).collect());
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let port = |text: &str| text.trim().parse::<u16>().map_err(|_| refused());
        let (first, last) = (port(first)?, port(last)?);
        if first == 0 || first > last {
            return Err(refused());
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return write!(f, "{}", self.first);
        }
        write!(f, "{}-{}", self.first, self.last)
    }
}
