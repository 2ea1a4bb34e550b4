//! The configuration file: one struct per section, every key with a default, unknown keys refused.
//!
//! Read once, at start. Nothing else in this room reads files for settings, or the environment.

mod brokers;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use coffer_platform::outbound::{Cidr, PortRange};
use coffer_platform::{Outbound, SinkSettings};
use serde::Deserialize;

pub use brokers::{SenderConfig, SinkConfig, SourceConfig};

use crate::sources::SourceSettings;

/// Where `coffer serve` listens and its client commands connect unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8420);

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {path}: {error}")]
    Unreadable {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("the configuration file {path} is not valid: {error}")]
    Invalid {
        path: PathBuf,
        error: Box<toml::de::Error>,
    },
    #[error("the configuration file {path} is not valid: {key} must be {rule}")]
    OutOfRange {
        path: PathBuf,
        key: &'static str,
        rule: &'static str,
    },
    #[error("the configuration file {path} is not valid: {section}: {reason}")]
    Section {
        path: PathBuf,
        section: String,
        reason: String,
    },
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub server: ServerConfig,
    pub database: DatabaseConfig,
    pub signer: SignerConfig,
    pub rate_limit: RateLimitConfig,
    pub log: LogConfig,
    pub webhooks: WebhooksConfig,
    pub sinks: Vec<SinkConfig>,
    pub sources: Vec<SourceConfig>,
}

/// What this process does. `api` answers HTTP; `worker` works on batches and pools; `watcher` follows the chains;
/// `notifier` delivers events to webhooks and brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Api,
    Worker,
    Watcher,
    Notifier,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    pub listen: SocketAddr,
    pub roles: Vec<Role>,
    /// Of a JSON body.
    pub max_body_bytes: u64,
    /// Of a batch's upload, as sent. What it may unpack to is the platform's limit.
    pub max_upload_bytes: u64,
    pub max_headers: usize,
    /// Request line and headers together; at least 8,192.
    pub max_header_bytes: usize,
    pub max_connections: usize,
    /// From the connection (or the last answer) to the end of a request's headers.
    pub header_read_timeout_ms: u64,
    /// The longest silence in a body.
    pub body_idle_timeout_ms: u64,
    /// For a whole JSON body.
    pub body_read_timeout_ms: u64,
    /// An upload that is slower than this, over all the time spent waiting for it, is cut; 0 is no limit.
    pub upload_min_bytes_per_second: u64,
    /// The longest time that a client may leave an answer unread.
    pub write_idle_timeout_ms: u64,
    /// From the signal to stop until requests still running are cut.
    pub shutdown_deadline_ms: u64,
    /// How often `events` looks for progress.
    pub events_interval_ms: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            roles: vec![Role::Api, Role::Worker, Role::Watcher, Role::Notifier],
            max_body_bytes: 4 << 20,
            max_upload_bytes: 1 << 30,
            max_headers: 64,
            max_header_bytes: 32 << 10,
            max_connections: 4096,
            header_read_timeout_ms: 15_000,
            body_idle_timeout_ms: 20_000,
            body_read_timeout_ms: 30_000,
            upload_min_bytes_per_second: 1024,
            write_idle_timeout_ms: 60_000,
            shutdown_deadline_ms: 20_000,
            events_interval_ms: 500,
        }
    }
}

impl ServerConfig {
    pub(crate) fn body_idle_timeout(&self) -> Duration {
        Duration::from_millis(self.body_idle_timeout_ms)
    }

