//! URLs that may be called. What the parser makes of a text is judged, never the text.

use std::net::IpAddr;

use reqwest::Url;

use super::Rules;
use super::address::Forbidden;

const URL_BYTES_MAX: usize = 2048;

/// A URL that its rules let through. Literal addresses are judged here, since no resolver ever sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target(Url);

/// Why a URL is not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlRefusal {
    #[error(
        "give a URL of at most {URL_BYTES_MAX} visible characters, without spaces and backslashes"
    )]
    Text,
    #[error("not a URL: {0}")]
    Syntax(String),
    #[error("use https://; plain http is not allowed by the server's configuration")]
    Http,
    #[error("use https://, or http:// on this host")]
    HookScheme,
    #[error("{0}: is not called; use https://")]
    Scheme(String),
    #[error("a URL with a user name or password is not taken; calls are signed instead")]
    UserInfo,
    #[error("a URL with a fragment (#…) is not taken; it would not be sent")]
    Fragment,
    #[error("port {0} is not among those that the server's configuration allows")]
    Port(u16),
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

impl Target {
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    pub(super) fn parse(rules: &Rules, text: &str) -> Result<Self, UrlRefusal> {
        // The parser takes tabs and line breaks out, and reads a backslash as a slash.
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\' || !byte.is_ascii();
        if text.len() > URL_BYTES_MAX || !text.bytes().all(plain) {
            return Err(UrlRefusal::Text);
        }
        let url = Url::parse(text).map_err(|error| UrlRefusal::Syntax(error.to_string()))?;
        scheme(rules, &url)?;
        if !url.username().is_empty()
            || url.password().is_some()
            || text.contains('@') && authority(text).contains('@')
        {
            return Err(UrlRefusal::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(UrlRefusal::Fragment);
        }
        let port = url.port_or_known_default().unwrap_or(0);
        if let Rules::Webhooks { ports, .. } = rules
            && !ports.iter().any(|range| range.contains(port))
        {
            return Err(UrlRefusal::Port(port));
        }
        if let Some(address) = literal(&url) {
            rules.judge(address)?;
        }
        Ok(Self(url))
    }
}

fn scheme(rules: &Rules, url: &Url) -> Result<(), UrlRefusal> {
    match (url.scheme(), rules) {
        ("https", _) if url.has_host() => Ok(()),
        ("http", Rules::Webhooks { http: true, .. }) => Ok(()),
        ("http", Rules::Webhooks { .. }) => Err(UrlRefusal::Http),
        ("http", Rules::GateHook) => match url.host_str() {
            Some("127.0.0.1" | "[::1]" | "localhost") => Ok(()),
            _ => Err(UrlRefusal::HookScheme),
        },
        (_, Rules::GateHook) => Err(UrlRefusal::HookScheme),
        (other, _) => Err(UrlRefusal::Scheme(other.to_owned())),
    }
}

/// Between `://` and the path: `https://@host/` has a user name, though an empty one.
fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// The host, where it is an address. The parser has made `0x7f.1` and `2130706433` into 127.0.0.1 by now.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_matches(['[', ']']).parse().ok()
}
