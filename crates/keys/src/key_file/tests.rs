//! Robustness of the key file (fault catalogue, F-117). Most tests open files of
//! a cheaper range, so that thousands of attempts take a moment.

use super::*;
use crate::{Mnemonic, OsEntropy};

const CHEAP: Kdf = Kdf::new(8, 1, 1);
const CHEAP_RANGE: KdfRange = KdfRange {
    floor: CHEAP,
    ceiling: Kdf::new(16, 2, 1),
};

fn seed(words: &str) -> MasterSeed {
    Mnemonic::parse(words).expect("a valid mnemonic").seed()
}

fn ours() -> MasterSeed {
    seed("zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong")
}

fn theirs() -> MasterSeed {
    seed("legal winner thank year wave sausage worth useful legal winner thank yellow")
}

fn passphrase() -> Passphrase {
    Passphrase::try_new("correct horse").expect("long enough")
}

fn cheap_file(seed: &MasterSeed) -> String {
    seal_with(seed, &passphrase(), CHEAP, &mut OsEntropy).expect("sealed")
}

fn refusal(text: &[u8]) -> KeyFileError {
    open_within(text, &passphrase(), &CHEAP_RANGE)
        .err()
        .expect("it is not to open")
}

#[test]
fn a_file_opens_with_its_passphrase_only() {
    let text = seal_key_file(&ours(), &passphrase(), &mut OsEntropy).expect("sealed");
    assert!(text.len() < 1024);
    let opened = open_key_file(text.as_bytes(), &passphrase()).expect("the right passphrase");
    assert!(opened.bytes() == ours().bytes());
    let other = Passphrase::try_new("correct horsf").expect("long enough");
    assert!(matches!(
        open_key_file(text.as_bytes(), &other),
        Err(KeyFileError::CannotOpen)
    ));
    assert!(!text.contains(&hex::encode(&ours().bytes()[..8])));
}

#[test]
fn the_same_passphrase_in_other_normalization_opens() {
    let composed = Passphrase::try_new("caf\u{e9}-caf\u{e9}").expect("long enough");
    let text = seal_with(&ours(), &composed, CHEAP, &mut OsEntropy).expect("sealed");
    let decomposed = Passphrase::existing("cafe\u{301}-cafe\u{301}").expect("not empty");
    assert!(open_within(text.as_bytes(), &decomposed, &CHEAP_RANGE).is_ok());
}

#[test]
fn every_flipped_bit_is_noticed() {
    let text = cheap_file(&ours()).into_bytes();
    assert!(open_within(&text, &passphrase(), &CHEAP_RANGE).is_ok());
    let mut tried = 0;
    for position in 0..text.len() {
        for bit in 0..8 {
            let mut changed = text.clone();
            changed[position] ^= 1 << bit;
            // Any refusal will do: the version's digit and the parameters have their own.
            refusal(&changed);
            tried += 1;
        }
    }
    assert_eq!(tried, 8 * text.len());
}

#[test]
fn every_truncation_and_any_tail_is_noticed() {
    let text = cheap_file(&ours()).into_bytes();
    // The last byte is the line end, which may be missing.
    for length in 0..text.len() - 1 {
        assert!(
            matches!(refusal(&text[..length]), KeyFileError::CannotOpen),
            "{length}"
        );
    }
    refusal(&[&text[..], b"{}"].concat());
    refusal(&[&text[..], &text[..]].concat());
    refusal(&vec![b' '; usize::from(KEY_FILE_LIMIT_BYTES) + 1]);
}

