//! How single fields look in JSON: byte strings as lower-case hexadecimal or Base64, names as text.
//!
//! One text per value: other spellings (upper case, padding left off) are refused.

/// Bytes of a fixed length as hexadecimal.
pub(crate) mod hex_bytes {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer, const N: usize>(
        bytes: &[u8; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        let text = String::deserialize(deserializer)?;
        super::hex_array(&text).ok_or_else(|| {
            D::Error::custom(format_args!("not {} lower-case hexadecimal digits", 2 * N))
        })
    }
}

/// Bytes of any length as Base64 (RFC 4648, with padding).
pub(crate) mod base64_bytes {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map_err(|_| D::Error::custom("not Base64"))
    }
}

/// A value by the text it prints and parses.
pub(crate) mod name {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        value: &impl Display,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// The seal key as hexadecimal, by way of wiped buffers only.
pub(crate) mod seal_key {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use zeroize::Zeroizing;

    use crate::SealKey;

    pub(crate) fn serialize<S: Serializer>(
        key: &SealKey,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut text = Zeroizing::new([0; 64]);
        hex::encode_to_slice(key.expose(), &mut *text).map_err(serde::ser::Error::custom)?;
        let text = std::str::from_utf8(&*text).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(text)
    }

    /// Borrows from the frame: a text with escapes, which the parser would copy aside, is refused.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SealKey, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text, &mut *bytes).map_err(|_| D::Error::custom("not a seal key"))?;
        Ok(SealKey::from_bytes(*bytes))
    }
}

pub(crate) fn hex_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let canonical = text.len() == 2 * N && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    (canonical && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}
