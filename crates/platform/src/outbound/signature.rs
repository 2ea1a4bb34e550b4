//! Signatures by the Standard Webhooks specification (symmetric, `v1`): made here for every call that leaves, and
//! checked here by whoever receives one with Coffer's own tools.
//!
//! The MAC is HMAC-SHA-256 over `id.timestamp.body`. A header may carry several, parted by spaces; while a secret is
//! being replaced both sign.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

pub const ID_HEADER: &str = "webhook-id";
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
pub const SIGNATURE_HEADER: &str = "webhook-signature";
/// How far a message's time may be from the receiver's, as the specification's libraries have it.
pub const TOLERANCE_SECONDS: i64 = 5 * 60;
const PREFIX: &str = "whsec_";
/// The specification's bounds of a secret, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// More than these are not looked at.
const SIGNATURES_MAX: usize = 16;

/// One secret, ready to sign and to check.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is whsec_ and 24 to 64 bytes in base64")]
pub struct SecretError;

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    #[error("the header {0} is missing or cannot be read")]
    Header(&'static str),
    #[error("its time is more than five minutes away from this machine's")]
    Time,
    #[error("no signature is right; it was not sent with this secret, or changed on the way")]
    Signature,
}

/// The three headers of a signed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedHeaders {
    id: String,
    timestamp: String,
    signature: String,
}

impl SignedHeaders {
    pub(super) fn into_pairs(self) -> [(&'static str, String); 3] {
        [
            (ID_HEADER, self.id),
            (TIMESTAMP_HEADER, self.timestamp),
            (SIGNATURE_HEADER, self.signature),
        ]
    }
}

/// The text form in which a secret is shown.
#[must_use]
pub fn secret_text(secret: &[u8]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(STANDARD.encode(secret));
    Zeroizing::new(format!("{PREFIX}{}", encoded.as_str()))
}

impl SigningKey {
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes a key of any length"))
    }

    /// From the text form.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(SecretError)?;
        let secret = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| SecretError)?);
        if !SECRET_BYTES.contains(&secret.len()) {
            return Err(SecretError);
        }
        Ok(Self::new(&secret))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        self.0
            .clone()
            .chain_update(id)
            .chain_update(".")
            .chain_update(timestamp)
            .chain_update(".")
            .chain_update(body)
    }
}

/// The headers for `body`, signed with every key.
pub(crate) fn sign(keys: &[SigningKey], id: &str, now_ms: i64, body: &[u8]) -> SignedHeaders {
    let timestamp = now_ms.div_euclid(1000).to_string();
    let signatures: Vec<String> = keys
        .iter()
        .map(|key| {
            let mac = key.mac(id, &timestamp, body).finalize().into_bytes();
            format!("v1,{}", STANDARD.encode(mac))
        })
        .collect();
    SignedHeaders {
        id: id.to_owned(),
        timestamp,
        signature: signatures.join(" "),
    }
}

/// Checks a received message: its time, then its signatures in constant time. That an id comes twice is the
/// receiver's to notice. `header` gives the value of a header by its name.
pub fn verify<'a>(
    key: &SigningKey,
    header: impl Fn(&'static str) -> Option<&'a str>,
    body: &[u8],
    now_ms: i64,
) -> Result<(), Unverified> {
    let get = |name| header(name).ok_or(Unverified::Header(name));
    let (id, timestamp, signatures) = (
        get(ID_HEADER)?,
        get(TIMESTAMP_HEADER)?,
        get(SIGNATURE_HEADER)?,
    );
    let sent: i64 = timestamp
        .parse()
        .map_err(|_| Unverified::Header(TIMESTAMP_HEADER))?;
    let now = now_ms.div_euclid(1000);
    if sent.abs_diff(now) > TOLERANCE_SECONDS.unsigned_abs() {
        return Err(Unverified::Time);
    }
    let right = signatures
        .split(' ')
        .take(SIGNATURES_MAX)
        .filter_map(|signature| signature.strip_prefix("v1,"))
        .filter_map(|encoded| STANDARD.decode(encoded).ok())
        .any(|mac| key.mac(id, timestamp, body).verify_slice(&mac).is_ok());
    if right {
        Ok(())
    } else {
        Err(Unverified::Signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIME: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn key() -> SigningKey {
        SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret")
    }

    fn check(signature: &str, body: &[u8], now: i64) -> Result<(), Unverified> {
        let time = TIME.to_string();
        let header = |name| match name {
            ID_HEADER => Some(ID),
            TIMESTAMP_HEADER => Some(time.as_str()),
            _ => Some(signature),
        };
        verify(&key(), header, body, now * 1000)
    }

    /// The example of the specification's reference libraries.
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn signatures_are_those_of_the_specification() {
        let signed = sign(&[key()], ID, TIME * 1000 + 999, BODY);
        let pairs = signed.into_pairs();
        assert_eq!(pairs[0], (ID_HEADER, ID.to_owned()));
        assert_eq!(pairs[1], (TIMESTAMP_HEADER, TIME.to_string()));
        assert_eq!(pairs[2], (SIGNATURE_HEADER, SIGNATURE.to_owned()));
        assert_eq!(check(SIGNATURE, BODY, TIME), Ok(()));
    }

    #[test]
    fn two_secrets_sign_side_by_side_and_either_verifies() {
        let signed = sign(&[SigningKey::new(&[7; 32]), key()], ID, TIME * 1000, BODY);
        let text = signed.into_pairs()[2].1.clone();
        assert_eq!(text.split(' ').count(), 2);
        assert_eq!(check(&text, BODY, TIME), Ok(()));
    }

    #[test]
    fn other_bodies_times_and_signatures_are_refused() {
        let refused = Err(Unverified::Signature);
        assert_eq!(check(SIGNATURE, br#"{"test": 2432232315}"#, TIME), refused);
        for signature in [
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=",
            "v1,g0hM9SsE",
            "v1,",
            "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            "",
        ] {
            assert_eq!(check(signature, BODY, TIME), refused, "{signature}");
        }
        let noisy = format!("v1,bm9ldHU= v2,xx {SIGNATURE}");
        assert_eq!(check(&noisy, BODY, TIME), Ok(()));
        for away in [-TOLERANCE_SECONDS, TOLERANCE_SECONDS] {
            assert_eq!(check(SIGNATURE, BODY, TIME + away), Ok(()));
            let more = TIME + away + away.signum();
            assert_eq!(check(SIGNATURE, BODY, more), Err(Unverified::Time));
        }
        let missing = verify(&key(), |_| None, BODY, TIME * 1000);
        assert_eq!(missing, Err(Unverified::Header(ID_HEADER)));
    }

    #[test]
    fn secrets_have_one_text_form() {
        let text = secret_text(&[9; 32]);
        assert_eq!(text.len(), PREFIX.len() + 44);
        assert!(SigningKey::parse(&text).is_ok());
        for bad in [
            "",
            "whsec_",
            "whsec_AAAA",
            "wh_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_!",
        ] {
            assert!(SigningKey::parse(bad).is_err(), "{bad}");
        }
    }
}
