//! Who sent a message: by its subject, and by its signature where one is asked for.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_brokers::IncomingMessage;
use coffer_domain::id::ApiKeyId;
use ed25519_dalek::{Signature, VerifyingKey};

use crate::problem::{Code, Problem};

const KEY: &str = "Coffer-Key";
const TIMESTAMP: &str = "Coffer-Timestamp";
const SIGNATURE: &str = "Coffer-Signature";
/// How far a sender's clock may be ahead of ours.
const AHEAD_S: i64 = 300;

/// Who may send on a subject.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pub(crate) subject: String,
    pub(crate) key: ApiKeyId,
    pub(crate) public_key: Option<VerifyingKey>,
    pub(crate) max_age: Duration,
}

/// What a sender signs: a tag, subject and timestamp on lines of their own, then the body as it is.
fn signed_bytes(subject: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("coffer message v1\n{subject}\n{timestamp}\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The one sender that the message is from.
pub(crate) fn identify<'a>(
    senders: &'a [Sender],
    message: &IncomingMessage,
    now_ms: i64,
) -> Result<&'a Sender, Problem> {
    let refuse = |text: &str| Problem::new(Code::Unauthorized, text);
    let named = message.header(KEY);
    let mut fitting = senders
        .iter()
        .filter(|sender| sender.subject == message.subject)
        .filter(|sender| named.is_none_or(|name| sender.key.to_string() == name));
    let Some(sender) = fitting.next() else {
        return Err(refuse("no sender is configured for this subject and key"));
    };
    if fitting.next().is_some() {
        return Err(refuse(
            "several senders use this subject; name yours in the header Coffer-Key",
        ));
    }
    let Some(public_key) = &sender.public_key else {
        return Ok(sender);
    };
    let (Some(timestamp), Some(signature)) = (message.header(TIMESTAMP), message.header(SIGNATURE))
    else {
        return Err(refuse(
            "this subject needs the headers Coffer-Timestamp and Coffer-Signature",
        ));
    };
    let decoded = STANDARD.decode(signature).ok();
    let decoded: Option<[u8; 64]> = decoded.and_then(|bytes| bytes.try_into().ok());
    let signature = decoded
        .map(|bytes| Signature::from_bytes(&bytes))
        .ok_or_else(|| refuse("Coffer-Signature is not 64 bytes in Base64"))?;
    let bytes = signed_bytes(&message.subject, timestamp, &message.body);
    if public_key.verify_strict(&bytes, &signature).is_err() {
        return Err(refuse(
            "the signature is not by this sender's key over this message",
        ));
    }
    // Only now is the timestamp the sender's word.
    let at_s: i64 = timestamp
        .parse()
        .map_err(|_| refuse("Coffer-Timestamp is not a Unix time in seconds"))?;
    let now_s = now_ms / 1000;
    let oldest = now_s - i64::try_from(sender.max_age.as_secs()).unwrap_or(i64::MAX);
    if at_s < oldest || at_s > now_s + AHEAD_S {
        return Err(refuse("the signature is too old, or of the future"));
    }
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use coffer_brokers::{Header, Token};
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    const NOW_S: i64 = 1_700_000_000;

    struct Letter {
        subject: &'static str,
        key: Option<u8>,
        at: String,
        signed_by: Option<u8>,
        body: &'static str,
    }

    fn key(number: u8) -> ApiKeyId {
        ApiKeyId::from_bytes([number; 16])
    }

    fn sender(number: u8, signs: bool) -> Sender {
        Sender {
            subject: "in.a".into(),
            key: key(number),
            public_key: signs.then(|| SigningKey::from_bytes(&[number; 32]).verifying_key()),
            max_age: Duration::from_secs(600),
        }
    }

    fn letter() -> Letter {
        Letter {
            subject: "in.a",
            key: Some(1),
            at: NOW_S.to_string(),
            signed_by: Some(1),
            body: "{}",
        }
    }

    fn sent(letter: &Letter, body: &'static str) -> IncomingMessage {
        let mut headers = Vec::new();
        let mut header = |name: &str, value: String| {
            headers.push(Header {
                name: name.into(),
                value,
            });
        };
        if let Some(number) = letter.key {
            header(KEY, key(number).to_string());
        }
        if let Some(number) = letter.signed_by {
            let bytes = signed_bytes("in.a", &letter.at, letter.body.as_bytes());
            let signature = SigningKey::from_bytes(&[number; 32]).sign(&bytes);
            header(TIMESTAMP, letter.at.clone());
            header(SIGNATURE, STANDARD.encode(signature.to_bytes()));
        }
        IncomingMessage {
            subject: letter.subject.into(),
            headers,
            body: Bytes::from_static(body.as_bytes()),
            reply_to: None,
            deliveries: 1,
            token: Token::Number(1),
        }
    }

    fn check(senders: &[Sender], letter: &Letter, body: &'static str, good: bool) {
        let found = identify(senders, &sent(letter, body), NOW_S * 1000);
        assert_eq!(found.is_ok(), good, "{:?}", found.map(|sender| sender.key));
    }

    #[test]
    fn a_subject_without_a_public_key_is_enough() {
        let senders = [sender(1, false)];
        let plain = Letter {
            signed_by: None,
            key: None,
            ..letter()
        };
        check(&senders, &plain, "{}", true);
        check(
            &senders,
            &Letter {
                subject: "in.b",
                ..plain
            },
            "{}",
            false,
        );
        let other = Letter {
            signed_by: None,
            key: Some(2),
            ..letter()
        };
        check(&senders, &other, "{}", false);
    }

    #[test]
    fn a_signature_binds_sender_subject_time_and_body() {
        let senders = [sender(1, true), sender(2, true)];
        check(&senders, &letter(), "{}", true);
        check(&senders, &letter(), "{} ", false);
        check(
            &senders,
            &Letter {
                key: Some(2),
                ..letter()
            },
            "{}",
            false,
        );
        check(
            &senders,
            &Letter {
                key: None,
                ..letter()
            },
            "{}",
            false,
        );
        check(
            &senders,
            &Letter {
                signed_by: Some(2),
                ..letter()
            },
            "{}",
            false,
        );
        check(
            &senders,
            &Letter {
                signed_by: None,
                ..letter()
            },
            "{}",
            false,
        );
    }

    #[test]
    fn a_signature_has_an_age() {
        let senders = [sender(1, true)];
        let at = |moment: i64| Letter {
            at: moment.to_string(),
            ..letter()
        };
        check(&senders, &at(NOW_S - 600), "{}", true);
        check(&senders, &at(NOW_S - 601), "{}", false);
        check(&senders, &at(NOW_S + AHEAD_S), "{}", true);
        check(&senders, &at(NOW_S + AHEAD_S + 1), "{}", false);
        check(
            &senders,
            &Letter {
                at: "soon".into(),
                ..letter()
            },
            "{}",
            false,
        );
    }
}
