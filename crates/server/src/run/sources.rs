//! The way to chain nodes: URLs with their secrets filled in, and the client of the chain's family.
//!
//! A provider's key stands in a file `<data>/secrets/NAME` that nobody else may read, and in a node's URL as
//! `{secret:NAME}`. It is read when the connection is made, goes into the client alone, and into no message.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use coffer_domain::chain::ChainFamily;
use coffer_domain::network::{Network, NodeUrl, secret_names};
use coffer_nodes::bitcoin::BitcoinSource;
use coffer_nodes::evm::EvmSource;
use coffer_nodes::{ChainSource, Limits, NodeError, Random};
use coffer_platform::{Entropy, OsEntropy, SourceFactory};

const SECRET_BYTES_MAX: u64 = 4096;
const OTHERS: u32 = 0o077;

/// Makes the connections of `coffer serve`.
pub(super) struct NodeSources {
    secrets: PathBuf,
}

impl NodeSources {
    pub(super) fn new(secrets: PathBuf) -> Self {
        Self { secrets }
    }

    /// The URL with every `{secret:NAME}` replaced.
    fn fill(&self, template: &str) -> Result<String, NodeError> {
        let names =
            secret_names(template).map_err(|error| NodeError::Configuration(error.to_string()))?;
        let mut filled = template.to_owned();
        for name in names {
            let place = format!("{{secret:{name}}}");
            let secret = self.secret(name)?;
            let login = format!("://{place}@");
            if filled.contains(&login) {
                filled = filled.replace(&login, &format!("://{}@", self.login(name, &secret)?));
            }
            filled = filled.replace(&place, &secret);
        }
        Ok(filled)
    }

    /// `user:password`, as the cookie file of a Bitcoin node holds it, in a form that names no host.
    fn login(&self, name: &str, secret: &str) -> Result<String, NodeError> {
        let (user, password) = secret.split_once(':').ok_or_else(|| {
            let text = format!("the secret {name:?} stands for a login and is not user:password");
            NodeError::Configuration(text)
        })?;
        Ok(format!("{}:{}", encoded(user), encoded(password)))
    }

    /// `name` was checked: it holds no separator and no dot.
    fn secret(&self, name: &str) -> Result<String, NodeError> {
        let refuse = |reason: &str| {
            let place = "secrets in the data folder";
            NodeError::Configuration(format!("the secret {name:?} of the {place} {reason}"))
        };
        let opened = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(self.secrets.join(name));
        let file = opened.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => refuse("does not exist"),
            _ => refuse("cannot be opened"),
        })?;
        let about = file.metadata().map_err(|_| refuse("cannot be looked at"))?;
        if !about.is_file() {
            return Err(refuse("is not a file"));
        }
        if about.mode() & OTHERS != 0 {
            return Err(refuse("can be read by others; chmod it to 600"));
        }
        let mut text = String::new();
        file.take(SECRET_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|_| refuse("is not text"))?;
        let secret = text.trim_end_matches(['\r', '\n']);
        let plain = secret
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"{}".contains(&byte));
        if secret.is_empty() || !plain {
            return Err(refuse("is empty or holds more than visible ASCII"));
        }
        Ok(secret.to_owned())
    }
}

/// Percent-encoded, but for letters and digits.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

/// Only spreads pauses; where the system gives no randomness there is none.
fn jitter() -> u64 {
    let mut bytes = [0; 8];
    match OsEntropy.fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => 0,
    }
}

