//! `[[sinks]]` and `[[sources]]`: message brokers that events go to and work comes from.

use std::path::PathBuf;
use std::time::Duration;

use coffer_brokers::{SinkBroker, SourceBroker};
use coffer_domain::id::{ApiKeyId, OrganizationId};
use coffer_platform::{EventFilter, SinkSettings};
use ed25519_dalek::VerifyingKey;
use serde::Deserialize;

use crate::sources::{Sender, SourceSettings};

const DAY_S: u64 = 24 * 60 * 60;
const AGE_S_MAX: u64 = 7 * DAY_S;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkConfig {
    /// Letters, digits and dashes; how far the sink has come is kept under this name.
    pub name: String,
    /// `org_…`; left out: every organization.
    pub organization: Option<String>,
    /// `deposit.confirmed`, `deposit.*`; left out: every event.
    #[serde(default)]
    pub types: Vec<String>,
    pub broker: SinkBroker,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Letters, digits and dashes; parked messages are found by it.
    pub name: String,
    /// Who may send what on which subject. Whatever comes on another is parked.
    pub senders: Vec<SenderConfig>,
    /// Answers go only where `reply_to` begins with this; left out: there are none.
    pub reply_prefix: Option<String>,
    /// The folder of files that messages may refer to; left out: they may not.
    pub files: Option<PathBuf>,
    /// The source stops when so many messages are parked.
    #[serde(default = "parked_max")]
    pub parked_max: u64,
    pub broker: SourceBroker,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SenderConfig {
    /// NATS subject, AMQP routing key or Kafka topic, without wildcards.
    pub subject: String,
    /// The id of the API key that these messages count as.
    pub key: String,
    /// Ed25519, 64 hexadecimal digits. With it every message must be signed.
    pub public_key: Option<String>,
    /// How old a signed message may be.
    #[serde(default = "age_s")]
    pub max_age_s: u64,
}

const fn parked_max() -> u64 {
    10_000
}

const fn age_s() -> u64 {
    DAY_S
}

/// Which section is wrong, and why.
type Wrong = (String, String);

fn check_names<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Result<(), Wrong> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
            let text = "a name is 1 to 40 of a to z, 0 to 9 and -";
            return Err((format!("{what} {name:?}"), text.into()));
        }
        if !seen.insert(name) {
            return Err((format!("{what} {name:?}"), "the name is taken twice".into()));
        }
    }
    Ok(())
}

pub(super) fn sinks(configured: &[SinkConfig]) -> Result<Vec<SinkSettings>, Wrong> {
    check_names("sink", configured.iter().map(|sink| &sink.name))?;
    let settings = |sink: &SinkConfig| {
        let wrong =
            |error: &dyn std::fmt::Display| (format!("sink {:?}", sink.name), error.to_string());
        let organization: Option<OrganizationId> = sink
            .organization
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|error| wrong(&error))?;
        let types: Result<Vec<_>, _> = sink.types.iter().map(|text| text.parse()).collect();
        Ok(SinkSettings {
            name: sink.name.clone(),
            organization,
            filter: EventFilter {
                types: types.map_err(|error| wrong(&error))?,
                subject: None,
            },
            connector: sink.broker.connector().map_err(|error| wrong(&error))?,
        })
    };
    configured.iter().map(settings).collect()
}

pub(super) fn sources(configured: &[SourceConfig]) -> Result<Vec<SourceSettings>, Wrong> {
    check_names("source", configured.iter().map(|source| &source.name))?;
    let settings = |source: &SourceConfig| {
        let wrong = |text: String| (format!("source {:?}", source.name), text);
        let senders: Result<Vec<_>, _> = source.senders.iter().map(sender).collect();
        let senders = senders.map_err(wrong)?;
        check_senders(&senders).map_err(wrong)?;
        if source.reply_prefix.as_deref() == Some("") {
            return Err(wrong(
                "reply_prefix is empty: answers could go anywhere".into(),
            ));
        }
        if source
            .files
            .as_ref()
            .is_some_and(|folder| !folder.is_absolute())
        {
            return Err(wrong("files must be an absolute path".into()));
        }
        Ok(SourceSettings {
            name: source.name.clone(),
            senders,
            reply_prefix: source.reply_prefix.clone(),
            files: source.files.clone(),
            parked_max: source.parked_max,
            connector: source
                .broker
                .connector()
                .map_err(|error| wrong(error.to_string()))?,
        })
    };
    configured.iter().map(settings).collect()
}

