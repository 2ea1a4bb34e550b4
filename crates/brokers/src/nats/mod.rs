//! NATS `JetStream`: published by subject, with the event's id as `Nats-Msg-Id`; consumed by a durable pull consumer.
//!
//! Guarantees: a batch is published only when the stream confirmed each message, an object's next message goes out only when
//! the one before it was confirmed, and a message that comes again within the stream's window for duplicates is stored once.
//! A stream or consumer that would drop messages in silence (no confirmations, a limit of deliveries) is refused at connect.
//! The stream may still lose what it confirmed: its file is synced every two minutes unless the server says
//! `sync_interval: always`. The record is the database, so it may.
//! Not here: sizes and retention of streams, beyond making one when asked to.

mod connect;
mod sink;
mod source;

use std::sync::Arc;

use crate::{BrokerError, NatsSink, NatsSource, SinkConnector, SourceConnector};

pub(crate) fn sink(settings: NatsSink) -> Result<Arc<dyn SinkConnector>, BrokerError> {
    connect::check(&settings.connection())?;
    check_subject("prefix", &settings.prefix, false)?;
    Ok(Arc::new(sink::Connector::new(settings)))
}

pub(crate) fn source(settings: NatsSource) -> Result<Arc<dyn SourceConnector>, BrokerError> {
    connect::check(&settings.connection())?;
    check_subject("subject", &settings.subject, true)?;
    Ok(Arc::new(source::Connector::new(settings)))
}

/// Levels of letters, digits, `_` and `-`, parted by dots; wildcards where they are allowed.
fn check_subject(what: &str, text: &str, wildcards: bool) -> Result<(), BrokerError> {
    let plain = |level: &str| {
        !level.is_empty()
            && level
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    let mut levels = text.split('.').peekable();
    while let Some(level) = levels.next() {
        let wild = wildcards && (level == "*" || (level == ">" && levels.peek().is_none()));
        if !plain(level) && !wild {
            return Err(BrokerError::Settings(format!(
                "{what} {text:?} is not a NATS subject of letters, digits, _ and -, parted by dots"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_plain_levels() {
        let check = |text: &str, wildcards: bool, good: bool| {
            assert_eq!(
                check_subject("prefix", text, wildcards).is_ok(),
                good,
                "{text}"
            );
        };
        check("coffer", false, true);
        check("coffer.eu-1", false, true);
        check("coffer.>", false, false);
        check("coffer.>", true, true);
        check("coffer.*.in", true, true);
        check("coffer.>.in", true, false);
        check("", false, false);
        check("a..b", false, false);
        check("a b", false, false);
    }
}
