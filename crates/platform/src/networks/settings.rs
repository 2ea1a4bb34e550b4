//! Settings as JSON, in one form; and what is checked of them before they are stored.

use std::num::NonZeroU32;

use coffer_domain::block::BlockHash;
use coffer_domain::network::{Finality, NetworkSettings, NodeUrl, SettingsError, secret_names};
use serde::{Deserialize, Serialize};

use crate::Error;

const NAME_CHARS_MAX: usize = 100;
const NODES_MAX: usize = 16;
const URL_BYTES_MAX: usize = 2000;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredNode {
    rpc: String,
    websocket: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "rule")]
enum StoredFinality {
    Depth { blocks: NonZeroU32 },
    Tag,
}

/// The order of the fields is part of the form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    name: String,
    nodes: Vec<StoredNode>,
    quorum: u32,
    confirmations: NonZeroU32,
    finality: StoredFinality,
    start_height: u64,
    genesis: Option<String>,
    poll_interval_ms: u32,
}

/// The text that is sealed and stored.
pub(super) fn to_json(settings: &NetworkSettings) -> Result<String, Error> {
    let stored = Stored {
        name: settings.name.clone(),
        nodes: settings
            .nodes
            .iter()
            .map(|node| StoredNode {
                rpc: node.rpc.clone(),
                websocket: node.websocket.clone(),
            })
            .collect(),
        quorum: settings.quorum,
        confirmations: settings.confirmations,
        finality: match settings.finality {
            Finality::Depth(blocks) => StoredFinality::Depth { blocks },
            Finality::Tag => StoredFinality::Tag,
        },
        start_height: settings.start_height,
        genesis: settings.genesis.map(|hash| hash.to_string()),
        poll_interval_ms: settings.poll_interval_ms,
    };
    serde_json::to_string(&stored)
        .map_err(|error| Error::Internal(format!("settings have no JSON form: {error}")))
}

/// Reads what [`to_json`] wrote; its seal was verified before.
pub(super) fn from_json(text: &str) -> Result<NetworkSettings, String> {
    let stored: Stored = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let genesis = stored.genesis.as_deref().map(parse_hash).transpose()?;
    Ok(NetworkSettings {
        name: stored.name,
        nodes: stored
            .nodes
            .into_iter()
            .map(|node| NodeUrl {
                rpc: node.rpc,
                websocket: node.websocket,
            })
            .collect(),
        quorum: stored.quorum,
        confirmations: stored.confirmations,
        finality: match stored.finality {
            StoredFinality::Depth { blocks } => Finality::Depth(blocks),
            StoredFinality::Tag => Finality::Tag,
        },
        start_height: stored.start_height,
        genesis,
        poll_interval_ms: stored.poll_interval_ms,
    })
}

fn parse_hash(text: &str) -> Result<BlockHash, String> {
    let bytes = text.strip_prefix("0x").map(hex::decode);
    match bytes.map(|bytes| bytes.map(<[u8; 32]>::try_from)) {
        Some(Ok(Ok(hash))) => Ok(BlockHash(hash)),
        _ => Err("a genesis hash that is none".to_owned()),
    }
}

/// All that can be said of settings without asking a node.
pub(super) fn check(settings: &NetworkSettings) -> Result<(), Error> {
    let name = settings.name.trim();
    if name.is_empty() || name != settings.name || name.chars().count() > NAME_CHARS_MAX {
        let text = format!("give 1 to {NAME_CHARS_MAX} characters without spaces around them");
        return Err(Error::validation("name", text));
    }
    if settings.name.chars().any(char::is_control) {
        return Err(Error::validation(
            "name",
            "control characters are not taken",
        ));
    }
    if settings.nodes.len() > NODES_MAX {
        let text = format!("at most {NODES_MAX} nodes");
        return Err(Error::validation("nodes", text));
    }
    settings.check().map_err(refusal)?;
    if i64::try_from(settings.start_height).is_err() {
        return Err(Error::validation("start_height", "no chain is that high"));
    }
    for node in &settings.nodes {
        check_url(&node.rpc, &["http", "https"])?;
        if let Some(url) = &node.websocket {
            check_url(url, &["ws", "wss"])?;
        }
    }
    Ok(())
}

fn refusal(error: SettingsError) -> Error {
    let field = match &error {
        SettingsError::NoNodes | SettingsError::SameNode(_) => "nodes",
        SettingsError::Quorum { .. } => "quorum",
        SettingsError::FinalityBeforeCredit { .. } => "finality",
        SettingsError::PollInterval => "poll_interval_ms",
    };
    // The repeated URL may hold a key that was written out, so it is not repeated.
    match error {
        SettingsError::SameNode(_) => Error::validation(field, "the same node is given twice"),
        error => Error::validation(field, error),
    }
}

/// The URL without a login that is one `{secret:NAME}`, whose file holds `user:password`. It is percent-encoded when
/// it is filled in, so that it names no other host.
fn without_login(template: &str) -> String {
    let split = template.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (login, _) = rest[..end].split_once('@')?;
        let whole =
            |names: Vec<&str>| matches!(*names, [name] if login == format!("{{secret:{name}}}"));
        let is_secret = secret_names(login).is_ok_and(whole);
        is_secret.then(|| format!("{scheme}://{}", &rest[login.len() + 1..]))
    });
    split.unwrap_or_else(|| template.to_owned())
}

