//! The kinds of lies, and their names on the command line.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};

use super::bitcoin::BitcoinLie;
use super::invent::Invention;

/// One way in which a node can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Values are larger than they are: of logs, transactions, trace frames, balances, the last word of a call.
    ForgeValue,
    /// A header's state root is another, its hash is not.
    ForgeHeader,
    /// Logs are left out, of receipts and of `eth_getLogs`; the blooms stay.
    HideLogs,
    HideReceipts,
    HideTransactions,
    /// Traces of transactions are left out of a block's, inner calls out of a transaction's.
    HideTraces,
    /// `null`, as if it did not exist.
    Unknown,
    /// At most so many logs, without a word about the rest.
    CapLogs(usize),
    /// As if the head were so many blocks lower.
    Lag(u64),
    /// The same at every second request: the head goes back and forth.
    Backwards(u64),
    /// The head is said to be so many blocks higher; nothing is known of them.
    Ahead(u64),
    /// Another chain from this height on, consistent in itself: each header hashes to what it should, each names its parent.
    Fork(u64),
    /// The same, and each log's value is larger; the receipts' roots are right for that.
    ForgedFork(u64),
    /// A Transfer that never was, in the last transaction of each block that has one.
    Invent(Invention),
    /// A fork that has it, its receipts' roots and blooms right for that.
    InventedFork(u64, Invention),
    ChainId(u64),
    /// Block 0 is another one, and its hash fits.
    Genesis,
    /// A JSON-RPC error with this code.
    Error(i64),
    /// Answers carry the id of another call.
    WrongId,
    /// A batch in reverse order, which is allowed.
    Shuffled,
    /// A batch without its last answer; a single call gets an empty list.
    Missing,
    /// Status 200 and a page of HTML.
    Html,
    /// Status 429, with `Retry-After` in seconds.
    TooManyRequests(u64),
    /// Status 503.
    Unavailable,
    /// Status 302 to this URL.
    Redirect(String),
    /// A well-formed beginning and then bytes without end, up to this many.
    Huge(u64),
    /// Half of the JSON, whole as HTTP.
    Truncated,
    /// The connection closes in the middle of the body.
    Cut,
    /// Says it is gzip, and is not.
    Gzip,
    /// The truth, later.
    Delay(Duration),
    /// The connection stays open and nothing comes.
    Silent,
    /// The connection closes without an answer.
    Gone,
    Bitcoin(BitcoinLie),
}

impl Fault {
    /// What it is counted under, and called on the command line.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ForgeValue => "forge-value",
            Self::ForgeHeader => "forge-header",
            Self::HideLogs => "hide-logs",
            Self::HideReceipts => "hide-receipts",
            Self::HideTransactions => "hide-transactions",
            Self::HideTraces => "hide-traces",
            Self::Unknown => "unknown",
            Self::CapLogs(_) => "cap-logs",
            Self::Lag(_) => "lag",
            Self::Backwards(_) => "backwards",
            Self::Ahead(_) => "ahead",
            Self::Fork(_) => "fork",
            Self::ForgedFork(_) => "forged-fork",
            Self::Invent(_) => "invent",
            Self::InventedFork(..) => "invented-fork",
            Self::ChainId(_) => "chain-id",
            Self::Genesis => "genesis",
            Self::Error(_) => "error",
            Self::WrongId => "wrong-id",
            Self::Shuffled => "shuffled",
            Self::Missing => "missing",
            Self::Html => "html",
            Self::TooManyRequests(_) => "too-many-requests",
            Self::Unavailable => "unavailable",
            Self::Redirect(_) => "redirect",
            Self::Huge(_) => "huge",
            Self::Truncated => "truncated",
            Self::Cut => "cut",
            Self::Gzip => "gzip",
            Self::Delay(_) => "delay",
            Self::Silent => "silent",
            Self::Gone => "gone",
            Self::Bitcoin(lie) => lie.name(),
        }
    }
}

impl FromStr for Fault {
    type Err = anyhow::Error;