fn sender(configured: &SenderConfig) -> Result<Sender, String> {
    let subject = &configured.subject;
    let key: ApiKeyId = configured
        .key
        .parse()
        .map_err(|error| format!("subject {subject:?}: key: {error}"))?;
    let public_key = configured.public_key.as_deref().map(|text| {
        let bytes: Option<[u8; 32]> = hex::decode(text).ok().and_then(|b| b.try_into().ok());
        bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
    });
    if public_key == Some(None) {
        return Err(format!(
            "subject {subject:?}: public_key is not an Ed25519 key in hexadecimal"
        ));
    }
    if !(1..=AGE_S_MAX).contains(&configured.max_age_s) {
        return Err(format!(
            "subject {subject:?}: max_age_s is 1 to {AGE_S_MAX}"
        ));
    }
    Ok(Sender {
        subject: subject.clone(),
        key,
        public_key: public_key.flatten(),
        max_age: Duration::from_secs(configured.max_age_s),
    })
}

/// Two senders on one subject are told apart by their signatures alone.
fn check_senders(senders: &[Sender]) -> Result<(), String> {
    if senders.is_empty() {
        return Err("name at least one sender".into());
    }
    for (index, sender) in senders.iter().enumerate() {
        let same: Vec<_> = senders[index + 1..]
            .iter()
            .filter(|other| other.subject == sender.subject)
            .collect();
        if same.iter().any(|other| other.key == sender.key) {
            return Err(format!(
                "subject {:?} names {} twice",
                sender.subject, sender.key
            ));
        }
        let signed = |sender: &Sender| sender.public_key.is_some();
        let all_signed = signed(sender) && same.iter().all(|other| signed(other));
        if !same.is_empty() && !all_signed {
            return Err(format!(
                "subject {:?} has several senders, so each needs a public_key",
                sender.subject
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;

    fn check(text: &str, named: &str) {
        let result = Config::parse(text, Path::new("coffer.toml"));
        match (result, named) {
            (Ok(_), "") => {}
            (Ok(_), named) => panic!("taken, though {named}"),
            (Err(error), named) => {
                let error = error.to_string();
                assert!(!named.is_empty() && error.contains(named), "{error}");
            }
        }
    }

    const NATS: &str = "servers = [\"nats://127.0.0.1:4222\"]\nstream = \"S\"\n";

    #[test]
    fn a_sink_names_one_broker_and_known_types() {
        let sink = |lines: &str, broker: &str| {
            format!("[[sinks]]\nname = \"erp\"\n{lines}\n[sinks.broker.nats]\n{NATS}{broker}")
        };
        check(&sink("", "prefix = \"coffer\""), "");
        check(&sink("types = [\"deposit.*\"]", "prefix = \"coffer\""), "");
        check(
            &sink("types = [\"deposit.eaten\"]", "prefix = \"coffer\""),
            "erp",
        );
        check(&sink("organization = \"x\"", "prefix = \"coffer\""), "erp");
        check(&sink("", "prefix = \"a.>\""), "prefix");
        check(&sink("", "prefix = \"a\"\npassword = \"p\""), "password");
        check(&sink("typos = 1", "prefix = \"a\""), "typos");
        let twice = sink("", "prefix = \"a\"\n").repeat(2);
        check(&twice, "twice");
    }

    #[test]
    fn the_example_is_valid() {
        check(include_str!("../../../../examples/brokers.toml"), "");
    }

    #[test]
    fn senders_on_one_subject_sign() {
        let key = |number: u8| format!("key = \"key_0000000000007000800000000000000{number}\"\n");
        let source = |senders: &str| {
            format!(
                "[[sources]]\nname = \"in\"\n{senders}\n[sources.broker.nats]\n{NATS}subject = \"in.>\"\nconsumer = \"c\"\n"
            )
        };
        let sender = |number: u8, more: &str| {
            format!(
                "[[sources.senders]]\nsubject = \"in.a\"\n{}{more}",
                key(number)
            )
        };
        let public = format!("public_key = \"{}\"\n", hex::encode([0; 32]));
        check(&source(&sender(1, "")), "");
        check(
            &source(&(sender(1, "") + &sender(2, ""))),
            "several senders",
        );
        check(
            &source(&(sender(1, &public) + &sender(2, ""))),
            "several senders",
        );
        check(&source(&(sender(1, &public) + &sender(2, &public))), "");
        check(
            &source(&(sender(1, &public) + &sender(1, &public))),
            "twice",
        );
        check(&source(&sender(1, "public_key = \"00\"\n")), "public_key");
        check(&source(&sender(1, "max_age_s = 0\n")), "max_age_s");
        check(&source("senders = []"), "at least one sender");
    }
}