/// The text of a URL is never part of a refusal: it may hold a provider's key.
fn check_url(template: &str, schemes: &[&str]) -> Result<(), Error> {
    let refuse = |message: String| Err(Error::validation("nodes", message));
    if template.len() > URL_BYTES_MAX {
        return refuse(format!("a URL has at most {URL_BYTES_MAX} bytes"));
    }
    if let Err(error) = secret_names(template) {
        return refuse(error.to_string());
    }
    let template = &without_login(template);
    // A secret in the authority could send requests to a host that nobody has seen.
    let authority = template.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#', '\\']).next().unwrap_or("");
    if authority.contains('{')
        || template
            .split("://")
            .next()
            .is_some_and(|s| s.contains('{'))
    {
        return refuse(
            "a secret stands in a URL's path or query, or is all that stands before its @"
                .to_owned(),
        );
    }
    let url = match reqwest::Url::parse(template) {
        Ok(url) => url,
        Err(error) => return refuse(format!("a node's URL cannot be read: {error}")),
    };
    if !url.username().is_empty() || url.password().is_some() || authority.contains('@') {
        return refuse(
            "a URL with a user name or password is not taken; put {secret:NAME} into its path or query, or before the @ alone"
                .to_owned(),
        );
    }
    if !schemes.contains(&url.scheme()) || url.host_str().is_none_or(str::is_empty) {
        return refuse(format!(
            "a node's URL begins with {}://",
            schemes.join(":// or ")
        ));
    }
    if url.fragment().is_some() {
        return refuse("a node's URL has no fragment".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> NetworkSettings {
        NetworkSettings {
            name: "Local".to_owned(),
            nodes: vec![NodeUrl {
                rpc: "https://node.example/v2/{secret:node-key}".to_owned(),
                websocket: None,
            }],
            quorum: 1,
            confirmations: NonZeroU32::MIN,
            finality: Finality::Tag,
            start_height: 7,
            genesis: Some(BlockHash([9; 32])),
            poll_interval_ms: 1000,
        }
    }

    #[test]
    fn settings_have_one_text_and_come_back_from_it() {
        let text = to_json(&settings()).expect("has a text");
        assert_eq!(from_json(&text), Ok(settings()));
        let depth = NetworkSettings {
            finality: Finality::Depth(NonZeroU32::new(64).expect("not zero")),
            genesis: None,
            ..settings()
        };
        let text = to_json(&depth).expect("has a text");
        assert_eq!(from_json(&text), Ok(depth));
    }

    #[test]
    fn urls_are_http_without_user_and_secrets_stand_behind_the_host() {
        let check = |url: &str, good: bool| {
            assert_eq!(check_url(url, &["http", "https"]).is_ok(), good, "{url}");
        };
        check("http://127.0.0.1:8545", true);
        check("https://node.example/v2/{secret:key}", true);
        check(
            "https://node.example/?key={secret:key}&a={secret:other_1}",
            true,
        );
        check("ws://node.example", false);
        check("file:///etc/passwd", false);
        check("node.example", false);
        check("https://", false);
        check("https://user@node.example", false);
        check("https://user:pass@node.example", false);
        check("https://@node.example", false);
        check("https://{secret:key}@node.example", true);
        check("http://{secret:login}@127.0.0.1:8332/", true);
        check("https://{secret:key}{secret:key}@node.example", false);
        check("https://user:{secret:key}@node.example", false);
        check("https://{secret:key}@{secret:key}.example", false);
        check("https://{secret:key}@user@node.example", false);
        check("https://{secret:key}@", false);
        check("https://{secret:key}.example", false);
        check("{secret:key}", false);
        check("{secret:key}://node.example", false);
        check("https://node.example/{secret:}", false);
        check("https://node.example/{secret:../key}", false);
        check("https://node.example/{secret:KEY}", false);
        check("https://node.example/{secret:key", false);
        check("https://node.example/{other:key}", false);
        check("https://node.example/}", false);
        check("https://node.example/#x", false);
        let long = format!("https://node.example/{}", "a".repeat(URL_BYTES_MAX));
        check(&long, false);
    }

    #[test]
    fn every_setting_is_checked() {
        let check = |change: &dyn Fn(&mut NetworkSettings), field: &str| {
            let mut changed = settings();
            change(&mut changed);
            match super::check(&changed) {
                Err(Error::Validation { field: found, .. }) => assert_eq!(found, field),
                other => panic!("{field}: {other:?}"),
            }
        };
        assert!(super::check(&settings()).is_ok());
        check(&|s| s.name.clear(), "name");
        check(&|s| s.name = " a".to_owned(), "name");
        check(&|s| s.name = "a".repeat(101), "name");
        check(&|s| s.name = "a\nb".to_owned(), "name");
        check(&|s| s.nodes.clear(), "nodes");
        check(&|s| s.nodes.push(s.nodes[0].clone()), "quorum");
        check(
            &|s| {
                s.nodes.push(s.nodes[0].clone());
                s.quorum = 2;
            },
            "nodes",
        );
        check(
            &|s| s.nodes = vec![s.nodes[0].clone(); NODES_MAX + 1],
            "nodes",
        );
        check(&|s| s.nodes[0].rpc = "ftp://a".to_owned(), "nodes");
        check(
            &|s| s.nodes[0].websocket = Some("http://a".to_owned()),
            "nodes",
        );
        check(&|s| s.quorum = 0, "quorum");
        check(&|s| s.quorum = 2, "quorum");
        check(
            &|s| {
                s.confirmations = NonZeroU32::new(3).expect("not zero");
                s.finality = Finality::Depth(NonZeroU32::new(2).expect("not zero"));
            },
            "finality",
        );
        check(&|s| s.start_height = u64::MAX, "start_height");
        check(&|s| s.poll_interval_ms = 49, "poll_interval_ms");
        check(&|s| s.poll_interval_ms = 600_001, "poll_interval_ms");
    }
}