impl SourceFactory for NodeSources {
    fn open(&self, network: &Network) -> Result<Arc<dyn ChainSource>, NodeError> {
        let mut filled = network.clone();
        for node in &mut filled.settings.nodes {
            *node = NodeUrl {
                rpc: self.fill(&node.rpc)?,
                websocket: node
                    .websocket
                    .as_deref()
                    .map(|url| self.fill(url))
                    .transpose()?,
            };
        }
        // Checked here, because the client's own refusal would repeat the filled URL.
        let same = |(at, node): (usize, &NodeUrl)| {
            let others = &filled.settings.nodes[..at];
            others.iter().any(|other| other.rpc == node.rpc)
        };
        if filled.settings.nodes.iter().enumerate().any(same) {
            let text = "two nodes are the same one once their secrets are filled in";
            return Err(NodeError::Configuration(text.to_owned()));
        }
        match network.chain.family() {
            Some(ChainFamily::Evm) => {
                let source = EvmSource::open(&filled, Limits::default(), Arc::new(jitter))?;
                Ok(Arc::new(source))
            }
            Some(ChainFamily::Bitcoin(_)) => {
                let random: Random = Arc::new(jitter);
                let source = BitcoinSource::open(&filled, Limits::default(), &random)?;
                Ok(Arc::new(source))
            }
            None => Err(NodeError::Configuration(format!(
                "{} is of a family that is not served",
                network.chain
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder(mode: u32, content: &[u8]) -> (tempfile::TempDir, NodeSources) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        std::fs::write(&path, content).expect("writes");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("sets");
        let sources = NodeSources::new(folder.path().to_owned());
        (folder, sources)
    }

    #[test]
    fn places_are_filled_from_files() {
        let (_folder, sources) = folder(0o600, b"s3cr3t\n");
        let filled = sources.fill("https://a/{secret:key}?k={secret:key}");
        assert_eq!(filled.ok().as_deref(), Some("https://a/s3cr3t?k=s3cr3t"));
        assert_eq!(
            sources.fill("https://a/b").ok().as_deref(),
            Some("https://a/b")
        );
    }

    #[test]
    fn a_login_is_filled_in_as_user_and_password_and_names_no_host() {
        let (_folder, sources) = folder(0o600, b"__cookie__:a/b@evil.example:80#\n");
        let filled = sources
            .fill("http://{secret:key}@127.0.0.1:8332/")
            .expect("fills");
        assert_eq!(
            filled,
            "http://%5F%5Fcookie%5F%5F:a%2Fb%40evil%2Eexample%3A80%23@127.0.0.1:8332/"
        );
        let (_folder, sources) = folder(0o600, b"s3cr3t");
        let refused = sources.fill("http://{secret:key}@127.0.0.1:8332/");
        let text = refused.expect_err("is no login").to_string();
        assert!(
            text.contains("user:password") && !text.contains("s3cr3t"),
            "{text}"
        );
    }

    #[test]
    fn a_secret_that_others_can_read_or_that_is_none_is_refused_without_being_told() {
        let check = |mode: u32, content: &[u8], reason: &str| {
            let (_folder, sources) = folder(mode, content);
            let error = sources
                .fill("https://a/{secret:key}")
                .expect_err("is refused");
            let text = error.to_string();
            assert!(text.contains(reason), "{text}");
            assert!(!text.contains("s3cr3t"), "{text}");
        };
        check(0o640, b"s3cr3t", "chmod");
        check(0o604, b"s3cr3t", "chmod");
        check(0o600, b"", "empty");
        check(0o600, b"\n", "empty");
        check(0o600, b"s3cr3t s3cr3t", "visible ASCII");
        check(0o600, b"s3cr3t\0", "visible ASCII");
        check(0o600, b"{secret:s3cr3t}", "visible ASCII");
        check(0o600, &[0xff, 0xfe], "not text");
    }

    #[test]
    fn a_link_leads_nowhere_and_a_missing_file_is_named() {
        let (folder, sources) = folder(0o600, b"s3cr3t");
        std::os::unix::fs::symlink(folder.path().join("key"), folder.path().join("link"))
            .expect("links");
        assert!(sources.fill("https://a/{secret:link}").is_err());
        let missing = sources
            .fill("https://a/{secret:nothing}")
            .expect_err("is refused");
        assert!(missing.to_string().contains("nothing"), "{missing}");
    }
}
