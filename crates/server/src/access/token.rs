//! Where a request carries its API key.

use axum::http::{HeaderMap, header};
use zeroize::Zeroizing;

/// The token of `Authorization: Bearer` or `X-API-Key`. A request with both, or with one of them twice, has
/// none: which of them counts must not depend on who reads.
pub(super) fn token_of(headers: &HeaderMap) -> Option<Zeroizing<String>> {
    let bearers = headers.get_all(header::AUTHORIZATION).iter();
    let own = headers.get_all("x-api-key").iter();
    let mut sent = bearers
        .map(|value| (true, value))
        .chain(own.map(|value| (false, value)));
    let (is_bearer, value) = sent.next()?;
    if sent.next().is_some() {
        return None;
    }
    let text = value.to_str().ok()?;
    if !is_bearer {
        return Some(Zeroizing::new(text.to_owned()));
    }
    let (scheme, token) = text.split_once(' ')?;
    // Schemes are case-insensitive (RFC 9110, section 11.1).
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| Zeroizing::new(token.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn check(pairs: &[(&'static str, &str)], expected: Option<&str>) {
        let pair = |(name, value): &(&'static str, &str)| {
            let value = value.parse().expect("header");
            (HeaderName::from_static(name), value)
        };
        let headers: HeaderMap = pairs.iter().map(pair).collect();
        let found = token_of(&headers);
        assert_eq!(
            found.as_ref().map(|token| token.as_str()),
            expected,
            "{pairs:?}"
        );
    }

    #[test]
    fn one_header_carries_it() {
        let (bearer, own) = (("authorization", "bearer cfr_1"), ("x-api-key", "cfr_2"));
        check(&[bearer], Some("cfr_1"));
        check(&[own], Some("cfr_2"));
        check(&[bearer, own], None);
        check(&[bearer, bearer], None);
        check(&[("authorization", "Basic cfr_1")], None);
        check(&[("authorization", "cfr_1")], None);
        check(&[], None);
    }
}