    /// `name` or `name=value`.
    fn from_str(text: &str) -> Result<Self> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let number = || {
            value
                .parse::<u64>()
                .with_context(|| format!("{name} needs a number: {name}=N"))
        };
        Ok(match name {
            "forge-value" => Self::ForgeValue,
            "forge-header" => Self::ForgeHeader,
            "hide-logs" => Self::HideLogs,
            "hide-receipts" => Self::HideReceipts,
            "hide-transactions" => Self::HideTransactions,
            "hide-traces" => Self::HideTraces,
            "unknown" => Self::Unknown,
            "cap-logs" => Self::CapLogs(usize::try_from(number()?)?),
            "lag" => Self::Lag(number()?),
            "backwards" => Self::Backwards(number()?),
            "ahead" => Self::Ahead(number()?),
            "fork" => Self::Fork(number()?),
            "forged-fork" => Self::ForgedFork(number()?),
            "invent" => Self::Invent(value.parse()?),
            "invented-fork" => {
                let (from, invention) = value
                    .split_once(':')
                    .context("invented-fork=HEIGHT:TOKEN:TO:UNITS")?;
                Self::InventedFork(from.parse()?, invention.parse()?)
            }
            "chain-id" => Self::ChainId(number()?),
            "genesis" => Self::Genesis,
            "error" => Self::Error(value.parse().context("error needs a code: error=-32005")?),
            "wrong-id" => Self::WrongId,
            "shuffled" => Self::Shuffled,
            "missing" => Self::Missing,
            "html" => Self::Html,
            "too-many-requests" => Self::TooManyRequests(number()?),
            "unavailable" => Self::Unavailable,
            "redirect" => Self::Redirect(value.to_owned()),
            "huge" => Self::Huge(number()?),
            "truncated" => Self::Truncated,
            "cut" => Self::Cut,
            "gzip" => Self::Gzip,
            "delay" => Self::Delay(Duration::from_millis(number()?)),
            "silent" => Self::Silent,
            "gone" => Self::Gone,
            other => Self::Bitcoin(BitcoinLie::named(other, value)?),
        })
    }
}

/// A fault, and when it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lie {
    pub fault: Fault,
    /// Only in answers to this method.
    pub method: Option<String>,
    /// Only about this address; for forging and hiding.
    pub about: Option<String>,
    /// In so many of a thousand calls, as the seed has it.
    pub permille: u64,
}

impl Lie {
    #[must_use]
    pub fn on(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    #[must_use]
    pub fn about(mut self, address: &str) -> Self {
        self.about = Some(address.trim_start_matches("0x").to_lowercase());
        self
    }

    #[must_use]
    pub fn sometimes(mut self, permille: u64) -> Self {
        self.permille = permille;
        self
    }
}

impl From<Fault> for Lie {
    /// Always, to everybody.
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            method: None,
            about: None,
            permille: 1_000,
        }
    }
}

impl FromStr for Lie {
    type Err = anyhow::Error;

    /// A fault, then any of `@method`, `!address`, `~permille` in this order.
    fn from_str(text: &str) -> Result<Self> {
        let (text, permille) = text.split_once('~').unwrap_or((text, "1000"));
        let (text, about) = text.split_once('!').unwrap_or((text, ""));
        let (fault, method) = text.split_once('@').unwrap_or((text, ""));
        let mut lie = Self::from(fault.parse::<Fault>()?);
        lie.permille = permille.parse().context("~ needs a number up to 1000")?;
        if !about.is_empty() {
            lie = lie.about(about);
        }
        if !method.is_empty() {
            lie = lie.on(method);
        }
        Ok(lie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Lie) {
        let lie: Lie = text.parse().expect(text);
        assert_eq!(lie, expected, "{text}");
        assert!(text.starts_with(lie.fault.name()), "{text}");
    }

    #[test]
    fn lies_are_read_as_they_are_written() {
        check("hide-logs", Fault::HideLogs.into());
        check("lag=3", Fault::Lag(3).into());
        let some = Lie::from(Fault::HideLogs)
            .on("eth_getLogs")
            .about("0xAb")
            .sometimes(500);
        check("hide-logs@eth_getLogs!0xAB~500", some);
        check("error=-32005", Fault::Error(-32005).into());
        let invention = Invention {
            token: "0x1".to_owned(),
            to: "0x2".to_owned(),
            units: 7,
        };
        check(
            "invented-fork=5:0x1:0x2:7",
            Fault::InventedFork(5, invention).into(),
        );
        check(
            "block-witness~250",
            Lie::from(Fault::Bitcoin(BitcoinLie::BlockWitness)).sometimes(250),
        );
        let branch = BitcoinLie::Branch(7, "0014aa".to_owned());
        check("branch=7:0014aa", Fault::Bitcoin(branch).into());
        check(
            "redirect=http://127.0.0.1:1/",
            Fault::Redirect("http://127.0.0.1:1/".to_owned()).into(),
        );
    }

    #[test]
    fn what_is_no_lie_is_refused() {
        for text in [
            "",
            "lag",
            "lag=x",
            "nothing",
            "hide-logs~often",
            "invent=0x1:0x2",
        ] {
            assert!(text.parse::<Lie>().is_err(), "{text}");
        }
    }
}
