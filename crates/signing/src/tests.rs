//! The codec against malformed frames, and the client against signers that lie, stall or die.
//! The signers here are hand-written peers that answer wrongly; the right answers are tested in
//! `coffer-signer` against the real process.

use std::io::{Cursor, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use coffer_domain::address::{AddressKind, BitcoinNetwork};
use ed25519_dalek::{Signer as _, SigningKey};

use crate::wire::{self, Descriptor, Identity, Request, Response, WireError};
use crate::{
    AccountDescriptor, AccountSpec, DESCRIPTOR_KINDS, SealKey, SignedDescriptor, Signer,
    SignerClient, SignerError,
};

const SPEC: AccountSpec = AccountSpec {
    account: 3,
    bitcoin_network: BitcoinNetwork::Testnet,
};

fn attestation_key() -> SigningKey {
    SigningKey::from_bytes(&[4; 32])
}

fn identity() -> Identity {
    Identity {
        attestation_public_key: attestation_key().verifying_key().to_bytes(),
        version: "1".into(),
    }
}

fn descriptor(kind: AddressKind, spec: AccountSpec, key: &SigningKey) -> Descriptor {
    let descriptor = AccountDescriptor {
        kind,
        spec,
        public_key: [2; 33],
        chain_code: [6; 32],
        master_fingerprint: [1; 4],
    };
    let signature = key.sign(&descriptor.message()).to_bytes();
    Descriptor::from(&SignedDescriptor {
        descriptor,
        signature,
    })
}

fn descriptors() -> Vec<Descriptor> {
    DESCRIPTOR_KINDS
        .map(|kind| descriptor(kind, SPEC, &attestation_key()))
        .into()
}

/// A client that was greeted in order, whose peer then gives each of `answers` to whatever is asked.
fn greeted(answers: Vec<Response>) -> SignerClient {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    thread::spawn(move || {
        let mut theirs = theirs;
        let hello = Response::Hello {
            protocol: wire::PROTOCOL_VERSION,
            identity: identity(),
        };
        for answer in std::iter::once(hello).chain(answers) {
            if !matches!(wire::read_request(&mut theirs), Ok(Some(_))) {
                return;
            }
            if wire::write_response(&mut theirs, &answer).is_err() {
                return;
            }
        }
    });
    SignerClient::connect(ours, None).expect("an orderly greeting")
}

fn assert_closed(client: &SignerClient) {
    let answer = client.identity();
    assert!(
        matches!(&answer, Err(SignerError::Unreachable(why)) if why.contains("broke")),
        "{answer:?}"
    );
}

#[test]
fn messages_round_trip_through_frames() {
    let mut bytes = Vec::new();
    let requests = [
        Request::Hello { protocol: 1 },
        Request::Identity {},
        Request::SealKey {},
        Request::AccountDescriptors {
            account: 7,
            bitcoin_network: BitcoinNetwork::Signet,
        },
        Request::SolanaPublicKeys {
            first_child: 5,
            count: 2,
        },
    ];
    for request in &requests {
        wire::write_request(&mut bytes, request).expect("into memory");
    }
    let mut channel = Cursor::new(bytes);
    for request in &requests {
        assert_eq!(
            wire::read_request(&mut channel).expect("our own form"),
            Some(*request)
        );
    }
    assert!(matches!(wire::read_request(&mut channel), Ok(None)));

    let mut bytes = Vec::new();
    let key = SealKey::from_bytes([0xa5; 32]);
    wire::write_response(&mut bytes, &Response::SealKey { key }).expect("into memory");
    let read = wire::read_response(&mut Cursor::new(bytes)).expect("our own form");
    assert!(matches!(read, Some(Response::SealKey { key }) if key.expose() == &[0xa5; 32]));
}

#[test]
fn the_longest_answer_fits_its_frame() {
    let answer = |count: u32| Response::SolanaPublicKeys {
        first_child: wire::HARDENED_CHILDREN - 1,
        keys: vec![0xff; 32 * count as usize],
    };
    let mut bytes = Vec::new();
    wire::write_response(&mut bytes, &answer(wire::SOLANA_KEYS_PER_FRAME)).expect("it fits");
    assert!(bytes.len() < wire::RESPONSE_LIMIT_BYTES as usize);
    let beyond = wire::write_response(&mut bytes, &answer(wire::SOLANA_KEYS_PER_FRAME * 2));
    assert!(matches!(beyond, Err(WireError::TooLarge { .. })));
}

fn frame(json: &str) -> Vec<u8> {
    let mut bytes = u32::try_from(json.len())
        .expect("short")
        .to_be_bytes()
        .to_vec();
    bytes.extend_from_slice(json.as_bytes());
    bytes
}

#[test]
fn an_announced_giant_is_refused_before_it_is_read() {
    for length in [wire::REQUEST_LIMIT_BYTES + 1, u32::MAX] {
        let mut channel = Cursor::new(length.to_be_bytes().to_vec());
        assert!(matches!(
            wire::read_request(&mut channel),
            Err(WireError::TooLarge { .. })
        ));
    }
}

#[test]
fn frames_cut_short_are_errors_and_not_an_orderly_end() {
    let whole = frame(r#"{"identity":{}}"#);
    for length in 1..whole.len() {
        let mut channel = Cursor::new(whole[..length].to_vec());
        assert!(
            matches!(wire::read_request(&mut channel), Err(WireError::Io(_))),
            "{length}"
        );
    }
}

#[test]
fn requests_that_are_not_of_the_protocol_are_refused() {
    for json in [
        "",
        "null",
        "\"identity\"",
        r#"{"sign":{}}"#,
        r#"{"export":{}}"#,
        r#"{"identity":{"more":1}}"#,
        r#"{"identity":{}} {}"#,
        r#"{"identity":{},"seal_key":{}}"#,
        r#"{"hello":{"protocol":1,"protocol":1}}"#,
        r#"{"hello":{"protocol":-1}}"#,
        r#"{"solana_public_keys":{"first_child":4294967296,"count":1}}"#,
        r#"{"account_descriptors":{"account":0,"bitcoin_network":"main"}}"#,
        &"[".repeat(4000),
    ] {
        let read = wire::read_request(&mut Cursor::new(frame(json)));
        assert!(matches!(read, Err(WireError::Malformed { .. })), "{json}");
    }
}

#[test]
fn an_error_does_not_repeat_what_was_sent() {
    let json = format!(r#"{{"seal_key":{{"key":"{}"}}}}"#, "ab".repeat(33));
    let Err(error) = wire::read_response(&mut Cursor::new(frame(&json))) else {
        panic!("a key of 33 bytes was taken");
    };
    assert!(!error.to_string().contains("abab"), "{error}");
}

#[test]
fn a_pinned_key_refuses_another_signer() {
    let (ours, mut theirs) = UnixStream::pair().expect("a socket pair");
    thread::spawn(move || {
        let _ = wire::read_request(&mut theirs);
        let hello = Response::Hello {
            protocol: wire::PROTOCOL_VERSION,
            identity: identity(),
        };
        let _ = wire::write_response(&mut theirs, &hello);
    });
    let refused = SignerClient::connect(ours, Some([8; 32]));
    assert!(matches!(refused, Err(SignerError::Untrusted(_))));
}

#[test]
fn another_protocol_version_is_refused() {
    let (ours, mut theirs) = UnixStream::pair().expect("a socket pair");
    thread::spawn(move || {
        let _ = wire::read_request(&mut theirs);
        let hello = Response::Hello {
            protocol: 1,
            identity: identity(),
        };
        let _ = wire::write_response(&mut theirs, &hello);
    });
    let refused = SignerClient::connect(ours, None)
        .err()
        .map(|e| e.to_string());
    assert!(refused.is_some_and(|text| text.contains("protocol 1")));
}

#[test]
fn right_descriptors_are_taken_and_a_refusal_keeps_the_connection() {
    let client = greeted(vec![
        Response::Refused {
            reason: "not now".into(),
        },
        Response::AccountDescriptors {
            descriptors: descriptors(),
        },
    ]);
    assert!(matches!(
        client.account_descriptors(SPEC),
        Err(SignerError::Refused(_))
    ));
    assert_eq!(
        client.account_descriptors(SPEC).map(|d| d.len()).ok(),
        Some(4)
    );
}

#[test]
fn wrong_descriptors_are_refused_and_end_the_connection() {
    let other_account = AccountSpec { account: 4, ..SPEC };
    let other_network = AccountSpec {
        bitcoin_network: BitcoinNetwork::Mainnet,
        ..SPEC
    };
    let stranger = SigningKey::from_bytes(&[5; 32]);
    let ours = attestation_key();
    type Change<'a> = Box<dyn Fn(&mut Vec<Descriptor>) + 'a>;
    let changes: Vec<Change> = vec![
        Box::new(|d| d.clear()),
        Box::new(|d| d.truncate(3)),
        Box::new(|d| d.swap(0, 1)),
        Box::new(|d| d[1] = descriptor(AddressKind::Evm, SPEC, &ours)),
        Box::new(|d| d[0] = descriptor(AddressKind::Evm, other_account, &ours)),
        Box::new(|d| d[2] = descriptor(AddressKind::BitcoinP2wpkh, other_network, &ours)),
        Box::new(|d| d[3] = descriptor(AddressKind::BitcoinP2tr, SPEC, &stranger)),
        Box::new(|d| d[3].chain_code[31] ^= 1),
        Box::new(|d| d[3].public_key[0] ^= 1),
        Box::new(|d| d[0].signature = [0; 64]),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut descriptors = descriptors();
        change(&mut descriptors);
        let client = greeted(vec![Response::AccountDescriptors { descriptors }]);
        let answer = client.account_descriptors(SPEC);
        assert!(
            matches!(answer, Err(SignerError::Untrusted(_))),
            "change {number}"
        );
        assert_closed(&client);
    }
}

/// Keys whose first byte tells the child.
fn keys(first_child: u32, count: u32) -> Response {
    let key = |child: u32| [child.to_be_bytes()[3]; 32];
    Response::SolanaPublicKeys {
        first_child,
        keys: (first_child..).take(count as usize).flat_map(key).collect(),
    }
}

#[test]
fn another_number_of_solana_keys_is_refused() {
    for length in [0, 32, 63, 65, 96] {
        let client = greeted(vec![Response::SolanaPublicKeys {
            first_child: 0,
            keys: vec![1; length],
        }]);
        let answer = client.solana_public_keys(0, 2);
        assert!(matches!(answer, Err(SignerError::Untrusted(_))), "{length}");
        assert_closed(&client);
    }
    let client = greeted(vec![keys(7, 2), keys(7, 0)]);
    for (first, count) in [(0, 65_537), (wire::HARDENED_CHILDREN - 1, 2), (u32::MAX, 2)] {
        let answer = client.solana_public_keys(first, count);
        assert!(matches!(answer, Err(SignerError::Refused(_))));
    }
    let answer = client.solana_public_keys(7, 2).expect("an orderly answer");
    assert_eq!(answer, [[7; 32], [8; 32]]);
    let none = client.solana_public_keys(7, 0).expect("an orderly answer");
    assert!(none.is_empty());
}

/// Asks for 2,500 keys from child 5 on, of a peer that gives all of `frames` at once.
fn streamed(frames: Vec<Response>) -> (SignerClient, Result<Vec<[u8; 32]>, SignerError>) {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    thread::spawn(move || {
        let mut theirs = theirs;
        let hello = Response::Hello {
            protocol: wire::PROTOCOL_VERSION,
            identity: identity(),
        };
        let _ = wire::read_request(&mut theirs);
        let _ = wire::write_response(&mut theirs, &hello);
        let _ = wire::read_request(&mut theirs);
        for frame in frames {
            if wire::write_response(&mut theirs, &frame).is_err() {
                return;
            }
        }
        // For what comes next.
        let _ = wire::read_request(&mut theirs);
        let identity = identity();
        let _ = wire::write_response(&mut theirs, &Response::Identity { identity });
    });
    let client = SignerClient::connect(ours, None).expect("an orderly greeting");
    let answer = client.solana_public_keys(5, 2500);
    (client, answer)
}

#[test]
fn solana_keys_come_in_frames_and_the_connection_goes_on() {
    let (client, answer) = streamed(vec![keys(5, 1024), keys(1029, 1024), keys(2053, 452)]);
    let answer = answer.expect("an orderly answer");
    assert_eq!(answer.len(), 2500);
    for (key, child) in answer.iter().zip(5_u32..) {
        assert_eq!(key[0], child.to_be_bytes()[3]);
    }
    assert!(client.identity().is_ok());
}

#[test]
fn frames_out_of_order_or_of_another_size_end_the_connection() {
    let refused = || Response::Refused {
        reason: "no more".into(),
    };
    for frames in [
        vec![keys(5, 1024), keys(5, 1024)],
        vec![keys(5, 1024), keys(2053, 452)],
        vec![keys(5, 1024), keys(1029, 1023)],
        vec![keys(5, 1024), keys(1029, 0)],
        vec![keys(5, 1000)],
        vec![keys(6, 1024)],
        vec![keys(5, 1024), keys(1029, 1024), keys(2053, 453)],
        vec![keys(5, 1024), refused()],
    ] {
        let (client, answer) = streamed(frames);
        assert!(matches!(answer, Err(SignerError::Untrusted(_))));
        assert_closed(&client);
    }
}

#[test]
fn frames_of_an_older_form_are_refused() {
    for json in [
        r#"{"solana_public_keys":{"keys":""}}"#,
        r#"{"solana_public_keys":{"first_child":-1,"keys":""}}"#,
        r#"{"solana_public_keys":{"first_child":0,"keys":"AA"}}"#,
        r#"{"solana_public_keys":{"first_child":0,"keys":"","last":true}}"#,
    ] {
        let read = wire::read_response(&mut Cursor::new(frame(json)));
        assert!(matches!(read, Err(WireError::Malformed { .. })), "{json}");
    }
}

#[test]
fn the_answer_to_another_question_ends_the_connection() {
    let client = greeted(vec![Response::Identity {
        identity: identity(),
    }]);
    assert!(matches!(client.seal_key(), Err(SignerError::Untrusted(_))));
    assert_closed(&client);
}

#[test]
fn a_signer_that_dies_in_its_answer_is_unreachable() {
    let client = greeted(vec![]);
    assert!(matches!(
        client.identity(),
        Err(SignerError::Unreachable(_))
    ));
    assert_closed(&client);
}

#[test]
fn a_dripping_answer_meets_the_deadline() {
    let (ours, mut theirs) = UnixStream::pair().expect("a socket pair");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let dripping = thread::spawn(move || {
        let mut buffer = [0; 64];
        let _ = theirs.read(&mut buffer);
        let _ = theirs.write_all(&1_000_u32.to_be_bytes());
        // One byte each 20 ms: the socket's own time-out would never end this.
        while stopped.recv_timeout(Duration::from_millis(20)).is_err() {
            if theirs.write_all(b" ").is_err() {
                return;
            }
        }
    });
    let answer = SignerClient::connect_within(ours, None, Duration::from_millis(200));
    assert!(matches!(answer, Err(SignerError::Unreachable(_))));
    drop(stop);
    dripping.join().expect("the peer ends");
}