    pub(crate) fn body_read_timeout(&self) -> Duration {
        Duration::from_millis(self.body_read_timeout_ms)
    }

    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let rules = [
            (
                self.max_header_bytes >= 8192,
                "server.max_header_bytes",
                "at least 8192",
            ),
            (
                self.max_connections >= 1,
                "server.max_connections",
                "at least 1",
            ),
            (
                self.header_read_timeout_ms >= 1,
                "server.header_read_timeout_ms",
                "at least 1",
            ),
            (
                self.body_idle_timeout_ms >= 1,
                "server.body_idle_timeout_ms",
                "at least 1",
            ),
            (
                self.events_interval_ms >= 10,
                "server.events_interval_ms",
                "at least 10",
            ),
            (
                !self.roles.is_empty(),
                "server.roles",
                "a list of api, worker, watcher and notifier",
            ),
        ];
        match rules.iter().find(|(holds, ..)| !holds) {
            Some((_, key, rule)) => Err((key, rule)),
            None => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `sqlite:PATH` or `postgres://…`; unset: `coffer.db` in the data folder.
    pub url: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignerConfig {
    /// Unset: `coffer-signer` beside this program.
    pub program: Option<PathBuf>,
    /// Unset: `keys/vault.key` in the data folder.
    pub key_file: Option<PathBuf>,
    pub passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitConfig {
    /// For one API key; 0 is no limit.
    pub requests_per_second: u32,
    pub burst: u32,
    /// Requests without a valid API key, from one address; 0 is no limit.
    pub failures_per_minute: u32,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self {
            requests_per_second: 1000,
            burst: 2000,
            failures_per_minute: 60,
        }
    }
}

/// What webhooks may reach. Public addresses over https on the ports of web servers, unless told otherwise.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhooksConfig {
    /// Networks that may be called although they are not public: `["10.2.0.0/16"]`.
    #[serde(deserialize_with = "parsed_list")]
    pub allow: Vec<Cidr>,
    /// Whether plain `http://` may be called.
    pub http: bool,
    /// Ports and ranges, `["443", "8000-8999"]`, instead of 80, 443, 8080 and 8443.
    #[serde(deserialize_with = "parsed_list")]
    pub ports: Vec<PortRange>,
}

impl WebhooksConfig {
    pub(crate) fn outbound(&self) -> Outbound {
        let default = Outbound::default();
        Outbound {
            allow: self.allow.clone(),
            http: self.http,
            ports: if self.ports.is_empty() {
                default.ports
            } else {
                self.ports.clone()
            },
            resolver: default.resolver,
        }
    }
}

fn parsed_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: FromStr<Err: std::fmt::Display>,
{
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parsed = texts.iter().map(|text| text.parse());
    parsed
        .collect::<Result<_, _>>()
        .map_err(serde::de::Error::custom)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// A filter in the form of the `tracing` crates: `info`, `coffer_platform=debug,warn`.
    pub filter: String,
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: "info".into(),
            format: LogFormat::Text,
        }
    }
}

impl Config {
    /// The defaults without a file.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            path: path.to_owned(),
            error,
        })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError::Invalid {
            path: path.to_owned(),
            error: Box::new(error),
        })?;
        config
            .server
            .check()
            .map_err(|(key, rule)| ConfigError::OutOfRange {
                path: path.to_owned(),
                key,
                rule,
            })?;
        let wrong = |(section, reason)| ConfigError::Section {
            path: path.to_owned(),
            section,
            reason,
        };
        brokers::sinks(&config.sinks).map_err(wrong)?;
        brokers::sources(&config.sources).map_err(wrong)?;
        Ok(config)
    }

    /// Checked when the file was read.
    pub(crate) fn sink_settings(&self) -> Vec<SinkSettings> {
        brokers::sinks(&self.sinks).unwrap_or_default()
    }

    /// Checked when the file was read.
    pub(crate) fn source_settings(&self) -> Vec<SourceSettings> {
        brokers::sources(&self.sources).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("coffer.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_is_the_defaults_and_a_section_overrides_its_keys_only() {
        let config = parse("").expect("valid");
        assert_eq!(config.server.listen, DEFAULT_LISTEN);
        let config = parse("[server]\nlisten = \"0.0.0.0:80\"\nroles = [\"api\"]").expect("valid");
        assert_eq!(config.server.roles, [Role::Api]);
        assert_eq!(config.server.max_headers, 64);
    }

    #[test]
    fn unknown_keys_and_impossible_values_are_refused_by_name() {
        let check = |text: &str, named: &str| {
            let error = parse(text).expect_err(text);
            assert!(error.contains(named), "{error}");
        };
        check("[server]\nlissten = \"127.0.0.1:1\"", "lissten");
        check("[servers]", "servers");
        check(
            "[server]\nmax_header_bytes = 100",
            "server.max_header_bytes",
        );
        check("[server]\nroles = [\"miner\"]", "miner");
        check("[webhooks]\nallow = [\"10.0.0.1/8\"]", "10.0.0.1/8");
        check("[webhooks]\nports = [\"http\"]", "http");
        check(
            "[server]\nevents_interval_ms = 0",
            "server.events_interval_ms",
        );
    }
}
