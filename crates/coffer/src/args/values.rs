//! What a value on the command line has to look like. A wrong one is found before any call is made.

use reqwest::Url;

pub(crate) const CHAINS: [&str; 5] = ["evm", "tron", "bitcoin", "bitcoin-taproot", "solana"];

/// A base address: no query, and no credentials, which would end up in shell histories and logs.
pub(crate) fn server_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; write http://HOST:PORT"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("write http://HOST:PORT or https://HOST".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("leave user and password out; the API key says who you are".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("leave out what follows ? and #".to_owned());
    }
    Ok(url)
}

/// An id goes into a path: anything but its canonical form could name another resource.
fn id(prefix: &str, text: &str) -> Result<String, String> {
    let digits = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'));
    let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    match digits {
        Some(digits) if digits.len() == 32 && digits.bytes().all(hex) => Ok(text.to_owned()),
        _ => Err(format!("an id here is {prefix}_ and 32 hexadecimal digits")),
    }
}

pub(crate) fn batch_id(text: &str) -> Result<String, String> {
    id("bat", text)
}

pub(crate) fn wallet_id(text: &str) -> Result<String, String> {
    id("wal", text)
}

pub(crate) fn vault_id(text: &str) -> Result<String, String> {
    id("vlt", text)
}

pub(crate) fn network_id(text: &str) -> Result<String, String> {
    id("net", text)
}

pub(crate) fn asset_id(text: &str) -> Result<String, String> {
    id("ast", text)
}

pub(crate) fn key_id(text: &str) -> Result<String, String> {
    id("key", text)
}

pub(crate) fn deposit_id(text: &str) -> Result<String, String> {
    id("dep", text)
}

pub(crate) fn ledger_account_id(text: &str) -> Result<String, String> {
    id("lac", text)
}

pub(crate) fn reconciliation_id(text: &str) -> Result<String, String> {
    id("rec", text)
}

pub(crate) fn parked_message_id(text: &str) -> Result<String, String> {
    id("prk", text)
}

pub(crate) fn webhook_id(text: &str) -> Result<String, String> {
    id("whk", text)
}

/// Only what cannot be an address of any chain is refused here; the server knows them all.
pub(crate) fn address(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 128 || !text.bytes().all(|c| c.is_ascii_alphanumeric()) {
        return Err("an address is 1 to 128 letters and digits".to_owned());
    }
    Ok(text.to_owned())
}

pub(crate) fn idempotency_key(text: &str) -> Result<String, String> {
    if (1..=255).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err("an idempotency key is 1 to 255 visible ASCII characters".to_owned())
}

pub(crate) fn json_object(text: &str) -> Result<serde_json::Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ serde_json::Value::Object(_)) => Ok(value),
        Ok(_) => Err("write a JSON object, such as '{\"tier\":\"gold\"}'".to_owned()),
        Err(error) => Err(format!("not JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_bare_http_address() {
        for good in [
            "http://127.0.0.1:8420",
            "https://coffer.example/wallets/",
            "http://[::1]:1",
        ] {
            assert!(server_url(good).is_ok(), "{good}");
        }
        for bad in [
            "127.0.0.1:8420",
            "ftp://host",
            "http://",
            "http://user:pw@host",
            "http://host/?a=b",
            "unix:/run/coffer",
        ] {
            assert!(server_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_cannot_be_another_path() {
        let digits = "0123456789abcdef0123456789abcdef";
        assert!(batch_id(&format!("bat_{digits}")).is_ok());
        for bad in [
            "..",
            "bat_",
            "bat_../wallets",
            &format!("wal_{digits}"),
            &format!("bat_{digits}0"),
        ] {
            assert!(batch_id(bad).is_err(), "{bad}");
        }
        assert!(batch_id(&format!("bat_{}", digits.to_uppercase())).is_err());
    }

    #[test]
    fn addresses_keys_and_objects() {
        assert!(address("0xdAC17F958D2ee523a2206206994597C13D831ec7").is_ok());
        assert!(address("..").is_err());
        assert!(address("").is_err());
        assert!(idempotency_key("monday-1").is_ok());
        assert!(idempotency_key("two words").is_err());
        assert!(idempotency_key(&"k".repeat(256)).is_err());
        assert!(json_object("{\"a\":1}").is_ok());
        assert!(json_object("[1]").is_err());
        assert!(json_object("{").is_err());
    }
}
