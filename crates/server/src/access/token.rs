//! The text form of an API key: `cfr_<32 hex: key id>_<64 hex: secret>`.

use axum::http::{HeaderMap, header};
use coffer_domain::id::ApiKeyId;

/// A key as a client sent it. No `Debug`: the secret stays out of every log.
pub(crate) struct ApiToken {
    pub(crate) key: ApiKeyId,
    pub(crate) secret: [u8; 32],
}

impl Drop for ApiToken {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.secret.zeroize();
    }
}

impl ApiToken {
    /// `None` when the text has not this form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix("cfr_")?.split_once('_')?;
        let lower_case = |text: &str| !text.bytes().any(|byte| byte.is_ascii_uppercase());
        if id.len() != 32 || secret.len() != 64 || !lower_case(text) {
            return None;
        }
        let mut token = Self {
            key: format!("{}_{id}", ApiKeyId::PREFIX).parse().ok()?,
            secret: [0; 32],
        };
        hex::decode_to_slice(secret, &mut token.secret).ok()?;
        Some(token)
    }

    /// From `Authorization: Bearer` or `X-API-Key`. A request with both, or with one of them twice, has none:
    /// which of them counts must not depend on who reads.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut sent = headers
            .get_all(header::AUTHORIZATION)
            .iter()
            .map(|value| (true, value))
            .chain(
                headers
                    .get_all("x-api-key")
                    .iter()
                    .map(|value| (false, value)),
            );
        let (is_bearer, value) = sent.next()?;
        if sent.next().is_some() {
            return None;
        }
        let text = value.to_str().ok()?;
        if !is_bearer {
            return Self::parse(text);
        }
        let (scheme, token) = text.split_once(' ')?;
        // Schemes are case-insensitive (RFC 9110, section 11.1).
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| Self::parse(token.trim()))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        format!("cfr_{}_{}", "0a".repeat(16), "0b".repeat(32))
    }

    #[test]
    fn only_the_one_form_is_a_token() {
        let token = ApiToken::parse(&text()).expect("valid");
        assert_eq!(token.key, ApiKeyId::from_bytes([10; 16]));
        assert_eq!(token.secret, [11; 32]);
        for wrong in [
            "",
            "cfr_",
            &text()[1..],
            &text()[..100],
            &text().to_uppercase(),
            &format!("{}0", text()),
            &text().replace("0b", "0B"),
            &text().replace("0b", "zz"),
        ] {
            assert!(ApiToken::parse(wrong).is_none(), "{wrong}");
        }
    }

    fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    axum::http::HeaderName::from_static(name),
                    value.parse().expect("header"),
                )
            })
            .collect()
    }

    #[test]
    fn one_header_carries_it() {
        let found =
            |pairs: &[(&'static str, String)]| ApiToken::from_headers(&headers(pairs)).is_some();
        let bearer = ("authorization", format!("bearer {}", text()));
        let own = ("x-api-key", text());
        assert!(found(&[bearer.clone()]) && found(&[own.clone()]));
        assert!(!found(&[bearer, own]));
        assert!(!found(&[("authorization", format!("Basic {}", text()))]));
        assert!(!found(&[("authorization", text())]));
        assert!(!found(&[]));
    }
}