#[test]
fn parameters_outside_floor_and_ceiling_are_refused_before_any_work() {
    let text = seal_with(&ours(), &passphrase(), CHEAP, &mut OsEntropy).expect("sealed");
    let refused = open_key_file(text.as_bytes(), &passphrase()).err();
    assert!(
        matches!(refused, Some(KeyFileError::KdfOutOfRange(_))),
        "weaker than the floor"
    );

    let good = Kdf::new(65536, 3, 4);
    assert!(RANGE.contains(DEFAULT) && RANGE.contains(good));
    for kdf in [
        Kdf::new(65535, 3, 4),
        Kdf::new(1_048_577, 3, 4),
        Kdf::new(65536, 2, 4),
        Kdf::new(65536, 17, 4),
        Kdf::new(65536, 3, 0),
        Kdf::new(65536, 3, 17),
        Kdf::new(u32::MAX, u32::MAX, u32::MAX),
    ] {
        let (m, t, p) = (kdf.m_kib, kdf.t, kdf.p);
        let changed = text.replace(
            r#""m_kib":8,"t":1,"p":1"#,
            &format!(r#""m_kib":{m},"t":{t},"p":{p}"#),
        );
        assert!(changed != text);
        let refused = open_key_file(changed.as_bytes(), &passphrase()).err();
        assert!(
            matches!(refused, Some(KeyFileError::KdfOutOfRange(_))),
            "{kdf:?}"
        );
    }
}

#[test]
fn parameters_changed_within_the_range_are_refused() {
    let text = cheap_file(&ours());
    for changed in [
        text.replace(r#""m_kib":8"#, r#""m_kib":16"#),
        text.replace(r#""t":1"#, r#""t":2"#),
    ] {
        assert!(changed != text);
        assert!(matches!(
            refusal(changed.as_bytes()),
            KeyFileError::CannotOpen
        ));
    }
}

#[test]
fn another_version_or_format_is_refused() {
    let text = cheap_file(&ours());
    let newer = text.replace(r#""version":1"#, r#""version":2"#);
    assert!(matches!(
        refusal(newer.as_bytes()),
        KeyFileError::UnknownVersion(2)
    ));
    for (from, to) in [
        ("coffer-key-file", "coffer-kex-file"),
        ("argon2id", "argon2d"),
        ("xchacha20poly1305", "chacha20poly1305"),
        (r#"{"format""#, r#"{"more":1,"format""#),
        (r#"{"format""#, r#"{"version":1,"format""#),
    ] {
        let changed = text.replace(from, to);
        assert!(changed != text);
        assert!(
            matches!(refusal(changed.as_bytes()), KeyFileError::CannotOpen),
            "{to}"
        );
    }
}

/// Every field of one vault's file put into another's, same passphrase.
#[test]
fn a_swapped_header_is_refused() {
    let (ours, theirs) = (cheap_file(&ours()), cheap_file(&theirs()));
    for field in ["attestation_public_key", "salt", "nonce", "ciphertext"] {
        let value = |text: &str| {
            let json: serde_json::Value = serde_json::from_str(text).expect("our own form");
            let value = json.get(field).or_else(|| json["kdf"].get(field));
            value
                .and_then(|value| value.as_str())
                .expect("a text field")
                .to_owned()
        };
        let mixed = ours.replace(&value(&ours), &value(&theirs));
        assert!(mixed != ours);
        assert!(
            matches!(refusal(mixed.as_bytes()), KeyFileError::CannotOpen),
            "{field}"
        );
    }
}

/// The header is bound by the seal itself, not only by the checks around it.
#[test]
fn a_seal_over_another_header_is_refused() {
    let seed = ours();
    let text = cheap_file(&seed);
    let mut envelope = Envelope::from_json(text.as_bytes()).expect("our own form");
    let cipher = cipher(&envelope, &passphrase()).expect("cheap");
    let mut reseal = |header: &[u8]| {
        let sealed = Payload {
            msg: seed.bytes(),
            aad: header,
        };
        let nonce = XNonce::from(envelope.nonce);
        envelope.ciphertext = cipher.encrypt(&nonce, sealed).expect("sealed");
        open_within(envelope.to_json().as_bytes(), &passphrase(), &CHEAP_RANGE)
    };
    let header = Envelope::from_json(text.as_bytes())
        .expect("our own form")
        .associated_data();
    assert!(reseal(&header).is_ok());
    for position in 0..header.len() {
        let mut other = header.clone();
        other[position] ^= 1;
        assert!(reseal(&other).is_err(), "byte {position}");
    }
    assert!(reseal(b"").is_err());
}

#[test]
fn short_and_empty_passphrases_are_refused() {
    assert_eq!(
        Passphrase::try_new("seven77").err(),
        Some(PassphraseError::TooShort(7))
    );
    assert_eq!(Passphrase::existing("").err(), Some(PassphraseError::Empty));
    assert_eq!(Passphrase::text_of_file(b"two words\r\n"), Ok("two words"));
    assert_eq!(
        Passphrase::text_of_file(b"\xff"),
        Err(PassphraseError::NotText)
    );
}
